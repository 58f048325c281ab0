package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/plan"
)

func TestMatrix(t *testing.T) {
	for _, tt := range []struct {
		percent int
		want    plan.Strategy
		timeout time.Duration
		caches  []plan.Cache
	}{
		{0, plan.Emergency, 15 * time.Minute, nil},
		{39, plan.Emergency, 15 * time.Minute, nil},
		{40, plan.Conservative, 20 * time.Minute, []plan.Cache{plan.Local}},
		{59, plan.Conservative, 20 * time.Minute, []plan.Cache{plan.Local}},
		{60, plan.Resilient, 30 * time.Minute, []plan.Cache{plan.Local, plan.Registry}},
		{79, plan.Resilient, 30 * time.Minute, []plan.Cache{plan.Local, plan.Registry}},
		{80, plan.Optimal, 40 * time.Minute, []plan.Cache{plan.Actions, plan.Registry, plan.Local}},
		{100, plan.Optimal, 40 * time.Minute, []plan.Cache{plan.Actions, plan.Registry, plan.Local}},
		{-1, plan.Emergency, 15 * time.Minute, nil},
	} {
		got := plan.Choose(plan.Input{Percent: tt.percent, Reach: true})
		if got.Strategy != tt.want || got.Timeout != tt.timeout || !cmp.Equal(got.Caches, tt.caches) {
			t.Errorf("%d%%: got %s, %v, %v, want %s, %v, %v", tt.percent, got.Strategy, got.Timeout, got.Caches, tt.want, tt.timeout, tt.caches)
		}
	}
}

func TestRoads(t *testing.T) {
	unreachable := plan.Past{Road: plan.Gateway, Kind: fault.Build, Unreachable: true}
	poisoned := plan.Past{Road: plan.Gateway, Kind: fault.Build, Poisoned: true}
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
		{"not by any road", plan.Input{Past: []plan.Past{{Road: plan.Contexts, Unreachable: true}}}, "", false},
		{"spoiled bytes are let go of", plan.Input{Reach: true, Past: []plan.Past{poisoned}}, plan.Gateway, true},
		{"once", plan.Input{Reach: true, Past: []plan.Past{poisoned, poisoned}}, "", false},
		{"poisoned after another failure", plan.Input{Reach: true, Past: []plan.Past{unreachable, {Road: plan.Contexts, Poisoned: true}}}, plan.Contexts, true},
		{"a user's own failure is not tried again", plan.Input{Reach: true, Past: []plan.Past{{Road: plan.Gateway, Kind: fault.Build}}}, "", false},
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
			if diff := cmp.Diff(got, plan.Choose(tt.in)); diff != "" {
				t.Errorf("the same input gave another plan:\n%s", diff)
			}
		})
	}
}

func TestForcedStrategy(t *testing.T) {
	got := plan.Choose(plan.Input{Percent: 100, Forced: plan.Emergency, Reach: true})
	if got.Strategy != plan.Emergency || len(got.Caches) != 0 {
		t.Errorf("got %s with caches %v, want emergency with none", got.Strategy, got.Caches)
	}
}
