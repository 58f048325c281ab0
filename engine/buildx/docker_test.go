package buildx_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/testenv"
)

// docker is a Docker Engine's own builder. With the graph driver it keeps its
// images as it did before containerd's store.
func docker(t *testing.T, graphdriver bool) (rig, *testenv.Dockerd) {
	t.Helper()
	testenv.Root(t)
	o := testenv.DockerdOptions{}
	if graphdriver {
		o.Config = map[string]any{"features": map[string]bool{"containerd-snapshotter": false}, "storage-driver": "overlay2"}
	}
	d := testenv.NewDockerd(t, o)
	x := testenv.NewBuildx(t)
	r := rig{routes: registryRoutes(t)}
	r.env = append(os.Environ(), append(x.Environ(), "DOCKER_HOST="+d.Host(), "BUILDKIT_HOST=")...)
	r.choose(t)
	if r.builder.Driver != "docker" {
		t.Fatalf("got driver %q", r.builder.Driver)
	}
	if ok, why := r.builder.Reaches(); !ok {
		t.Errorf("it is said not to reach the gateway: %s", why)
	}
	return r, d
}

// do builds a Dockerfile and returns the lines that it said.
func (r rig) do(t *testing.T, dockerfile string, change func(*engine.Request)) engine.Result {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	req := engine.Request{Args: append(slices.Clone(r.args.Raw()), dir), Env: r.env, Routes: r.routes}
	if change != nil {
		change(&req)
	}
	e := &buildx.Engine{Builder: r.builder}
	res, _ := e.Build(t.Context(), req, nil)
	return res
}

func TestDockerEngine(t *testing.T) {
	r, _ := docker(t, false)
	if !r.builder.Layouts(t.Context(), r.env) {
		t.Error("it is said not to take OCI layouts")
	}
	t.Run("suite", r.suite)
	t.Run("an image that only the engine holds", r.testLocal)
	t.Run("an image by a layout", func(t *testing.T) {
		alpine := testenv.Images(t)["alpine"]
		res := r.do(t, "FROM alpine:3\nRUN echo by layout\n", func(req *engine.Request) {
			req.Routes = []engine.Route{{Host: "docker.io", Prefix: "127.0.0.1:1/docker.io"}}
			req.Contexts = map[string]string{"alpine:3": "oci-layout://" + alpine.Dir + "@" + alpine.Digest.String()}
		})
		if res.Outcome != engine.Built {
			t.Errorf("got %q, %+v", res.Outcome, res.Failure)
		}
	})
	t.Run("healing", func(t *testing.T) {
		if err := r.builder.Heal(t.Context(), r.env); err != nil {
			t.Error(err)
		}
	})
}

func TestDockerEngineWithGraphDriver(t *testing.T) {
	r, _ := docker(t, true)
	if r.builder.Layouts(t.Context(), r.env) {
		t.Error("it is said to take OCI layouts")
	}
	if res := r.do(t, "FROM alpine:3\nRUN echo\n", nil); res.Outcome != engine.Built {
		t.Errorf("got %q, %+v", res.Outcome, res.Failure)
	}
	t.Run("an image that only the engine holds", r.testLocal)
}

// testLocal builds on an image that was built on this engine and is nowhere
// else, and whose name a route would take.
func (r rig) testLocal(t *testing.T) {
	if res := r.do(t, "FROM alpine:3\nRUN echo mine >/mine\n", func(req *engine.Request) { req.Args = append(req.Args, "-t", "mine") }); res.Outcome != engine.Built {
		t.Fatalf("got %q, %+v", res.Outcome, res.Failure)
	}
	const mine = "docker.io/library/mine:latest"
	local, err := r.builder.Local(t.Context(), r.env, []string{mine, "docker.io/library/alpine:3", "docker.io/library/nowhere:1"}, nil)
	if err != nil || !slices.Equal(local, []string{mine}) {
		t.Fatalf("got %q, %v, want %s alone", local, err, mine)
	}
	dockerfile := "FROM mine\nRUN cat /mine && echo built\nFROM alpine:3\nCOPY --from=mine /mine /\n"
	without := r.do(t, dockerfile, nil)
	if without.Outcome != engine.Failed || without.FailedStep() == nil {
		t.Errorf("through the gateway: got %q: keeping it has become needless", without.Outcome)
	}
	res := r.do(t, dockerfile, func(req *engine.Request) { req.Keep = local })
	if res.Outcome != engine.Built {
		t.Errorf("kept: got %q, %+v", res.Outcome, res.Failure)
	}
}

func TestBuildKitInAContainer(t *testing.T) {
	r, d := docker(t, false)
	images := testenv.Images(t)
	if err := d.Load(t.Context(), images["buildkit"]); err != nil {
		t.Fatal(err)
	}
	buildx := func(args ...string) {
		t.Helper()
		out, err := testenv.Run(t.Context(), r.env, append([]string{testenv.Tool(t, "buildx")}, args...)...)
		if err != nil {
			t.Fatalf("buildx %q: %v\n%s", args, err, out)
		}
	}
	buildx("create", "--name", "box", "--driver", "docker-container", "--driver-opt", "image="+images["buildkit"].Refs[0])
	t.Cleanup(func() {
		if out, err := testenv.Run(context.WithoutCancel(t.Context()), r.env, testenv.Tool(t, "buildx"), "rm", "--force", "box"); err != nil {
			t.Logf("buildx rm: %v\n%s", err, out)
		}
	})
	alpine := images["alpine"]
	layout := "oci-layout://" + alpine.Dir + "@" + alpine.Digest.String()
	r.args = readArgs("--builder=box")
	r.choose(t)
	if r.builder.Driver != "docker-container" || r.builder.Nodes[0].Status != "inactive" {
		t.Errorf("got %+v", r.builder)
	}
	if ok, why := r.builder.Reaches(); ok || !strings.Contains(why, "network") {
		t.Errorf("it is said to reach the gateway: %q", why)
	}
	t.Run("the evidence, where it was thought to reach the gateway", func(t *testing.T) {
		res := r.do(t, "FROM alpine:3\nRUN echo\n", nil)
		if res.Outcome != engine.Failed || !res.GatewayUnreachable {
			t.Errorf("got %q, unreachable %t, %+v", res.Outcome, res.GatewayUnreachable, res.Failure)
		}
	})
	t.Run("by a layout", func(t *testing.T) {
		res := r.do(t, "FROM alpine:3\nRUN echo\n", func(req *engine.Request) {
			req.Contexts = map[string]string{"alpine:3": layout}
		})
		if res.Outcome != engine.Built {
			t.Errorf("got %q, %+v", res.Outcome, res.Failure)
		}
	})
	r.args, r.routes = readArgs("--builder=box", "--build-context=alpine:3="+layout), nil
	t.Run("suite", r.suite)
	t.Run("healing", func(t *testing.T) {
		if err := r.builder.Heal(t.Context(), r.env); err != nil {
			t.Error(err)
		}
	})
}

func readArgs(args ...string) buildx.Args { return buildx.ReadArgs(args) }
