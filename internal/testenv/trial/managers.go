package trial

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

// A manager is a package manager, with a RUN in which it gets a package or two
// from either of two sources.
type manager struct {
	name  string
	image string // of the base images
	does  string // the RUN's command; SUITE stands for Debian's

	// add makes the programs of this machine that the image lacks.
	add func(testenv.Machine) error
	// files are those of the build context.
	files map[string]string
	// backend is what both sources serve.
	backend func() (http.Handler, error)
	// stock are the lines of a Dockerfile that set the manager itself to the
	// sources, as far as it can be; led are those for Outlast.
	stock func(first, second string) string
	led   func() string
	// environ sets Outlast to the sources.
	environ func(first, second string) []string

	index, file *regexp.Regexp  // of the paths of requests
	proved      *regexp.Regexp  // of the index: what something else vouches for; nil is all of it
	half        faultnet.Script // of a source in the middle of its update
	noticed     *regexp.Regexp  // in the output, where the manager has met a failure
}

var managers = []*manager{
	{
		name: "go", image: "golang:latest", does: "go mod download -x",
		files:   map[string]string{"go.mod": goMod, "go.sum": goSum},
		backend: func() (http.Handler, error) { return outside(testenv.GoProxy()) },
		stock: func(first, second string) string {
			return "ENV GOPROXY=" + first + "," + second + "\n"
		},
		led: func() string { return "" },
		environ: func(first, second string) []string {
			return []string{"OUTLAST_PACKAGES_GO=" + first + " " + second}
		},
		index:   regexp.MustCompile(`\.(info|mod)$|^/sumdb/`),
		file:    regexp.MustCompile(`\.zip$`),
		proved:  regexp.MustCompile(`\.mod$`),
		half:    faultnet.Script{{Path: regexp.MustCompile(`\.(mod|zip)$`), Fault: faultnet.Status(404)}},
		noticed: regexp.MustCompile(`(?m)# get \S+: ([013-9]|[a-zA-Z]).*$`),
	},
	{
		name: "apt", image: "debian:latest", does: "apt-get update && apt-get install -y --download-only --reinstall --allow-downgrades --no-install-recommends tzdata/SUITE",
		backend: func() (http.Handler, error) {
			at, _, _, err := aptSource()
			return outside(at, err)
		},
		stock: func(first, _ string) string { return aptSources(first) },
		led:   func() string { return aptSources("http://deb.example.com") },
		environ: func(first, second string) []string {
			return []string{"OUTLAST_PACKAGES_APT=deb.example.com=" + first + " deb.example.com=" + second}
		},
		index:  regexp.MustCompile(`/dists/`),
		file:   regexp.MustCompile(`/pool/`),
		proved: regexp.MustCompile(`/dists/.*/(by-hash/|Packages)`),
		half: faultnet.Script{
			{Path: regexp.MustCompile(`/by-hash/`), Fault: faultnet.Status(404)},
			{Path: regexp.MustCompile(`/Packages`), Fault: faultnet.WrongByte()},
		},
		noticed: regexp.MustCompile(`(?m)( (Ign|Err):\d+ |[ ][WE]: ).*$`),
	},
	{
		name: "npm", image: "debian:latest", does: "npm install --no-audit --no-fund --no-update-notifier",
		add:     testenv.Machine.AddNPM,
		files:   map[string]string{"package.json": `{"name": "app", "version": "1.0.0", "private": true, "dependencies": {"is-odd": "3.0.1"}}`},
		backend: npmBackend,
		stock:   func(first, _ string) string { return "ENV npm_config_registry=" + first + "\n" },
		led:     func() string { return "" },
		environ: func(first, second string) []string {
			return []string{"OUTLAST_PACKAGES_NPM=" + first + " " + second}
		},
		index:   regexp.MustCompile(`^/[^/]+$`),
		file:    regexp.MustCompile(`/-/`),
		half:    faultnet.Script{{Path: regexp.MustCompile(`/-/`), Fault: faultnet.Status(404)}},
		noticed: regexp.MustCompile(`(?mi)npm (warn|err|error|http).*$`),
	},
	{
		name: "pip", image: "debian:latest", does: "pip install --no-cache-dir --target /site left-pad",
		add:     testenv.Machine.AddPip,
		backend: pipBackend,
		stock:   func(first, _ string) string { return "ENV PIP_INDEX_URL=" + first + "/simple/\n" },
		led:     func() string { return "" },
		environ: func(first, second string) []string {
			return []string{"OUTLAST_PACKAGES_PIP=" + first + "/simple/ " + second + "/simple/"}
		},
		index:   regexp.MustCompile(`^/simple/`),
		file:    regexp.MustCompile(`^/files/`),
		half:    faultnet.Script{{Path: regexp.MustCompile(`^/files/`), Fault: faultnet.Status(404)}},
		noticed: regexp.MustCompile(`(?m)(WARNING: Retr|ERROR: ).*$`),
	},
}

const goMod = "module example.com/app\n\ngo 1.24\n\nrequire (\n\tgolang.org/x/sync v0.10.0\n\tgithub.com/google/uuid v1.6.0\n)\n"

const goSum = `github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=
github.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=
golang.org/x/sync v0.10.0 h1:3NQrjDixjgGwUOCaF8w2+VYHv0Ve/vGYSbdkTa98gmQ=
golang.org/x/sync v0.10.0/go.mod h1:Czt+wKu1gCyEFDUtn0jG5QVvpJ6rzVqr5aXyt9drQfk=
`

func managerNamed(name string) *manager {
	for _, m := range managers {
		if m.name == name {
			return m
		}
	}
	return nil
}

// outside answers from a registry of the world, which is asked for each file
// once.
func outside(at string, err error) (http.Handler, error) {
	if err != nil {
		return nil, err
	}
	backend, err := testenv.OutsideBackend(at)
	if err != nil {
		return nil, err
	}
	return testenv.Remember(backend), nil
}

// aptSource is where this machine gets the updates of its release of Debian: a
// server, the folder on it, and the suite. Their index is small: that of the
// release itself takes apt half a minute on a busy machine.
func aptSource() (root, folder, suite string, err error) {
	release, err := testenv.AptSource()
	if err != nil {
		return "", "", "", err
	}
	updates := release.Suite + "-updates"
	for _, s := range images.AptSources() {
		u, err := url.Parse(s.Mirror)
		if err == nil && s.Suite == updates && strings.HasPrefix(s.Mirror, "http") {
			return u.Scheme + "://" + u.Host, strings.Trim(u.Path, "/"), updates, nil
		}
	}
	return "", "", "", &testenv.Missing{What: "apt's sources with " + updates}
}

// aptSources sets apt to one server.
func aptSources(at string) string {
	_, folder, suite, _ := aptSource()
	return fmt.Sprintf("RUN rm -rf /etc/apt/sources.list.d && echo 'deb %s/%s %s main' >/etc/apt/sources.list\n", at, folder, suite)
}

// npmBackend names, in each document, the source that was asked, as
// registries do.
func npmBackend() (http.Handler, error) {
	at, err := testenv.NPMRegistry()
	backend, err := outside(at, err)
	if err != nil {
		return nil, err
	}
	at = strings.TrimSuffix(at, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/-/") {
			backend.ServeHTTP(w, r)
			return
		}
		r = r.Clone(r.Context())
		r.Header.Del("Range")
		own := &rewritten{ResponseWriter: w}
		backend.ServeHTTP(own, r)
		body := bytes.ReplaceAll(own.body.Bytes(), []byte(at), []byte("http://"+r.Host))
		w.Header().Del("Etag")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(own.status)
		w.Write(body)
	}), nil
}

// rewritten keeps a body back.
type rewritten struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *rewritten) WriteHeader(status int)      { w.status = status }
func (w *rewritten) Write(p []byte) (int, error) { return w.body.Write(p) }

func pipBackend() (http.Handler, error) {
	x := new(testenv.PythonIndex)
	return x, errors.Join(x.Add("left-pad", "pad-core"), x.Add("pad-core"))
}

// dockerfile is m's build: base is a prefix of image names, set is how the
// manager is set. A row is told from all others, so that nothing of it is
// cached.
func (m *manager) dockerfile(base, set, row string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM %s%s AS ready\n", base, m.image)
	if m.add != nil {
		b.WriteString("COPY --from=machine / /\nENV LD_LIBRARY_PATH=/opt/lib\n")
	}
	b.WriteString("WORKDIR /app\n")
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		fmt.Fprintf(&b, "COPY %s ./\n", name)
	}
	_, _, suite, _ := aptSource() // "" where no manager of this machine needs it
	fmt.Fprintf(&b, "FROM ready\nENV ROW=%s\n%sRUN %s\n", row, set, strings.ReplaceAll(m.does, "SUITE", suite))
	return b.String()
}

// context writes m's build context.
func (m *manager) context(dir, dockerfile string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644)
	for name, text := range m.files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return err
}
