// Package health turns observations of services into scores that fade with
// time. Probes and traffic feed the same Board. The package is pure: it reads
// no clock, and time comes in with each observation and each question.
package health

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// An Observation is one thing seen of an endpoint: how long it took, and how
// it failed, if it did.
type Observation struct {
	Endpoint string // host, or host:port
	At       time.Time
	Took     time.Duration // until the head of the answer, or until the failure
	Kind     fault.Kind    // fault.None is success
}

// DefaultHalfLife is how long it takes until an observation counts half. An
// outage of a registry lasts minutes to hours, a hiccup seconds.
const DefaultHalfLife = 2 * time.Minute

// recent is how many latencies of each endpoint a Board keeps. With 32, a
// 95th percentile is the second largest: enough to say "slower than usual".
const recent = 32

// maxEndpoints bounds a Board, since names of endpoints come from Dockerfiles
// and redirects. What was seen longest ago goes first.
const maxEndpoints = 4096

// A Board collects observations. The zero value is ready for use, and all
// methods may be called at once from many places.
type Board struct {
	// HalfLife is how long it takes until an observation counts half. Zero
	// means DefaultHalfLife. It must not change after the first use.
	HalfLife time.Duration

	mu        sync.Mutex
	endpoints map[string]*tally
}

// tally is what is known of one endpoint. Weights decay exponentially: at the
// time `at`, good and bad hold the faded sums of successes and failures.
type tally struct {
	at        time.Time
	good, bad float64
	last      fault.Kind      // of the last observation
	took      []time.Duration // successes only, a ring of at most recent
	next      int
}

// Record adds o. A failure that does not blame its endpoint (a 404, a refused
// login, a cancelled request) is no news about its health, apart from a 404
// and the like, which at least were answered and count as a success.
func (b *Board) Record(o Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	answered := o.Kind == fault.None || o.Kind == fault.NotFound || o.Kind == fault.Auth
	if !answered && !o.Kind.Blames() {
		return
	}
	t := b.endpoints[o.Endpoint]
	if t == nil {
		if b.endpoints == nil {
			b.endpoints = make(map[string]*tally)
		}
		if len(b.endpoints) >= maxEndpoints {
			b.dropOldestLocked()
		}
		t = &tally{at: o.At}
		b.endpoints[o.Endpoint] = t
	}
	t.fade(o.At, b.halfLife())
	t.last = o.Kind
	if !answered {
		t.bad++
		return
	}
	t.good++
	if len(t.took) < recent {
		t.took = append(t.took, o.Took)
		return
	}
	t.took[t.next] = o.Took
	t.next = (t.next + 1) % recent
}

func (b *Board) halfLife() time.Duration {
	if b.HalfLife > 0 {
		return b.HalfLife
	}
	return DefaultHalfLife
}

func (b *Board) dropOldestLocked() {
	var oldest string
	for name, t := range b.endpoints {
		if oldest == "" || t.at.Before(b.endpoints[oldest].at) {
			oldest = name
		}
	}
	delete(b.endpoints, oldest)
}

// fade moves t to the time at. A clock that jumped back changes nothing.
func (t *tally) fade(at time.Time, halfLife time.Duration) {
	gone := at.Sub(t.at)
	if gone <= 0 {
		return
	}
	f := math.Exp2(-float64(gone) / float64(halfLife))
	t.good *= f
	t.bad *= f
	t.at = at
}

// Snapshot returns what the board knows at the time at.
func (b *Board) Snapshot(at time.Time) Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{endpoints: make(map[string]Standing, len(b.endpoints))}
	for name, t := range b.endpoints {
		now := *t
		now.fade(at, b.halfLife())
		s.endpoints[name] = now.standing()
	}
	return s
}

func (t *tally) standing() Standing {
	// Laplace's rule with one virtual success: nobody is condemned by a
	// single failure, and all that is old fades back to 1.
	st := Standing{Score: (t.good + 1) / (t.good + t.bad + 1), Last: t.last, Seen: len(t.took)}
	if len(t.took) > 0 {
		sorted := slices.Sorted(slices.Values(t.took))
		st.P50 = sorted[(len(sorted)-1)/2]
		st.P95 = sorted[(len(sorted)-1)*95/100]
	}
	return st
}

// A Standing is what is known of one endpoint at one time.
type Standing struct {
	Score    float64       // 1 is well or unknown, 0 is never answers
	Last     fault.Kind    // how the last request ended
	Seen     int           // how many latencies P50 and P95 come from; at most 32
	P50, P95 time.Duration // until the head of an answer; 0 when Seen is 0
}

// A Snapshot is the board at one time. It does not change. The zero value
// knows nothing and thinks well of everyone.
type Snapshot struct {
	endpoints map[string]Standing
}

// Standing returns what is known of endpoint; of an unknown one it is well.
func (s Snapshot) Standing(endpoint string) Standing {
	if st, ok := s.endpoints[endpoint]; ok {
		return st
	}
	return Standing{Score: 1}
}

// Score returns the endpoint's score: 1 is well or unknown, 0 never answers.
func (s Snapshot) Score(endpoint string) float64 { return s.Standing(endpoint).Score }

// Rank returns endpoints, best first. Scores count in steps of a tenth, so
// that the given order, which is the order of the settings, stands until there
// is a reason.
func (s Snapshot) Rank(endpoints []string) []string {
	ranked := slices.Clone(endpoints)
	slices.SortStableFunc(ranked, func(a, b string) int {
		return cmp.Compare(step(s.Score(b)), step(s.Score(a)))
	})
	return ranked
}

func step(score float64) int { return int(math.Round(score * 10)) }
