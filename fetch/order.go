package fetch

import (
	"cmp"
	"slices"
	"time"
)

// A candidate is a source in one Ask. It is a plain value for those who
// decide; the job that owns it guards it.
type candidate struct {
	Source
	index int    // in the Ask
	host  string // of its URL

	rank      int           // by the board; the least is best
	score     float64       // by the board; 1 is well or unknown
	open      bool          // the circuit breaker leaves it alone
	out       bool          // it is of no more use for this Ask
	noRange   bool          // it answers with the whole where a part is asked for
	otherSize bool          // its content has another size than others claim
	reprieved bool          // it was of no more use once, and got another chance
	failures  int           // of this Ask, in a row without progress
	breaks    int           // of this Ask, with progress
	crumbs    int           // breaks in a row that brought little
	crumbTime time.Duration // that they took
	slow      int           // how often others had to make up for it in this Ask
	active    int           // requests under way
	notBefore time.Time     // not to be asked before
	rate      float64       // bytes a second that it last gave; 0 while unknown
	last      *Try          // its last failure
}

// A need is what a request would be for.
type need struct {
	part   bool         // a part that does not begin the content
	extra  bool         // beside other requests that get along without it
	except []*candidate // which are being asked for it already
	only   *candidate   // nobody else will do; nil for anybody
	not    *candidate   // anybody else will do; nil for anybody
}

// pick returns who is to be asked at the time now. Without one, next is when
// the first will be ready; it is zero when there is nobody to wait for. With
// whole set the source cannot give a part, and must be asked for everything.
func pick(all []*candidate, n need, now time.Time) (c *candidate, whole bool, next time.Time) {
	var ready, lame []*candidate
	for _, c := range all {
		if c.out || c.otherSize || c == n.not || n.only != nil && c != n.only || slices.Contains(n.except, c) {
			continue
		}
		if c.notBefore.After(now) {
			if next.IsZero() || c.notBefore.Before(next) {
				next = c.notBefore
			}
			continue
		}
		switch {
		case n.part && c.noRange:
			lame = append(lame, c)
		case n.extra && !helpful(c, all):
		default:
			ready = append(ready, c)
		}
	}
	if len(ready) > 0 {
		return slices.MinFunc(ready, n.better), false, next
	}
	if len(lame) > 0 && !n.extra && len(n.except) == 0 {
		return slices.MinFunc(lame, n.better), true, next
	}
	return nil, false, next
}

// better compares candidates that are ready: those that did nothing wrong come
// first, then the board decides, which stands by the given order without a
// reason.
func (n need) better(a, b *candidate) int {
	spread := 0
	if n.extra {
		spread = cmp.Compare(a.active, b.active)
	}
	return cmp.Or(
		cmp.Compare(flag(a.hopeless()), flag(b.hopeless())),
		cmp.Compare(a.failures+a.breaks+a.slow, b.failures+b.breaks+b.slow),
		spread,
		cmp.Compare(a.rank, b.rank),
	)
}

// hopeless reports whether c is to be asked when nobody else can: the circuit
// breaker says so, or others had to make up for it again and again.
func (c *candidate) hopeless() bool { return c.open || c.slow >= maxSilences }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// helpful reports whether c may carry a part beside others: only who is known
// for nothing bad, and is not far slower than the best.
func helpful(c *candidate, all []*candidate) bool {
	best := 0.0
	for _, o := range all {
		best = max(best, o.rate)
	}
	return !c.open && c.failures == 0 && c.slow == 0 && c.score >= goodScore && (c.rate == 0 || c.rate*farSlower >= best)
}

// farSlower is how many times slower a source is that only holds others up.
const farSlower = 8

// goodScore is the least on the board of a source that helps others.
const goodScore = 0.75
