package e2e

import (
	"archive/tar"
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// upstream is a place that answers from a real registry, and fails by script.
func upstream(t *testing.T, real string, err error) *faultnet.Service {
	t.Helper()
	testenv.Need(t, err)
	backend, err := testenv.OutsideBackend(real)
	if err != nil {
		t.Fatal(err)
	}
	return served(t, backend)
}

func served(t *testing.T, backend http.Handler) *faultnet.Service {
	t.Helper()
	s := &faultnet.Service{Backend: backend}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// modules is a build that downloads real modules. The proxies' own addresses
// stand nowhere in it.
const modules = `FROM golang:latest AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download -x
USER 1000
ENV HOME=/tmp/home GOMODCACHE=/tmp/mod
RUN ["go", "mod", "download"]
`

// goContext is a context with a module that needs a few others.
func (b *bench) goContext(dockerfile string) string {
	dir := b.context(dockerfile)
	for name, text := range map[string]string{
		"go.mod": "module example.com/app\n\ngo 1.24\n\nrequire (\n\tgolang.org/x/sync v0.10.0\n\tgithub.com/google/uuid v1.6.0\n)\n",
		"go.sum": `github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
github.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=
golang.org/x/sync v0.10.0 h1:3NQrjDixjgGwUOCaF8w2+VYHv0Ve/vGYSbdkTa98gmQ=
golang.org/x/sync v0.10.0/go.mod h1:Czt+wKu1gCyEFDUtn0jG5QVvpJ6rzVqr5aXyt9drQfk=
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	return dir
}

func TestGoModulesInARunSurvive(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	real, err := testenv.GoProxy()
	first, second := upstream(t, real, err), upstream(t, real, err)
	b.env = []string{"OUTLAST_PACKAGES_GO=" + first.URL() + " " + second.URL(), "GOSUMDB=off"}
	dir := b.goContext(modules)
	for _, tt := range []struct {
		name  string
		fault faultnet.Fault
	}{
		{"the first proxy refuses", faultnet.Refuse()},
		{"the first proxy hangs", faultnet.Hang()},
		{"the first proxy answers with a page", faultnet.OKHTML()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := first.Play(faultnet.Always(tt.fault)); err != nil {
				t.Fatal(err)
			}
			b.env = append(b.env, "OUTLAST_STORE_PATH="+b.t.TempDir())
			got := b.build(dir, "--no-cache")
			got.want(t, 0, first.Host())
			if strings.Contains(got.text(), "outlast-goproxy") {
				t.Errorf("what was added is shown:\n%s", got.text())
			}
			if strings.Contains(got.text(), "golang.org/x/sync/@v/v0.10.0.mod: 404") || !strings.Contains(got.text(), "/go/golang.org/x/sync/@v/v0.10.0.mod") {
				t.Errorf("the modules did not come through the gateway:\n%s", got.text())
			}
			t.Logf("%v\n%s", got.took, got.stderr)
		})
	}
	t.Run("another gateway and other values find all of it cached", func(t *testing.T) {
		if err := first.Play(nil); err != nil {
			t.Fatal(err)
		}
		got := b.build(dir)
		got.want(t, 0)
		if n := strings.Count(got.text(), "CACHED"); n != 4 {
			t.Errorf("got %d steps CACHED, want 4:\n%s", n, got.text())
		}
	})
}

// Without a network, a step that must run again has its modules from the store.
func TestGoModulesInARunOffline(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	real, err := testenv.GoProxy()
	proxy := upstream(t, real, err)
	b.env = []string{"OUTLAST_PACKAGES_GO=" + proxy.URL(), "GOSUMDB=off"}
	dir := b.goContext(modules)
	b.build(dir).want(t, 0)

	b.down()
	proxy.Close()
	change := func(name, old, new string) {
		t.Helper()
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change("Dockerfile", "WORKDIR /src", "WORKDIR /source")
	got := b.build(dir, "--offline")
	got.want(t, 0, "/go/golang.org/x/sync/@v/v0.10.0.zip")
	if n := strings.Count(got.text(), "CACHED"); n > 1 { // the base image
		t.Errorf("%d steps were cached: this test shows nothing:\n%s", n, got.text())
	}
	change("go.mod", "uuid v1.6.0", "uuid v1.5.0")
	got = b.build(dir, "--offline")
	got.want(t, 3, "github.com/google/uuid@v1.5.0", "this build is offline")
	t.Logf("%v\n%s", got.took, got.stderr)
}

// aptFile is a build that installs a real package from a host that does not
// exist: its mirrors do.
func aptFile(source string) string {
	return `FROM debian:latest
RUN rm -rf /etc/apt/sources.list.d && echo "` + source + `" >/etc/apt/sources.list
RUN apt-get update && apt-get install -y --no-install-recommends libpopt0 && ls -l /usr/lib/*/libpopt.so.0
`
}

func TestAptInARunSurvives(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	source, err := testenv.AptSource()
	testenv.Need(t, err)
	u, err := url.Parse(source.Mirror)
	testenv.Need(t, err)
	path := strings.Trim(u.Path, "/")
	root := u.Scheme + "://" + u.Host
	first, second := upstream(t, root, nil), upstream(t, root, nil)
	b.env = []string{"OUTLAST_PACKAGES_APT=deb.example.com=" + first.URL() + " deb.example.com=" + second.URL()}
	dir := b.context(aptFile("deb http://deb.example.com/" + path + " " + source.Suite + " main"))
	if err := first.Play(faultnet.Always(faultnet.Hang())); err != nil {
		t.Fatal(err)
	}
	got := b.build(dir)
	got.want(t, 0, "libpopt.so.0")
	t.Logf("%v\n%s", got.took, got.stderr)
	got = b.build(dir)
	got.want(t, 0)
	if n := strings.Count(got.text(), "CACHED"); n != 2 {
		t.Errorf("got %d steps CACHED, want 2:\n%s", n, got.text())
	}
}

// entry is what a file of an image is, but for its times.
type entry struct {
	mode     int64
	uid, gid int
	link     string
	sum      [sha256.Size]byte
}

// files reads an image's files from an archive.
func files(t *testing.T, path string) map[string]entry {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := make(map[string]entry)
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = entry{h.Mode, h.Uid, h.Gid, h.Linkname, sha256.Sum256(body)}
	}
}

// The step asks nobody: it shows what the mounts themselves leave behind.
func TestThePreparedImageIsTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	dir := b.context(`FROM debian:latest
RUN apt-get -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null update && \
    rm -rf /var/cache/apt /var/log && if [ -e /dev/outlast/apt.conf ]; then echo prepared; fi
`)
	images := make(map[string]map[string]entry)
	for _, prepare := range []string{"true", "false"} {
		to := filepath.Join(t.TempDir(), "image.tar")
		got := b.build(dir, "--set", "packages.prepare="+prepare, "--output", "type=tar,dest="+to)
		got.want(t, 0)
		if has := strings.Contains(got.text(), " prepared\n"); has != (prepare == "true") {
			t.Errorf("packages.prepare=%s: the step was prepared: %t\n%s", prepare, has, got.text())
		}
		images[prepare] = files(t, to)
	}
	if len(images["true"]) < 1000 {
		t.Fatalf("got %d files, want those of Debian", len(images["true"]))
	}
	for name, want := range images["false"] {
		if got, ok := images["true"][name]; got != want {
			t.Errorf("%s: got %+v (there: %t), want %+v", name, got, ok, want)
		}
	}
	for name := range images["true"] {
		if _, ok := images["false"][name]; !ok {
			t.Errorf("%s is in the prepared image alone", name)
		}
	}
}
