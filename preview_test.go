package outlast_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/plan"
)

// A preview tells of the services as they are when it is asked for, of what is
// left where one is down, and of what the first attempt would take.
func TestPreview(t *testing.T) {
	s := newStage(t)
	mirrored := fill(t, s.host+"/base:1")
	var down, mirrorDown atomic.Bool
	s.broken = func(w http.ResponseWriter) bool { return outage(w, &down) }
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !outage(w, &mirrorDown) {
			mirrored.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(mirror.Close)
	s.settings.Registries[s.host] = config.Registry{Origin: s.registry.URL, Mirrors: []config.Mirror{{URL: mirror.URL}}}
	s.settings.Probe.Registries, s.settings.Probe.Proxies, s.settings.Probe.Internet = nil, nil, nil
	s.settings.Cache.Registry = s.host + "/cache:1"
	preview := func() outlast.Preview {
		t.Helper()
		p, err := outlast.PreviewBuild(context.Background(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{"GOPROXY=off"},
			Settings: s.settings, Engine: &enginetest.Engine{}, Survey: outlast.Survey})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var p outlast.Preview
	why := func(part string) bool {
		return slices.ContainsFunc(p.Plan.Why, func(w string) bool { return strings.Contains(w, part) })
	}

	p = preview()
	if p.Plan.Strategy != plan.Optimal || p.Card.Deciding() != 100 || why("itself") || why("local store") || !slices.Contains(p.Plan.Caches, plan.Registry) {
		t.Errorf("all well: got %d%%, %+v", p.Card.Deciding(), p.Plan)
	}
	down.Store(true)
	p = preview()
	if p.Plan.Strategy != plan.Emergency || p.Card.Deciding() != 0 || !why("itself reports an outage; of its mirrors these are well: "+strings.TrimPrefix(mirror.URL, "http://")) {
		t.Errorf("the registry is down: got %d%%, %+v", p.Card.Deciding(), p.Plan)
	}
	mirrorDown.Store(true)
	if p = preview(); !why("itself reports an outage, and no mirror of it is well") || why("local store") {
		t.Errorf("all are down: got %q", p.Plan.Why)
	}
	down.Store(false)
	mirrorDown.Store(false)
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}
	if _, err := s.build(e); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	mirrorDown.Store(true)
	if p = preview(); !why("the local store has what is needed of it") {
		t.Errorf("all are down, and the store has all: got %q", p.Plan.Why)
	}
	s.write(t, "Dockerfile", "# outlast: or "+s.host+"/base:1\nFROM "+s.host+"/gone:1\n")
	if p = preview(); p.Plan.Substitutes[s.host+"/gone:1"] != s.host+"/base:1" {
		t.Errorf("an image that is nowhere: got %+v", p.Plan)
	}
}

func outage(w http.ResponseWriter, on *atomic.Bool) bool {
	if on.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	return false
}
