package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/plan"
)

// card has a check worth a point for each of a hundred, of which percent pass.
func card(percent int, needed bool) health.Scorecard {
	c := health.Category{Name: "services", Points: 100}
	for i := range 100 {
		k := health.Check{Name: fmt.Sprint("service ", i), OK: i < percent, Needed: needed}
		if !k.OK {
			k.Kind = fault.Outage
		}
		c.Checks = append(c.Checks, k)
	}
	return health.Scorecard{Known: needed, Categories: []health.Category{c}}
}

// with adds a category to a card.
func with(s health.Scorecard, more ...health.Category) health.Scorecard {
	s.Categories = append(slices.Clone(s.Categories), more...)
	return s
}

var all = []plan.Cache{plan.Actions, plan.Registry, plan.Local}

func TestMatrix(t *testing.T) {
	bad := health.Check{Name: "actions", Kind: fault.HTML}
	for _, tt := range []struct {
		name    string
		card    health.Scorecard
		known   bool
		want    plan.Strategy
		timeout time.Duration
		caches  []plan.Cache
	}{
		{"0", card(0, true), true, plan.Emergency, 15 * time.Minute, nil},
		{"39", card(39, true), true, plan.Emergency, 15 * time.Minute, nil},
		{"40", card(40, true), true, plan.Conservative, 20 * time.Minute, []plan.Cache{plan.Local}},
		{"59", card(59, true), true, plan.Conservative, 20 * time.Minute, []plan.Cache{plan.Local}},
		{"60", card(60, true), true, plan.Resilient, 30 * time.Minute, []plan.Cache{plan.Local, plan.Registry}},
		{"79", card(79, true), true, plan.Resilient, 30 * time.Minute, []plan.Cache{plan.Local, plan.Registry}},
		{"80", card(80, true), true, plan.Optimal, 40 * time.Minute, all},
		{"100", card(100, true), true, plan.Optimal, 40 * time.Minute, all},
		{"nothing measured", health.Scorecard{}, true, plan.Optimal, 40 * time.Minute, all},
		{"all is down, and nothing of it is needed", card(0, false), true, plan.Optimal, 40 * time.Minute, all},
		{"all is down, and the Dockerfile is not at hand", card(0, false), false, plan.Emergency, 15 * time.Minute, nil},
		{"the whole card where the Dockerfile is not at hand", card(60, false), false, plan.Resilient, 30 * time.Minute, []plan.Cache{plan.Local, plan.Registry}},
		{"a category that is not applicable is taken out", with(card(80, true), health.Category{Name: "actions", Points: 20}), true, plan.Optimal, 40 * time.Minute, all},
		{"a category that is down and not needed", with(card(80, true), health.Category{Name: "actions", Points: 900, Checks: []health.Check{bad}}), true, plan.Optimal, 40 * time.Minute, all},
		{"a category that is down and counts", with(card(80, false), health.Category{Name: "actions", Points: 40, Checks: []health.Check{bad}}), false, plan.Conservative, 20 * time.Minute, []plan.Cache{plan.Local}},
		{"a category without points", with(card(80, true), health.Category{Name: "own", Checks: []health.Check{{Needed: true}}}), true, plan.Optimal, 40 * time.Minute, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.card.Known = tt.known
			got := plan.Choose(plan.Input{Card: tt.card, Caches: all, Reach: true})
			if got.Strategy != tt.want || got.Timeout != tt.timeout || !cmp.Equal(got.Caches, tt.caches) {
				t.Errorf("got %s, %v, %v, want %s, %v, %v", got.Strategy, got.Timeout, got.Caches, tt.want, tt.timeout, tt.caches)
			}
		})
	}
}

func TestLevelsOfTheSettings(t *testing.T) {
	levels := plan.Levels{plan.Optimal: {AtLeast: 95, Timeout: time.Hour}, plan.Resilient: {AtLeast: 90, Timeout: time.Minute}}
	for percent, want := range map[int]plan.Strategy{95: plan.Optimal, 94: plan.Resilient, 89: plan.Conservative, 40: plan.Conservative, 39: plan.Emergency, -1: plan.Emergency} {
		if got := levels.For(percent); got != want {
			t.Errorf("%d%%: got %s, want %s", percent, got, want)
		}
	}
	if got := plan.Choose(plan.Input{Card: card(96, true), Levels: levels, Reach: true}); got.Timeout != time.Hour {
		t.Errorf("got %v, want the timeout of the settings", got.Timeout)
	}
}

func TestRoads(t *testing.T) {
	on := func(road plan.Road, p plan.Past) plan.Past { p.Plan.Road = road; return p }
	unreachable := on(plan.Gateway, plan.Past{Unreachable: true})
	poisoned, another := on(plan.Gateway, plan.Past{Spoiled: "a"}), on(plan.Gateway, plan.Past{Spoiled: "b"})
	for _, tt := range []struct {
		name string
		in   plan.Input
		road plan.Road
		heal bool
	}{
		{"the builder reaches the gateway", plan.Input{Reach: true}, plan.Gateway, false},
		{"it does not", plan.Input{}, plan.Contexts, false},
		{"it does not, and takes no layouts", plan.Input{Sealed: true}, plan.Direct, false},
		{"it did not, and takes no layouts", plan.Input{Reach: true, Sealed: true, Past: []plan.Past{unreachable}}, "", false},
		{"no gateway wanted", plan.Input{Reach: true, Off: true}, plan.Direct, false},
		{"it did not, after all", plan.Input{Reach: true, Past: []plan.Past{unreachable}}, plan.Contexts, false},
		{"not by any road", plan.Input{Past: []plan.Past{on(plan.Contexts, plan.Past{Unreachable: true})}}, "", false},
		{"spoiled bytes are let go of", plan.Input{Reach: true, Past: []plan.Past{poisoned}}, plan.Gateway, true},
		{"once", plan.Input{Reach: true, Past: []plan.Past{poisoned, poisoned}}, "", false},
		{"poisoned after another failure", plan.Input{Reach: true, Past: []plan.Past{unreachable, on(plan.Contexts, plan.Past{Spoiled: "a"})}}, plan.Contexts, true},
		{"and of other spoiled bytes that come to light then", plan.Input{Reach: true, Past: []plan.Past{poisoned, another}}, plan.Gateway, true},
		{"no more than the limit", plan.Input{Limit: 1, Past: []plan.Past{unreachable}}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := plan.Choose(tt.in)
			if got.Road != tt.road || got.Heal != tt.heal {
				t.Errorf("got road %q, heal %v, want %q, %v", got.Road, got.Heal, tt.road, tt.heal)
			}
			if got.None() != (tt.road == "") || !got.None() && len(got.Why) < 2 {
				t.Errorf("got %+v: every choice has a reason", got)
			}
		})
	}
}

func TestForcedStrategy(t *testing.T) {
	failed := plan.Past{Plan: plan.Plan{Road: plan.Gateway}, Diagnosis: diagnose.Diagnosis{Kind: fault.Outage, Retryable: true}}
	for _, past := range [][]plan.Past{nil, {failed}} {
		got := plan.Choose(plan.Input{Card: card(0, true), Forced: plan.Resilient, Reach: true, Past: past})
		if got.Strategy != plan.Resilient {
			t.Errorf("after %d attempts: got %s, want what the user said", len(past), got.Strategy)
		}
	}
}

func TestDockerfileResilient(t *testing.T) {
	for _, tt := range []struct {
		percent int
		there   bool
		want    plan.Variant
	}{
		{100, true, plan.Users}, {79, true, plan.Prepared}, {0, true, plan.Prepared}, {79, false, plan.Users},
	} {
		if got := plan.Choose(plan.Input{Card: card(tt.percent, true), Resilient: tt.there}); got.Dockerfile != tt.want {
			t.Errorf("%d%%, there %v: got %s, want %s", tt.percent, tt.there, got.Dockerfile, tt.want)
		}
	}
}

func TestAfterAFailure(t *testing.T) {
	type d = diagnose.Diagnosis
	outage := d{Kind: fault.Outage, Service: "registry", Retryable: true, FallbackHelps: true}
	type want struct {
		none     bool
		strategy plan.Strategy
		caches   []plan.Cache
		users    bool // caches
		rebuild  []string
		waits    int
		finish   bool
	}
	for _, tt := range []struct {
		name string
		past []plan.Past
		want want
	}{
		{"the user's own error", []plan.Past{{Diagnosis: d{Kind: fault.Compile, UserError: true}}}, want{none: true}},
		{"the user's own error, which another try would pass", []plan.Past{{Diagnosis: d{Kind: fault.Test, UserError: true, Retryable: true}}}, want{none: true}},
		{"nobody knows", []plan.Past{{Diagnosis: d{Kind: fault.Unknown}}}, want{none: true}},
		{"the time of the strategy is up", []plan.Past{{TimedOut: true, Diagnosis: d{Kind: fault.Timeout, Retryable: true}}}, want{none: true}},
		{"a service failed", []plan.Past{{Diagnosis: outage}}, want{strategy: plan.Resilient, caches: []plan.Cache{plan.Local, plan.Registry}, users: true, waits: 1}},
		{"twice", []plan.Past{{Diagnosis: outage}, {Diagnosis: outage}}, want{strategy: plan.Conservative, caches: []plan.Cache{plan.Local}, users: true, waits: 2}},
		{"as often as is allowed", []plan.Past{{Diagnosis: outage}, {Diagnosis: outage}, {Diagnosis: outage}}, want{none: true}},
		{"a cache that could not be read", []plan.Past{{Plan: plan.Plan{Caches: []plan.Cache{plan.Registry}}, Diagnosis: d{Kind: fault.CacheImport}}},
			want{strategy: plan.Optimal, caches: []plan.Cache{plan.Actions, plan.Local}, users: true}},
		{"a cache that the user named", []plan.Past{{Plan: plan.Plan{UsersCaches: true}, Diagnosis: d{Kind: fault.CacheExport}}},
			want{strategy: plan.Optimal, caches: all}},
		{"a cache that is known to have broken, after as many attempts as are allowed",
			[]plan.Past{{Diagnosis: outage}, {LeftOut: true, Plan: plan.Plan{Caches: all, UsersCaches: true}, Diagnosis: d{Kind: fault.CacheImport, Retryable: true}},
				{LeftOut: true, Diagnosis: d{Kind: fault.CacheImport, Retryable: true}}},
			want{strategy: plan.Resilient, caches: []plan.Cache{plan.Local, plan.Registry}, users: true}},
		{"a cache that is out already", []plan.Past{{Diagnosis: d{Kind: fault.CacheExport}}}, want{none: true}},
		{"the Actions cache has an outage page", []plan.Past{{Plan: plan.Plan{UsersCaches: true}, Diagnosis: d{Kind: fault.HTML, Service: "gha-cache", Retryable: true}}},
			want{strategy: plan.Optimal, caches: all}},
		{"the builder went away", []plan.Past{{Diagnosis: d{Kind: fault.Engine, Retryable: true}}}, want{strategy: plan.Optimal, caches: all, users: true, waits: 1}},
		{"a push", []plan.Past{{Made: true, Diagnosis: outage}}, want{strategy: plan.Optimal, caches: all, users: true, finish: true, waits: 1}},
		{"a push that is not allowed", []plan.Past{{Made: true, Diagnosis: d{Kind: fault.Auth, UserError: true}}}, want{none: true}},
		{"a cache, of an image that was made", []plan.Past{{Made: true, Plan: plan.Plan{UsersCaches: true}, Diagnosis: d{Kind: fault.CacheExport}}},
			want{strategy: plan.Optimal, caches: all, finish: true}},
		{"the disk is full", []plan.Past{{Diagnosis: d{Kind: fault.Resource}}}, want{none: true}},
		{"a download failed in silence", []plan.Past{{Swallowed: true, Stage: "build", Diagnosis: d{Kind: fault.Dependency, UserError: true}}},
			want{strategy: plan.Resilient, caches: []plan.Cache{plan.Local, plan.Registry}, users: true, rebuild: []string{"build"}, waits: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := plan.Input{Card: card(100, true), Caches: all, Reach: true, Past: tt.past}
			for i := range in.Past {
				in.Past[i].Plan.Road = plan.Gateway
			}
			got := plan.Choose(in)
			if got.None() || tt.want.none {
				if got.None() != tt.want.none {
					t.Fatalf("got %+v, want no attempt: %v", got, tt.want.none)
				}
				return
			}
			w := want{false, got.Strategy, got.Caches, got.UsersCaches, got.Rebuild, got.Pause.Failures, got.Finish}
			if diff := cmp.Diff(tt.want, w, cmp.AllowUnexported(want{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSubstitutes(t *testing.T) {
	needs := []dockerfile.Need{
		{Kind: dockerfile.Image, As: "a", Ref: "r/a:1", Host: "r", Substitutes: []string{"r/b:1", "r/c:1"}},
		{Kind: dockerfile.Image, As: "x", Ref: "r/x:1", Host: "r"},
	}
	failed := func(absent ...string) []plan.Past {
		return []plan.Past{{Plan: plan.Plan{Road: plan.Gateway}, Absent: absent, Diagnosis: diagnose.Diagnosis{UserError: true}}}
	}
	for _, tt := range []struct {
		name   string
		absent []string
		past   []plan.Past
		want   map[string]string
		none   bool
	}{
		{"all are there", nil, nil, nil, false},
		{"the first is absent", []string{"r/a:1"}, nil, map[string]string{"r/a:1": "r/b:1"}, false},
		{"the first two are", []string{"r/a:1", "r/b:1"}, nil, map[string]string{"r/a:1": "r/c:1"}, false},
		{"none is there", []string{"r/a:1", "r/b:1", "r/c:1"}, nil, nil, false},
		{"one without substitutes", []string{"r/x:1"}, nil, nil, false},
		{"the first was seen to be absent in the build", nil, failed("r/a:1"), map[string]string{"r/a:1": "r/b:1"}, false},
		{"and nothing can stand in", nil, failed("r/x:1"), nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := plan.Choose(plan.Input{Needs: needs, Reach: true, Absent: tt.absent, Past: tt.past})
			if got.None() != tt.none || !cmp.Equal(got.Substitutes, tt.want) {
				t.Errorf("got %v (no attempt: %v), want %v (%v)", got.Substitutes, got.None(), tt.want, tt.none)
			}
			for ref, s := range got.Substitutes {
				if !slices.ContainsFunc(got.Why, func(w string) bool { return strings.Contains(w, s+" stands in for "+ref) }) {
					t.Errorf("got %q: a substitute is never silent", got.Why)
				}
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	var b health.Board
	at := time.Unix(1, 0)
	for range 3 {
		b.Record(health.Observation{Endpoint: "origin", At: at, Kind: fault.Timeout})
	}
	got := plan.Choose(plan.Input{
		Needs:   []dockerfile.Need{{Kind: dockerfile.Image, Ref: "r/a:1", Host: "r"}, {Kind: dockerfile.Packages, Ref: "apt"}},
		Sources: map[string][]string{"r": {"origin", "mirror"}, "other": {"other"}},
		Health:  b.Snapshot(at), Reach: true,
	})
	if diff := cmp.Diff(map[string][]string{"r": {"mirror", "origin", "local store"}}, got.Routes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Contains(got.Why, "r: mirror is asked before origin, which does not answer") {
		t.Errorf("got %q, want the reason for the order", got.Why)
	}
}

// TestTheSameInputGivesTheSamePlan makes inputs by chance, which testing/quick
// repeats from its seed.
func TestTheSameInputGivesTheSamePlan(t *testing.T) {
	check := func(seed uint64) bool {
		in := random(rand.New(rand.NewPCG(seed, 1)))
		first := plan.Choose(in)
		return cmp.Equal(first, plan.Choose(in)) && (first.None() || len(first.Why) >= 4 && first.Timeout > 0 && first.Strategy != "")
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func random(r *rand.Rand) plan.Input {
	some := func(of ...string) []string {
		return slices.DeleteFunc(of, func(string) bool { return r.IntN(2) == 0 })
	}
	in := plan.Input{Card: card(r.IntN(101), r.IntN(2) == 0), Reach: r.IntN(2) == 0, Sealed: r.IntN(2) == 0,
		Off: r.IntN(4) == 0, Resilient: r.IntN(2) == 0, Absent: some("r/a:1", "r/b:1", "q/a:1"), Limit: r.IntN(5),
		Sources: map[string][]string{"r": {"one", "two"}, "q": {"three"}}, Cached: map[string]bool{"r/a:1": true}}
	for _, ref := range []string{"r/a:1", "q/a:1", "r/d:1"} {
		in.Needs = append(in.Needs, dockerfile.Need{Kind: dockerfile.Image, As: ref, Ref: ref, Host: ref[:1], Substitutes: some("r/b:1", "r/c:1")})
	}
	for range r.IntN(3) {
		in.Past = append(in.Past, plan.Past{Plan: plan.Plan{Road: plan.Gateway, Caches: []plan.Cache{plan.Local}},
			Diagnosis: diagnose.Diagnosis{Kind: fault.Kinds()[r.IntN(len(fault.Kinds()))], Retryable: r.IntN(2) == 0, UserError: r.IntN(2) == 0},
			Spoiled:   []string{"", "a", "b"}[r.IntN(3)], Unreachable: r.IntN(3) == 0, Absent: some("r/d:1"), Swallowed: r.IntN(3) == 0, Stage: "s"})
	}
	return in
}
