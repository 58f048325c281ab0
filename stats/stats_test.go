package stats_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func TestWhatABuildMet(t *testing.T) {
	well := record.Service{Endpoint: "r.example.com", Serves: "docker.io", Origin: true, Asked: 3}
	out := record.Service{Endpoint: "r.example.com", Serves: "docker.io", Origin: true, Asked: 3, Failed: map[fault.Kind]int{fault.Outage: 3}}
	partly := record.Service{Endpoint: "r.example.com", Serves: "docker.io", Origin: true, Asked: 3, Failed: map[fault.Kind]int{fault.Outage: 1}}
	mirror := record.Service{Endpoint: "m.example.com", Serves: "docker.io", Asked: 3, Failed: map[fault.Kind]int{fault.Timeout: 3}}
	silent := record.Service{Endpoint: "r.example.com", Serves: "docker.io", Origin: true, Asked: 2, GivenUp: 2}
	lacking := record.Service{Endpoint: "r.example.com", Serves: "docker.io", Origin: true, Asked: 3, Failed: map[fault.Kind]int{fault.NotFound: 3}}
	lost := record.Attempt{Kind: fault.Outage, Diagnosis: &diagnose.Diagnosis{Kind: fault.Outage, Retryable: true}}
	users := record.Attempt{Kind: fault.Build, Diagnosis: &diagnose.Diagnosis{Kind: fault.Compile, UserError: true}}
	good := record.Attempt{}
	for _, tt := range []struct {
		name string
		run  record.Run
		want stats.Outages
	}{
		{"nothing", record.Run{Outcome: record.Built, Attempts: []record.Attempt{good}, Services: []record.Service{well}}, stats.Outages{}},
		{"an origin was out", record.Run{Outcome: record.Built, Attempts: []record.Attempt{good}, Services: []record.Service{out}}, stats.Outages{Met: 1, Survived: 1, Saved: 1, AttemptsSaved: 1}},
		{"an origin was silent", record.Run{Outcome: record.Built, Attempts: []record.Attempt{good}, Services: []record.Service{silent}}, stats.Outages{Met: 1, Survived: 1, Saved: 1, AttemptsSaved: 1}},
		{"an origin failed now and then: another tool might have come through", record.Run{Outcome: record.Built, Services: []record.Service{partly}}, stats.Outages{Met: 1, Survived: 1}},
		{"a mirror was out: without one nobody had asked it", record.Run{Outcome: record.Built, Services: []record.Service{well, mirror}}, stats.Outages{Met: 1, Survived: 1}},
		{"an origin that does not have it is no outage", record.Run{Outcome: record.Failed, Services: []record.Service{lacking}}, stats.Outages{}},
		{"an attempt was lost, and the next succeeded", record.Run{Outcome: record.Built, Attempts: []record.Attempt{lost, good}, Services: []record.Service{well}}, stats.Outages{Met: 1, Survived: 1, Saved: 1, AttemptsLost: 1}},
		{"all attempts were lost", record.Run{Outcome: record.NoSource, Attempts: []record.Attempt{lost, lost}, Services: []record.Service{out}}, stats.Outages{Met: 1, AttemptsLost: 2}},
		{"a tag that nobody could confirm", record.Run{Outcome: record.Built, Stale: []record.Stale{{Name: "x"}}}, stats.Outages{Met: 1, Survived: 1, Saved: 1, AttemptsSaved: 1}},
		{"the user's own mistake", record.Run{Outcome: record.Failed, Attempts: []record.Attempt{users}}, stats.Outages{}},
		{"the user's own mistake, in an outage", record.Run{Outcome: record.Failed, Attempts: []record.Attempt{users}, Services: []record.Service{out}}, stats.Outages{Met: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got stats.Tally
			got.Add(tt.run)
			if got.Outages != tt.want {
				t.Errorf("got %+v, want %+v", got.Outages, tt.want)
			}
		})
	}
}

func TestTalliesMergeInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var whole stats.Tally
	parts := make([]stats.Tally, 5)
	for n := range 200 {
		run := runs.Synthetic(r, begin.Add(time.Duration(n)*time.Hour))
		whole.Add(run)
		parts[r.IntN(len(parts))].Add(run)
	}
	for range 3 {
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var got stats.Tally
		for _, p := range parts {
			got.Merge(p)
		}
		if diff := cmp.Diff(whole, got, cmp.Comparer(func(a, b record.Spread) bool {
			return len(a) == 0 && len(b) == 0 || cmp.Equal(map[int]int(a), map[int]int(b))
		})); diff != "" {
			t.Fatalf("(-whole +merged):\n%s", diff)
		}
	}
}

func TestATallyStaysBounded(t *testing.T) {
	var got stats.Tally
	for n := range 2000 {
		name := string(slices.Repeat([]byte{'a' + byte(n%26)}, 1000)) + time.Duration(n).String()
		run := record.Run{Outcome: record.Outcome(name), Strategy: time.Duration(n).String(),
			Services: []record.Service{{Endpoint: time.Duration(n).String() + name, Serves: name, Asked: 1, Failed: map[fault.Kind]int{fault.Kind(time.Duration(n).String()): 1}}},
			Needs:    []record.Need{{Kind: "image", Ref: time.Duration(n).String() + name}},
			Attempts: []record.Attempt{{Swallowed: time.Duration(n).String() + name, Kind: fault.Outage}}}
		got.Add(run)
	}
	if len(got.Services) > stats.MaxServices+1 || len(got.Images) > stats.MaxImages+1 || len(got.Swallowed) > stats.MaxSteps+1 || len(got.Strategies) > 65 || len(got.Outcomes) > 65 {
		t.Errorf("got %d services, %d images, %d steps, %d strategies, %d outcomes", len(got.Services), len(got.Images), len(got.Swallowed), len(got.Strategies), len(got.Outcomes))
	}
	if others := got.Services[stats.Others]; others == nil || others.Asked != 2000-stats.MaxServices {
		t.Errorf("got %+v for the others", others)
	}
}
