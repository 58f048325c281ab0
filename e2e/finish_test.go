package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// start starts a service, and closes it at the test's end.
func start(t *testing.T, s *faultnet.Service) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
}

func TestAnImageThatWasMadeIsFinished(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)

	t.Run("a cache that takes nothing costs the build nothing", func(t *testing.T) {
		address, asked := flaky(t, 0)
		cache := &faultnet.Service{Script: faultnet.Always(faultnet.StatusHTML(http.StatusBadRequest, faultnet.OutagePage))}
		start(t, cache)
		image := filepath.Join(t.TempDir(), "image.tar")
		got := b.build(b.context("FROM alpine:3\nRUN wget -qO /got http://"+address+"/\n"),
			"--cache-to", "type=registry,ref="+cache.Host()+"/app:cache", "--no-cache", "--output", "type=oci,dest="+image)
		got.want(t, 0, "the image was made; its cache was not sent to "+cache.Host()+"/app:cache")
		if info, err := os.Stat(image); err != nil || info.Size() == 0 {
			t.Errorf("got %v, want the image", err)
		}
		if asked.Load() != 1 || cache.Count() == 0 {
			t.Errorf("the step ran %d times, the cache was asked %d times, want once, and at all", asked.Load(), cache.Count())
		}
	})
	t.Run("a push that fails once runs no step again", func(t *testing.T) {
		address, asked := flaky(t, 0)
		r := testenv.NewRegistry(t, testenv.RegistryOptions{})
		backend, err := faultnet.NewProxy(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		// BuildKit asks again by itself after a 503, and not after a 400.
		door := &faultnet.Service{Backend: backend, Script: faultnet.Script{{Method: "PUT", On: faultnet.First(1), Fault: faultnet.StatusHTML(http.StatusBadRequest, faultnet.OutagePage)}}}
		start(t, door)
		got := b.build(b.context("FROM alpine:3\nRUN wget -qO /got http://"+address+"/\n"), "-t", door.Host()+"/app:1", "--push", "--no-cache")
		got.want(t, 0, "2 attempts", "could not be sent")
		if n := asked.Load(); n != 1 {
			t.Errorf("the step ran %d times, want once", n)
		}
	})
	for _, tt := range []struct {
		name string
		on   faultnet.Script
		args []string
		code int
		text string
	}{
		{"a push that hangs once is begun again", faultnet.Script{{Method: "POST", On: faultnet.First(1), Fault: faultnet.Hang()}}, nil, 0, "could not be sent"},
		{"a push that hangs for ever has an end", faultnet.Script{{Method: "POST", Fault: faultnet.Hang()}}, []string{"--attempts", "2"}, 3, "in exporting to image, pushing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, asked := flaky(t, 0)
			r := testenv.NewRegistry(t, testenv.RegistryOptions{})
			backend, err := faultnet.NewProxy(r.URL)
			if err != nil {
				t.Fatal(err)
			}
			door := &faultnet.Service{Backend: backend, Script: tt.on}
			start(t, door)
			got := b.build(b.context("FROM alpine:3\nRUN wget -qO /got http://"+address+"/\n"), append(tt.args, "-t", door.Host()+"/app:1", "--push", "--no-cache", "--idle-timeout", "3s")...)
			got.want(t, tt.code, "2 attempts", tt.text, door.Host()+" was asked again: it answers well")
			if n := asked.Load(); n != 1 {
				t.Errorf("the step ran %d times, want once", n)
			}
			if got.took.Seconds() > 45 {
				t.Errorf("took %v", got.took)
			}
		})
	}
}
