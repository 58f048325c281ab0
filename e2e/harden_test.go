package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// stock is a builder of plain buildx.
func (b *bench) stock() {
	b.t.Helper()
	if out, err := b.buildx.Run(b.t.Context(), "create", "--name", "stock", "--driver", "remote", b.buildkit.Addr()); err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
}

func TestOurResilientDockerfileIsWhatHardenWrites(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), testenv.Outlast(t), "harden", "--check", "--diff", "Dockerfile", "-o", "Dockerfile.resilient")
	command.Dir = ".."
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var hubImage = regexp.MustCompile(`(?m)^(FROM (?:--platform=\S+ )?)(\S+)`)

// Each hardened file, with bases that the registry here has.
func TestBuildKitReadsHardenedFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	b.stock()
	files, err := filepath.Glob("../dockerfile/testdata/harden/*.resilient")
	if err != nil || len(files) < 12 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`(?m)^# ?syntax=.*\n`).ReplaceAll(text, nil)
		text = regexp.MustCompile(`@sha256:[0-9a-f]{64}|SHELL \["powershell.*`).ReplaceAll(text, nil)
		text = hubImage.ReplaceAllFunc(text, func(m []byte) []byte {
			part := hubImage.FindSubmatch(m)
			switch name := string(part[2]); {
			case name == "scratch", strings.Contains(string(text), " AS "+name+"\n"), strings.HasPrefix(name, "$"):
				return m
			}
			return append(part[1], "debian:latest"...)
		})
		text = regexp.MustCompile(`from=(busybox:1.37|alpine)`).ReplaceAll(text, []byte("from=debian"))
		dir := b.context(string(text))
		out, err := b.buildx.Run(t.Context(), "build", "--builder", "stock", "--check", dir)
		if err != nil || !strings.Contains(out, "no warnings found") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// Plain buildx builds the hardened file although the first source fails, and
// does not build the file itself.
func TestAHardenedFileSurvivesByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	b.stock()
	proxy, err := testenv.GoProxy()
	modules := upstream(t, proxy, err)
	source, err := testenv.AptSource()
	testenv.Need(t, err)
	u, err := url.Parse(source.Mirror)
	testenv.Need(t, err)
	first, second := upstream(t, u.Scheme+"://"+u.Host, nil), upstream(t, u.Scheme+"://"+u.Host, nil)
	twice := faultnet.Script{{On: faultnet.First(2), Fault: faultnet.Status(503)}}
	for _, tt := range []struct {
		name, file string
		fails      *faultnet.Service
		script     faultnet.Script
		says       []string
	}{
		{"a proxy of Go that fails twice", `FROM golang:latest
WORKDIR /src
ENV GOPROXY=` + modules.URL() + ` GOSUMDB=off GOFLAGS=-mod=mod
COPY go.mod go.sum ./
RUN go mod download
`, modules, twice, []string{"attempt 1 of 5: go ended with 1"}},
		{"a repository that is down, with a mirror", aptFile("deb " + first.URL() + "/debian " + source.Suite + " main"),
			first, faultnet.Always(faultnet.Refuse()), []string{"attempt 1 of 5: apt-get ended with 100", "libpopt.so.0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := b.goContext(tt.file)
			build := func() (string, error) {
				if err := tt.fails.Play(tt.script); err != nil {
					t.Fatal(err)
				}
				return b.buildx.Run(t.Context(), "build", "--builder", "stock", "--no-cache", "--progress", "plain", "--build-arg", "APT_MIRRORS="+second.URL(), dir)
			}
			if out, err := build(); err == nil {
				t.Fatalf("the file itself builds: nothing fails\n%s", out)
			}
			got := b.run("harden", filepath.Join(dir, "Dockerfile"), "-o", filepath.Join(dir, "Dockerfile.resilient"))
			got.want(t, 0)
			if err := os.Rename(filepath.Join(dir, "Dockerfile.resilient"), filepath.Join(dir, "Dockerfile")); err != nil {
				t.Fatal(err)
			}
			out, err := build()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, says := range tt.says {
				if !strings.Contains(out, says) {
					t.Errorf("it does not say %q:\n%s", says, out)
				}
			}
		})
	}
}
