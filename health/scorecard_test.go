package health_test

import (
	"testing"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// checks makes a list of checks from marks: + passed, - failed; in capitals,
// P and F, those that the build needs.
func checks(marks string) []health.Check {
	var all []health.Check
	for _, m := range marks {
		k := health.Check{OK: m == '+' || m == 'P', Needed: m == 'P' || m == 'F'}
		if !k.OK {
			k.Kind = fault.Outage
		}
		all = append(all, k)
	}
	return all
}

func TestScorecardPercent(t *testing.T) {
	for _, tt := range []struct {
		name                                string
		actions, registries, proxies, d, in string
		all, needed                         int
	}{
		{"all well", "+", "+++", "++", "+", "+", 100, 100},
		{"nothing well", "-", "---", "--", "-", "-", 0, 100},
		{"one registry of three down", "+", "+-+", "++", "+", "+", 90, 100},
		{"not applicable is taken out and the rest scaled", "", "+-+", "++", "+", "+", 87, 100},
		{"what the build needs decides", "+", "+F+", "++", "+", "+", 90, 0},
		{"what the build does not need is shown alone", "-", "-P-", "--", "P", "-", 25, 100},
		{"needed checks keep their points", "", "PF+", "++", "P", "+", 87, 71},
		{"nothing assessed", "", "", "", "", "", 100, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := health.Scorecard{Categories: []health.Category{
				{Name: "actions", Points: 20, Checks: checks(tt.actions)},
				{Name: "registries", Points: 30, Checks: checks(tt.registries)},
				{Name: "proxies", Points: 25, Checks: checks(tt.proxies)},
				{Name: "dns", Points: 15, Checks: checks(tt.d)},
				{Name: "internet", Points: 10, Checks: checks(tt.in)},
			}}
			if got := s.Percent(); got != tt.all {
				t.Errorf("got %d%% of all, want %d%%", got, tt.all)
			}
			if got := s.Needed().Percent(); got != tt.needed {
				t.Errorf("got %d%% of what is needed, want %d%%", got, tt.needed)
			}
		})
	}
}

func TestScorecardWeights(t *testing.T) {
	c := health.Category{Points: 30, Checks: []health.Check{{OK: true, Weight: 2}, {}}}
	if got := c.Earned(); got != 20 {
		t.Errorf("got %v points, want 20: a weight of 2 counts twice", got)
	}
	if got := len(health.Scorecard{Categories: []health.Category{c}}.Failed()); got != 1 {
		t.Errorf("got %d failed checks, want 1", got)
	}
}
