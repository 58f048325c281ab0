// Package backoff says how long to wait after n failures. It is pure: jitter
// comes in as a number, and nothing here sleeps.
package backoff

import "time"

// A Policy is exponential growth with full jitter: the wait after n failures
// lies anywhere between nothing and min(Cap, Base·2^(n-1)). Full jitter
// spreads the clients of a service that comes back better than any fixed
// share of it.
type Policy struct {
	Base time.Duration // the most after the first failure; zero means 1 s
	Cap  time.Duration // the most after any; zero means 30 s
}

// Wait returns how long to wait after n failures in a row, with the jitter
// given in [0, 1); a number outside is taken as the nearest inside. A service
// that named a time itself (Retry-After) is obeyed: the wait is never less than
// after, plus the jittered wait of a first failure so that not everybody comes
// back at the same moment.
func (p Policy) Wait(n int, jitter float64, after time.Duration) time.Duration {
	jitter = min(max(jitter, 0), 1)
	if after > 0 {
		return after + time.Duration(jitter*float64(p.ceiling(1)))
	}
	return time.Duration(jitter * float64(p.ceiling(n)))
}

func (p Policy) ceiling(n int) time.Duration {
	if n < 1 {
		return 0
	}
	limit := p.Cap
	if limit <= 0 {
		limit = 30 * time.Second
	}
	d := p.Base
	if d <= 0 {
		d = time.Second
	}
	for range n - 1 {
		if d >= limit {
			break
		}
		d *= 2
	}
	return min(d, limit)
}

// A Budget is how much waiting is left. The zero value has nothing left.
type Budget struct{ Left time.Duration }

// Take returns wait and true and takes it from the budget, or false where the
// budget does not hold it: a wait that would be cut short helps nobody.
func (b *Budget) Take(wait time.Duration) (time.Duration, bool) {
	if wait > b.Left {
		return 0, false
	}
	b.Left -= wait
	return wait, true
}
