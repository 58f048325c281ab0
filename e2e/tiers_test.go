package e2e

import (
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// cacheDoor is an empty registry behind a door that can fail.
func cacheDoor(t *testing.T) *faultnet.Service {
	t.Helper()
	// That of distribution takes no index of layers, which BuildKit wrote before
	// there was image-manifest=true.
	door := &faultnet.Service{Backend: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	start(t, door)
	return door
}

// plainly builds with buildx itself, on a builder that stock made.
func (b *bench) plainly(t *testing.T, args ...string) result {
	t.Helper()
	out, err := b.buildx.Run(t.Context(), append([]string{"build", "--builder", "stock", "--progress", "plain"}, args...)...)
	r := result{stdout: out}
	if err != nil {
		r.code, r.stderr = 1, err.Error()
	}
	return r
}

var stepRan = regexp.MustCompile(`(?m)^#\d+ [\d.]+ RAN `)

// wantRuns fails where another number of RUNs ran than came from no cache. The
// log of a step whose layers are fetched late does not say that it is cached.
func wantRuns(t *testing.T, r result, want int) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("got exit code %d:\n%s", r.code, r.text())
	}
	if ran := len(stepRan.FindAllString(r.text(), -1)); ran != want {
		t.Errorf("%d steps ran, want %d:\n%s", ran, want, r.text())
	}
}

const twoStages = `FROM alpine:3 AS one
RUN echo RAN one | tee /one
RUN echo RAN two | tee /two
FROM alpine:3
COPY --from=one /one /two /
RUN echo RAN three | tee /three
`

// A cache that Outlast sent is one that stock BuildKit imports.
func TestACacheIsSentToItsRegistry(t *testing.T) {
	b := newBench(t, publicSites)
	b.stock()
	context := b.context(twoStages)
	image := "--output=type=oci,dest=" + filepath.Join(testenv.TempDir(t), "image.tar")

	t.Run("that of the settings", func(t *testing.T) {
		backend, err := faultnet.NewProxy(testenv.NewRegistry(t, testenv.RegistryOptions{}).URL)
		if err != nil {
			t.Fatal(err)
		}
		door := &faultnet.Service{Backend: backend}
		start(t, door)
		ref := door.Host() + "/app:cache"
		bb := *b
		bb.env = []string{"CACHE_REGISTRY_REF=" + ref}
		bb.build(context, image).want(t, 0, "its cache is sent to "+ref)
		b.forget(t)
		wantRuns(t, b.plainly(t, "--cache-from=type=registry,ref="+ref, image, context), 0)
		b.forget(t)
		puts := count(door, http.MethodPut)
		wantRuns(t, bb.build(context, image), 0)
		if n := count(door, http.MethodPut) - puts; n != 1 {
			t.Errorf("the cache that did not change was sent with %d PUTs, want its manifest alone", n)
		}
	})
	for _, form := range []string{"mode=max,image-manifest=false", "mode=max,compression=zstd"} {
		t.Run("one that the user names, with "+form, func(t *testing.T) {
			ref := cacheDoor(t).Host() + "/team/app:cache"
			b.forget(t)
			r := b.build(context, image, "--cache-to", "type=registry,ref="+ref+","+form)
			wantRuns(t, r, 3)
			if strings.Contains(r.text(), "was not sent") {
				t.Fatal(r.text())
			}
			b.forget(t)
			wantRuns(t, b.plainly(t, "--cache-from", ref, image, context), 0)
			b.forget(t)
			wantRuns(t, b.build(context, image, "--cache-from", ref), 0)
		})
	}
	t.Run("a folder that the user names, which holds more than a cache", func(t *testing.T) {
		dir := filepath.Join(testenv.TempDir(t), "cache")
		flags := []string{"--cache-from=type=local,src=" + dir, "--cache-to=type=local,mode=max,dest=" + dir, image}
		b.forget(t)
		wantRuns(t, b.build(context, flags...), 3)
		mine := filepath.Join(dir, "mine")
		if err := os.WriteFile(mine, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		b.forget(t)
		wantRuns(t, b.build(context, flags...), 0)
		b.forget(t)
		wantRuns(t, b.plainly(t, append(flags[:1:1], image, context)...), 0)
		if _, err := os.Stat(mine); err != nil {
			t.Error(err)
		}
	})
}

// with returns the bench with a store of its own, short limits and variables.
func (b *bench) with(t *testing.T, env ...string) *bench {
	t.Helper()
	bb := *b
	bb.t, bb.dir = t, testenv.TempDir(t)
	bb.env = append([]string{"OUTLAST_FETCH_HEADER=1s", "OUTLAST_FETCH_IDLE=1s", "OUTLAST_FETCH_BUDGET=1s"}, env...)
	return &bb
}

// ills are what a registry that holds a cache may do. docs/caches.md has what
// stock BuildKit makes of them.
var ills = []faultnet.Fault{faultnet.Status(503), faultnet.StatusHTML(400, faultnet.OutagePage), faultnet.OKHTML(), faultnet.Hang(), faultnet.Status(401)}

// A registry cache that fails, wherever it does, costs the build a line, and
// nothing is left of it in the daemon: a plain build of the same steps works at
// once. What is well when it is looked up, and not when a layer is needed, is
// left out, and the build goes on with the rest.
func TestACacheThatFails(t *testing.T) {
	b := newBench(t, publicSites)
	b.stock()
	context := b.context(twoStages)
	image := "--output=type=oci,dest=" + filepath.Join(testenv.TempDir(t), "image.tar")
	door := cacheDoor(t)
	ref := door.Host() + "/app:cache"
	wantRuns(t, b.with(t, "CACHE_REGISTRY_REF="+ref).build(context, image), 3)

	// At the look-up and at the export nothing is asked of the builder that it
	// does not have: what is left of the time is the cache's.
	for _, fail := range ills {
		play := func(t *testing.T, rows ...faultnet.Row) {
			t.Helper()
			if err := door.Play(rows); err != nil {
				t.Fatal(err)
			}
		}
		well := func(t *testing.T, r result, line string, ran int) {
			t.Helper()
			r.want(t, 0, line)
			if r.took > 40*time.Second {
				t.Errorf("took %v", r.took)
			}
			if ran > 0 {
				b.forget(t)
			}
			wantRuns(t, b.plainly(t, image, context), ran)
		}
		t.Run("the look-up: "+fail.String(), func(t *testing.T) {
			play(t, faultnet.Row{Fault: fail})
			well(t, b.with(t).build(context, image, "--no-retry", "--cache-from", ref), "the cache "+ref+" was not read: "+door.Host(), 0)
		})
		t.Run("the export: "+fail.String(), func(t *testing.T) {
			play(t, faultnet.Row{Fault: fail})
			well(t, b.with(t).build(context, image, "--no-retry", "--cache-to", "type=registry,ref="+ref), "its cache was not sent to "+ref, 0)
		})
		if fail.String() != faultnet.OKHTML().String() && fail.String() != faultnet.Hang().String() {
			continue // for a layer these are one road: the gateway has no source for it
		}
		t.Run("a layer: "+fail.String(), func(t *testing.T) {
			b.forget(t)
			// The first blob is the configuration.
			play(t, faultnet.Row{Method: http.MethodGet, Path: regexp.MustCompile("/blobs/"), On: faultnet.From(2), Fault: fail})
			well(t, b.with(t).build(context, image, "--no-retry", "--cache-from", ref), "the cache "+ref+" broke while it was read: it stays out of this build", 3)
		})
	}
	t.Run("a layer in a folder, after it was proved", func(t *testing.T) {
		dir := filepath.Join(testenv.TempDir(t), "cache")
		b.forget(t)
		wantRuns(t, b.with(t, "CACHE_LOCAL_PATH="+dir).build(context, image), 3)
		b.forget(t)
		go spoilView(t, dir)
		r := b.with(t, "CACHE_LOCAL_PATH="+dir).build(context, image, "--no-retry")
		r.want(t, 0, "the cache "+dir+" broke while it was read: it stays out of this build")
		b.forget(t)
		wantRuns(t, b.plainly(t, image, context), 3)
	})
}

// spoilView flips a byte of each step's layer in the view that a build makes of
// a cache, as soon as all in it was proved.
func spoilView(t *testing.T, dir string) {
	var view []string
	for len(view) == 0 && t.Context().Err() == nil {
		view, _ = filepath.Glob(filepath.Join(filepath.Dir(dir), ".cache.outlast-*", "index.json"))
	}
	blobs, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".cache.outlast-*", "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Errorf("got %d blobs, %v", len(blobs), err)
	}
	for _, blob := range blobs {
		data, err := os.ReadFile(blob)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(string(data), "{") && len(data) < 1000 {
			data[len(data)/2] ^= 1
			if err := os.WriteFile(blob, data, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
}

func count(s *faultnet.Service, method string) int {
	n := 0
	for _, e := range s.Log() {
		if strings.EqualFold(e.Method, method) {
			n++
		}
	}
	return n
}
