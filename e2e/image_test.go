package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// modulesAtHand lays out what go.mod needs as a proxy does, out of what this
// machine's Go has fetched already: there is no network where the tests run.
func modulesAtHand(t *testing.T) string {
	t.Helper()
	goTool := testenv.Tool(t, "go")
	have, err := exec.CommandContext(t.Context(), goTool, "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	download := filepath.Join("cache", "download")
	dir := testenv.TempDir(t)
	cmd := exec.CommandContext(t.Context(), goTool, "mod", "download")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOMODCACHE="+dir, "GOFLAGS=-modcacherw",
		"GOPROXY=file://"+filepath.Join(strings.TrimSpace(string(have)), download)+",off")
	if out, err := cmd.CombinedOutput(); err != nil {
		testenv.Need(t, &testenv.Missing{What: fmt.Sprintf("the modules of go.mod (%s)", bytes.TrimSpace(out)), How: "go mod download"})
	}
	return filepath.Join(dir, download)
}

// compiledAtHand returns a folder with what this machine's Go has compiled for
// the program already, as its build cache has it: compiling all of it anew
// takes two cores two minutes.
func compiledAtHand(t *testing.T) string {
	t.Helper()
	goTool := testenv.Tool(t, "go")
	list := exec.CommandContext(t.Context(), goTool, "list", "-export", "-deps", "-trimpath", "-buildvcs=false", "-f", "{{.Export}}", "./cmd/outlast")
	list.Dir, list.Env = "..", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := testenv.TempDir(t)
	var cache string
	wanted := make(map[string]bool) // what compilations made
	for file := range strings.FieldsSeq(string(out)) {
		cache = filepath.Dir(filepath.Dir(file))
		wanted[strings.TrimSuffix(filepath.Base(file), "-d")] = true
		copyFile(t, file, filepath.Join(dir, strings.TrimPrefix(file, cache)))
	}
	// An entry says: v1, what was asked, what that made, its size, the time.
	entries, err := filepath.Glob(filepath.Join(cache, "??", "*-a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range entries {
		data, err := os.ReadFile(file)
		if fields := strings.Fields(string(data)); err == nil && len(fields) == 5 && wanted[fields[2]] {
			copyFile(t, file, filepath.Join(dir, strings.TrimPrefix(file, cache)))
		}
	}
	return dir
}

// standsIn is the first substitute in Dockerfile.resilient that the registries
// here have.
const standsIn = "docker.io/library/alpine:3"

// The image of Outlast itself, by both of its Dockerfiles, in a network that
// has registries and nothing else, and for the second one lacks its base image.
func TestTheImageOfOutlast(t *testing.T) {
	t.Parallel()
	b, d := dockerEngine(t)
	b.limit = 8 * time.Minute // a machine under load takes its time to link, too
	modules, compiled := modulesAtHand(t), compiledAtHand(t)
	for _, tt := range []struct {
		file     string // that is built
		strategy string // which takes it where nobody names one
		gone     bool   // gcr.io with its base image is
		args     []string
		says     []string
	}{
		{"Dockerfile", "gha-full", false, nil, nil},
		{"Dockerfile.resilient", "local-only", true, []string{"ATTEMPTS=2", "LIMIT=120", "UPX=true"},
			[]string{"Dockerfile.resilient is built", "attempt 1 of 2: apt-get ended", "attempt 2 of 2: apt-get ended", "giving up", "no upx",
				standsIn + " stands in for gcr.io/distroless/static:nonroot, which no source has"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			image := "outlast:" + strings.ToLower(tt.file)
			bb := *b
			bb.env = append(slices.Clone(b.env), "CACHE_STRATEGY="+tt.strategy)
			args := []string{"--build-context", "modules=" + modules, "--build-context", "compiled=" + compiled, "-t", image,
				"--build-arg", "VERSION=v1.2.3", "--build-arg", "VCS_REF=abc123", "--build-arg", "BUILD_DATE=2026-01-02T03:04:05Z"}
			for _, a := range tt.args {
				args = append(args, "--build-arg", a)
			}
			if tt.gone {
				bb.dir = testenv.TempDir(t) // with a store that has nothing of it
				for _, p := range append(slices.Clone(b.cloud.Sites[1].Mirrors), b.cloud.Sites[1].Origin) {
					if err := p.Play(faultnet.Always(faultnet.OKHTML())); err != nil {
						t.Fatal(err)
					}
				}
			}
			got := bb.build("..", args...)
			got.want(t, 0, tt.says...)
			t.Logf("built in %v", got.took)

			docker := func(args ...string) string {
				t.Helper()
				out, err := d.Run(t.Context(), args...)
				if err != nil {
					t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
				}
				return strings.TrimSpace(out)
			}
			if got, want := docker("run", "--rm", "--network", "none", image, "version"), "outlast v1.2.3 linux/amd64 "; !strings.HasPrefix(got, want) {
				t.Errorf("it says %q, want %s…", got, want)
			}
			if user := docker("image", "inspect", "--format", "{{.Config.User}}", image); user != "65532:65532" {
				t.Errorf("it runs as %q, want nobody in particular", user)
			}
			size := docker("image", "inspect", "--format", "{{.Size}}", image)
			if n, err := strconv.ParseInt(size, 10, 64); err != nil || n > 60<<20 {
				t.Errorf("it has %s bytes, want at most 60 MiB", size)
			}
			label, want := docker("image", "inspect", "--format", `{{index .Config.Labels "build.outlast.substitutes"}}`, image), ""
			if tt.gone {
				want = "gcr.io/distroless/static:nonroot=" + standsIn
			}
			if label != want {
				t.Errorf("it says %q of its base, want %q", label, want)
			}
			id := docker("run", "--detach", "--network", "none", "--health-interval", "200ms", "--volume", "store:/var/cache/outlast", image)
			deadline := time.Now().Add(30 * time.Second)
			for docker("inspect", "--format", "{{.State.Health.Status}}", id) != "healthy" {
				if time.Now().After(deadline) {
					t.Fatalf("it is not healthy: %s\n%s", docker("inspect", "--format", "{{json .State.Health}}", id), docker("logs", id))
				}
				time.Sleep(100 * time.Millisecond)
			}
			docker("exec", id, "/outlast", "gateway", "health")
			if logs := docker("logs", id); strings.Contains(logs, "store") {
				t.Errorf("it does not keep what it gets: %s", logs)
			}
			docker("rm", "--force", id)
		})
	}
}

func TestBuildKitHasNothingToSayAboutOurDockerfiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	if out, err := b.buildx.Run(t.Context(), "create", "--name", "lint", "--driver", "remote", b.buildkit.Addr()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, file := range []string{"../Dockerfile", "../Dockerfile.resilient", example + "/Dockerfile"} {
		out, err := b.buildx.Run(t.Context(), "build", "--builder", "lint", "--check", "-f", file, filepath.Dir(file))
		if err != nil || !strings.Contains(out, "no warnings found") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
