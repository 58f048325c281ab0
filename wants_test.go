package outlast_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/engine/enginetest"
)

// What the steps of a build asked for is fetched again when the store has lost
// it, and named where nobody has it.
func TestWarmHasWhatTheLastBuildAskedFor(t *testing.T) {
	s := newStage(t)
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "v1.0.0\n")
	}))
	defer proxy.Close()
	s.settings.Packages.Go = []string{proxy.URL}
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN go mod download\n")
	target := outlast.Target{Args: []string{"."}, Dir: s.dir, Env: []string{"PATH="}, Settings: s.settings}
	before, err := outlast.Warm(t.Context(), target, nil)
	if err != nil || before.Packages.Known != 0 {
		t.Fatalf("before any build: got %+v, %v", before, err)
	}
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: download}}}
	if _, err := s.build(e); err != nil {
		t.Fatal(err)
	}
	forget := func() {
		t.Helper()
		store, err := cas.Open(s.settings.Store.Path, s.settings.Store.Size)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		names, err := store.Names("go")
		if err != nil || len(names) == 0 {
			t.Fatalf("got names %q, %v", names, err)
		}
		for _, name := range names {
			if err := store.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	forget()
	asked.Store(0)
	w, err := outlast.Warm(t.Context(), target, nil)
	if err != nil || w.Packages.Known != 1 || len(w.Packages.Missing) != 0 || asked.Load() != 1 {
		t.Errorf("got %+v, %v after %d requests, want what was asked for fetched again", w.Packages, err, asked.Load())
	}
	proxy.Close()
	if w, err := outlast.Warm(t.Context(), target, nil); err != nil || len(w.Packages.Missing) != 0 {
		t.Errorf("from the store: got %+v, %v", w.Packages, err)
	}
	forget()
	if w, err = outlast.Warm(t.Context(), target, nil); err != nil || len(w.Packages.Missing) != 1 || !strings.Contains(w.Packages.Missing[0], "example.com/x/@v/list") {
		t.Errorf("got %+v, %v, want the list of versions named", w.Packages, err)
	}
}
