package buildx

import "testing"

func TestEveryVerdictTakesItsSample(t *testing.T) {
	for _, v := range verdicts {
		if got := outcomeOf(v.sample, nil); got != v.outcome || !v.match.MatchString(v.sample) {
			t.Errorf("%q: got %q, want %q", v.sample, got, v.outcome)
		}
	}
}
