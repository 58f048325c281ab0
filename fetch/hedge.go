package fetch

import (
	"sync"
	"time"

	"github.com/outlast-build/outlast/health"
)

const (
	// DefaultPatience is how long a source without a history may be silent
	// until another is asked beside it.
	DefaultPatience time.Duration = 250 * time.Millisecond
	// minPatience keeps a pause of this machine's own from looking like a slow
	// service: answers on loopback take a millisecond.
	minPatience time.Duration = 100 * time.Millisecond
	// enough latencies make a history.
	enough = 5
	// further is how long after one request beside the first another may follow.
	further = time.Second
	// stall is how long a transfer may stand still.
	stall = time.Second
	// A transfer slower than this, in bytes a second, is as good as none.
	minRate = 64 << 10
	// The hedging budget: so many at once, and one for each ten requests.
	// When everything is slow, asking twice makes it worse.
	hedgeBurst = 10
	hedgeShare = 0.1
)

// patience says how long the endpoint of st may be silent before another is
// asked: a little more than what 95 of 100 of its answers took, or what was
// asked for or is usual while it has no history; never so long that its limit
// runs out first.
func patience(st health.Standing, asked, limit time.Duration) time.Duration {
	floor, p := minPatience, DefaultPatience
	if asked > 0 {
		floor, p = asked, asked
	}
	if st.Seen >= enough {
		// Without the little more, a service that always takes the same time
		// would be hedged each time.
		p = max(st.P95+st.P95/4, floor)
	}
	return min(p, limit/2)
}

// progress is how far one request has come.
type progress struct {
	began time.Time
	head  time.Time // zero while there is none
	last  time.Time // when the last byte came
	bytes int64
}

// overdue returns when a request with this progress becomes slow: it has no
// head, stands still, or drips.
func (p progress) overdue(patience time.Duration) time.Time {
	if p.head.IsZero() {
		return p.began.Add(patience)
	}
	still := p.last.Add(stall)
	drip := p.head.Add(stall + time.Duration(float64(p.bytes)/minRate*float64(time.Second)))
	if drip.Before(still) {
		return drip
	}
	return still
}

// hopeless returns when a request with this progress is not just slow: half of
// its limit has run out in silence.
func (p progress) hopeless(l Limits) time.Time {
	if p.head.IsZero() {
		return p.began.Add(l.Header / 2)
	}
	return p.last.Add(l.Idle / 2)
}

// hedges is the hedging budget of a Fetcher, a bucket of tokens that is full
// at first. The zero value is ready for use.
type hedges struct {
	mu    sync.Mutex
	spent float64
}

// earn puts in what one request is worth.
func (h *hedges) earn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spent = max(0, h.spent-hedgeShare)
}

// take pays for one hedge, or reports false.
func (h *hedges) take() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.spent > hedgeBurst-1 {
		return false
	}
	h.spent++
	return true
}

// back returns what was taken for a hedge that was not sent.
func (h *hedges) back() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.spent--
}

// A gauge counts up to a bound. The zero value is ready for use.
type gauge struct {
	mu sync.Mutex
	n  int
}

// enter counts one more, or reports false where there are most already.
func (g *gauge) enter(most int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= most {
		return false
	}
	g.n++
	return true
}

func (g *gauge) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
}
