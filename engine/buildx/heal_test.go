package buildx_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/testenv"
)

// spoiler serves what a registry serves, but while it is set, each blob of some
// size has one byte changed.
func spoiler(t *testing.T, registry string) (host string, spoil *atomic.Bool) {
	t.Helper()
	spoil = new(atomic.Bool)
	target, err := url.Parse("http://" + registry)
	if err != nil {
		t.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(target)
	p.ErrorLog = log.New(io.Discard, "", 0) // BuildKit hangs up on what is spoiled
	p.ModifyResponse = func(r *http.Response) error {
		if !spoil.Load() || !strings.Contains(r.Request.URL.Path, "/blobs/") || r.StatusCode != http.StatusOK || r.ContentLength < 100_000 {
			return nil
		}
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(data))
		return nil
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), spoil
}

func TestHealAfterSpoiledBytes(t *testing.T) {
	testenv.Root(t)
	d := testenv.NewBuildkitd(t, testenv.BuildkitdOptions{KeepSpoiled: true})
	x := testenv.NewBuildx(t)
	host, spoil := spoiler(t, registryRoutes(t)[0].Prefix)
	r := rig{
		routes: []engine.Route{{Host: "docker.io", Prefix: host}},
		env:    append(os.Environ(), append(x.Environ(), "BUILDKIT_HOST="+d.Addr(), "DOCKER_HOST=unix:///nowhere.invalid")...),
	}
	r.choose(t)
	e := &buildx.Engine{Builder: r.builder}
	try := func(dockerfile string) engine.Result {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
			t.Fatal(err)
		}
		res, _ := e.Build(t.Context(), engine.Request{Args: []string{dir}, Env: r.env, Routes: r.routes}, nil)
		return res
	}
	du := func() string {
		t.Helper()
		out, err := testenv.Run(t.Context(), nil, testenv.Tool(t, "buildctl"), "--addr", d.Addr(), "du", "--format", "{{range .}}{{println .ID .Size}}{{end}}")
		if err != nil {
			t.Fatalf("du: %v: %s", err, out)
		}
		return out
	}
	// What the user has: the records of a build that owes nothing to the
	// spoiled image.
	if res := try("FROM scratch\nCOPY Dockerfile /\n"); res.Outcome != engine.Built {
		t.Fatalf("the user's own build: %+v", res.Failure)
	}
	const dockerfile = "FROM alpine:3\nRUN true\n"
	spoil.Store(true)
	res := try(dockerfile)
	if res.Outcome != engine.Failed || res.Spoiled == "" {
		t.Fatalf("spoiled bytes: got %q, spoiled %q, %+v", res.Outcome, res.Spoiled, res.Failure)
	}
	spoil.Store(false)
	if res = try(dockerfile); res.Outcome != engine.Failed || res.Spoiled == "" {
		t.Fatalf("after the registry is well: got %q, spoiled %q: BuildKit has changed, and healing may have become needless", res.Outcome, res.Spoiled)
	}
	before := du()
	if err := r.builder.Heal(t.Context(), r.env); err != nil {
		t.Fatal(err)
	}
	if after := du(); after != before || strings.Count(before, "\n") < 2 {
		t.Errorf("the user's records changed:\nbefore:\n%s\nafter:\n%s", before, after)
	}
	if res = try(dockerfile); res.Outcome != engine.Built {
		t.Errorf("after healing: got %q, %+v", res.Outcome, res.Failure)
	}
}

func TestHealNeverPrunesAnything(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker prune", "Total: 0B\n", "", 0)
	b := buildx.Builder{CLI: f.cli(), Name: "mine"}
	if err := b.Heal(context.Background(), f.env); err != nil {
		t.Fatal(err)
	}
	calls := f.calls(t)
	if len(calls) == 0 {
		t.Error("got no prune at all")
	}
	for _, c := range calls {
		if !strings.Contains(strings.Join(c.Args, " "), "prune --force --filter id=outlast-matches-nothing --builder mine") {
			t.Errorf("got %+v", c)
		}
	}
}
