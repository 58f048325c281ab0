package e2e

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

// freePort returns an address of this network that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Stock buildx, on a builder that outlast made, goes round what fails.
func TestABuilderThatPullsThroughTheGateway(t *testing.T) {
	t.Parallel()
	b, d := dockerEngine(t)
	images := testenv.Images(t)
	if err := d.Load(t.Context(), images["buildkit"]); err != nil {
		t.Fatal(err)
	}
	gateway := freePort(t)
	create := []string{"builder", "create", "team", "--gateway", gateway, "--driver-opt", "image=" + images["buildkit"].Refs[0], "--bootstrap"}
	x := *b.buildx
	x.Env = b.env
	b.run(create...).want(t, 0, "team", "warning: no gateway answers at "+gateway)
	t.Cleanup(func() { x.Run(context.WithoutCancel(t.Context()), "rm", "--force", "team") })
	b.run(create...).want(t, 4, "outlast: error: create builder team")

	b.failing()
	dir := b.context(twoBases)
	stop := b.startGateway(t, gateway)
	build := func(args ...string) (string, error) {
		return x.Run(t.Context(), append(append([]string{"build", "--builder", "team", "--progress", "plain"}, args...), dir)...)
	}
	if out, err := build(); err != nil {
		t.Fatalf("through the gateway: %v\n%s", err, out)
	}
	t.Run("with everything down, from what the gateway keeps", func(t *testing.T) {
		b.down()
		if out, err := x.Run(t.Context(), "prune", "--builder", "team", "--all", "--force"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := build("--no-cache"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("without the gateway, it is a builder like any other", func(t *testing.T) {
		stop()
		out, err := build("--no-cache", "--pull")
		if err == nil || !strings.Contains(out, "docker.io") {
			t.Errorf("got %v, want that there are no registries here\n%s", err, out)
		}
	})
	b.run("builder", "rm", "team").want(t, 0, "team")
	b.run("builder", "rm", "team").want(t, 4, "outlast: error: remove builder team")
}
