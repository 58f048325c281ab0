package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// failing breaks the sites: docker.io's origin hangs, its first mirror spoils
// blobs, gcr.io's origin answers with a page.
func (b *bench) failing() {
	b.t.Helper()
	docker, gcr := b.cloud.Sites[0], b.cloud.Sites[1]
	for _, err := range []error{
		docker.Origin.Play(faultnet.Always(faultnet.Hang())),
		docker.Mirrors[0].Play(faultnet.Script{{Place: faultnet.Blob, Fault: faultnet.WrongByte()}}),
		gcr.Origin.Play(faultnet.Always(faultnet.OKHTML())),
	} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// down makes every place silent.
func (b *bench) down() {
	b.t.Helper()
	for _, s := range b.cloud.Sites {
		for _, p := range append(s.Mirrors, s.Origin) {
			if err := p.Play(faultnet.Always(faultnet.Hang())); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

const twoBases = `FROM alpine:3 AS base
RUN echo from the base >/made
FROM gcr.io/distroless/static:nonroot
COPY --from=base /made /made
`

func TestOutlastStartsAndStopsABuildKitOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	b.env = []string{"BUILDKIT_HOST=", "DOCKER_HOST=unix:///nowhere.sock"}
	b.failing()
	t.Cleanup(func() { b.runIn(context.WithoutCancel(t.Context()), "engine", "stop") })
	b.run("engine", "status").want(t, 0, "not running")
	dir := b.context(twoBases)
	b.build(dir).want(t, 0, "built")
	b.run("engine", "status").want(t, 0, "running")
	b.build(dir, "--output", "type=cacheonly").want(t, 0, "CACHED")
	b.run("engine", "stop").want(t, 0)
	b.run("engine", "status").want(t, 0, "not running")
}

func TestNoEngineIsOneClearError(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	b.env = []string{"BUILDKIT_HOST=unix:///nowhere.sock", "DOCKER_HOST=unix:///nowhere.sock", "PATH=" + t.TempDir()}
	alone := filepath.Join(b.dir, "outlast") // away from the tools
	if err := os.Link(b.outlast, alone); err != nil {
		data, err := os.ReadFile(b.outlast)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(alone, data, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.outlast = alone
	got := b.build(b.context(twoBases))
	got.want(t, 4, "outlast: error:")
	if n := strings.Count(got.stderr, "outlast: error:"); n != 1 {
		t.Errorf("got %d errors, want one:\n%s", n, got.stderr)
	}
}

func TestABuilderThatDoesNotAnswerIsOneClearError(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	b.build(b.context(twoBases), "--builder", "nowhere").want(t, 4, "outlast: error:", "nowhere")
}

// dockerEngine lets the bench build on a Docker Engine.
func dockerEngine(t *testing.T) (*bench, *testenv.Dockerd) {
	t.Helper()
	b := newBench(t, publicSites)
	d := testenv.NewDockerd(t, testenv.DockerdOptions{})
	b.env = []string{"BUILDKIT_HOST=", "DOCKER_HOST=" + d.Host()}
	return b, d
}

func TestOnADockerEngine(t *testing.T) {
	t.Parallel()
	b, d := dockerEngine(t)
	b.failing()
	dir := b.context(twoBases)
	b.build(dir, "-t", "app:dev").want(t, 0, "spoiled", "HTML page")
	if out, err := d.Run(t.Context(), "image", "inspect", "app:dev"); err != nil {
		t.Errorf("the image is not in the engine: %v\n%s", err, out)
	}

	t.Run("an image that only the engine holds", func(t *testing.T) {
		b.build(b.context("FROM app:dev\nCOPY --from=app:dev /made /again\n"), "-t", "app:next").want(t, 0)
	})
	t.Run("a bridged network for RUN", func(t *testing.T) {
		b.build(b.context("FROM alpine:3\nRUN ip addr show eth0\n"), "-t", "app:net").want(t, 0)
	})
	t.Run("with everything down and the store warm", func(t *testing.T) {
		b.down()
		b.build(dir, "--no-cache", "-t", "app:stale").want(t, 0, "stale")
	})
}

func TestOnBuildKitInAContainer(t *testing.T) {
	t.Parallel()
	b, d := dockerEngine(t)
	images := testenv.Images(t)
	if err := d.Load(t.Context(), images["buildkit"]); err != nil {
		t.Fatal(err)
	}
	x := *b.buildx
	x.Env = b.env
	if out, err := x.Run(t.Context(), "create", "--name", "box", "--driver", "docker-container", "--driver-opt", "image="+images["buildkit"].Refs[0]); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { x.Run(context.WithoutCancel(t.Context()), "rm", "--force", "box") })
	b.failing()
	dir := b.context(twoBases)
	out := testenv.TempDir(t)
	b.build(dir, "--builder", "box", "--output", "type=local,dest="+out).want(t, 0, "spoiled", "HTML page")
	made, err := os.ReadFile(out + "/made")
	if err != nil || string(made) != "from the base\n" {
		t.Errorf("got %q, %v", made, err)
	}
	t.Run("with everything down and the store warm", func(t *testing.T) {
		b.down()
		b.build(dir, "--builder", "box", "--no-cache").want(t, 0, "stale")
	})
	t.Run("the current builder", func(t *testing.T) {
		if out, err := x.Run(t.Context(), "use", "box"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := b.cloud.Heal(); err != nil {
			t.Fatal(err)
		}
		b.build(dir).want(t, 0)
	})
}
