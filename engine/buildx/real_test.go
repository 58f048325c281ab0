package buildx_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/testenv"
)

// A rig is a real builder with a registry that its images come from.
type rig struct {
	builder buildx.Builder
	env     []string
	args    buildx.Args
	routes  []engine.Route
}

// registryRoutes serve the base images as docker.io.
func registryRoutes(t *testing.T) []engine.Route {
	t.Helper()
	r := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	return []engine.Route{{Host: "docker.io", Prefix: r.Host}}
}

// direct is a buildkitd that is reached directly, by BUILDKIT_HOST.
func direct(t *testing.T) (rig, *testenv.Buildkitd) {
	t.Helper()
	testenv.Root(t)
	d := testenv.NewBuildkitd(t, testenv.BuildkitdOptions{})
	x := testenv.NewBuildx(t)
	r := rig{routes: registryRoutes(t)}
	r.env = append(os.Environ(), append(x.Environ(), "PATH="+os.Getenv("PATH"), "BUILDKIT_HOST="+d.Addr(), "DOCKER_HOST=unix:///nowhere.invalid")...)
	r.choose(t)
	return r, d
}

func (r *rig) choose(t *testing.T) {
	t.Helper()
	b, err := buildx.Choose(t.Context(), buildx.Search{Args: r.args, Env: r.env, State: testenv.TempDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s by %s; passed over: %q", b.Origin, b.Driver, b.CLI, b.Passed)
	r.builder = b
}

func (r rig) suite(t *testing.T) {
	enginetest.Run(t, func(*testing.T, ...enginetest.Script) enginetest.Setup {
		return enginetest.Setup{Engine: &buildx.Engine{Builder: r.builder}, Base: "alpine:3", Args: r.args.Raw(), Env: r.env, Routes: r.routes}
	})
}

func TestBuildkitdReachedDirectly(t *testing.T) {
	r, _ := direct(t)
	if r.builder.Driver != "remote" || r.builder.Origin != "BUILDKIT_HOST" {
		t.Errorf("got driver %q of %s", r.builder.Driver, r.builder.Origin)
	}
	if ok, why := r.builder.Reaches(); !ok {
		t.Errorf("it is said not to reach the gateway: %s", why)
	}
	r.suite(t)
}

func TestTheDaemonGoesAway(t *testing.T) {
	r, d := direct(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM alpine:3\nRUN sleep 600\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := &buildx.Engine{Builder: r.builder}
	gone := false
	res, err := e.Build(t.Context(), engine.Request{Args: []string{dir}, Env: r.env, Routes: r.routes}, func(ev engine.Event) {
		if ev.Status == nil || gone {
			return
		}
		for _, v := range ev.Status.Vertexes {
			if strings.HasSuffix(v.Name, "RUN sleep 600") && v.Started != nil && !gone {
				gone = true
				go d.Stop()
			}
		}
	})
	if res.Outcome != engine.Unavailable || fault.Of(err) != fault.Engine {
		t.Errorf("got %q, %v", res.Outcome, err)
	}
}

// What --call prints is the result, so it goes where the user reads results.
func TestCallsPrintTheirResult(t *testing.T) {
	r, _ := direct(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM alpine:3 AS base\nARG COLOUR=red\nRUN echo $COLOUR\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ flag, want string }{
		{"--call=outline", "COLOUR"},
		{"--call=targets", "base"},
		{"--check", "Check complete, no warnings found"},
	} {
		var out strings.Builder
		e := &buildx.Engine{Builder: r.builder}
		res, err := e.Build(t.Context(), engine.Request{Args: []string{tt.flag, dir}, Env: r.env, Routes: r.routes, Stdout: &out}, nil)
		if err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: got %q, %v, %q, want %q", tt.flag, res.Outcome, err, out.String(), tt.want)
		}
	}
}
