package backoff_test

import (
	"testing"
	"time"

	"github.com/outlast-build/outlast/backoff"
)

func TestWait(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name   string
		policy backoff.Policy
		n      int
		jitter float64
		after  time.Duration
		want   time.Duration
	}{
		{"no failure, no wait", backoff.Policy{}, 0, 0.9, 0, 0},
		{"the first failure, no jitter", backoff.Policy{}, 1, 0, 0, 0},
		{"the first failure, half", backoff.Policy{}, 1, 0.5, 0, s / 2},
		{"the third failure, half", backoff.Policy{}, 3, 0.5, 0, 2 * s},
		{"capped", backoff.Policy{}, 10, 0.5, 0, 15 * s},
		{"capped without overflow", backoff.Policy{}, 1 << 30, 0.5, 0, 15 * s},
		{"a base above the cap", backoff.Policy{Base: 10 * s, Cap: 4 * s}, 1, 0.5, 0, 2 * s},
		{"the service said when", backoff.Policy{}, 5, 0.5, 7 * s, 7*s + s/2},
		{"jitter out of range, low", backoff.Policy{}, 2, -3, 0, 0},
		{"jitter out of range, high", backoff.Policy{}, 2, 3, 0, 2 * s},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.policy.Wait(tt.n, tt.jitter, tt.after); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBudget(t *testing.T) {
	b := backoff.Budget{Left: 5 * time.Second}
	if got, ok := b.Take(3 * time.Second); !ok || got != 3*time.Second {
		t.Errorf("got %v, %v, want 3s, true", got, ok)
	}
	if got, ok := b.Take(3 * time.Second); ok || got != 0 {
		t.Errorf("got %v, %v from a budget of 2s, want 0, false", got, ok)
	}
	if b.Left != 2*time.Second {
		t.Errorf("got %v left, want 2s: a wait that was refused costs nothing", b.Left)
	}
}
