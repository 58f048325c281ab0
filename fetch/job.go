package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A job is one Ask under way.
type job struct {
	f      *Fetcher
	ask    *Ask
	limits Limits
	budget *Budget

	resumes bool // what has come is kept when a request breaks off

	mu       sync.Mutex
	all      []*candidate
	definite bool // the origin said no, and that settles it
}

func (f *Fetcher) newJob(ask *Ask) (*job, error) {
	f.ready()
	f.hedges.earn()
	j := &job{f: f, ask: ask, limits: f.Limits.orDefault(), budget: ask.Budget}
	if j.budget == nil {
		j.budget = f.Budget
	}
	if j.budget == nil {
		j.budget = new(Budget)
	}
	for i, s := range ask.Sources {
		u, err := url.Parse(s.URL)
		if err != nil || u.Host == "" {
			return nil, &fault.Error{Op: ask.Name, Endpoint: s.Endpoint, Kind: fault.Config, Err: errors.New("the source's address is no URL")}
		}
		j.all = append(j.all, &candidate{Source: s, index: i, host: u.Host, rank: i})
	}
	if ask.Digest != "" && (ask.Digest.Validate() != nil || !ask.Digest.Algorithm().Available()) {
		return nil, &fault.Error{Op: ask.Name, Kind: fault.Rejected, Err: fmt.Errorf("%.80q is no digest", ask.Digest)}
	}
	return j, nil
}

// choose picks who is asked next for n, and counts the request as begun.
func (j *job) choose(n need) (c *candidate, whole bool, next time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.definite {
		return nil, false, time.Time{}
	}
	now := time.Now()
	j.refreshLocked(now)
	c, whole, next = pick(j.all, n, now)
	if c != nil {
		c.active++
		j.f.gates.begin(c.Endpoint, now)
	}
	return c, whole, next
}

// refreshLocked takes over what other requests have learned meanwhile.
func (j *job) refreshLocked(now time.Time) {
	known := j.f.board.Snapshot(now)
	names := make([]string, len(j.all))
	for i, c := range j.all {
		s := j.f.gates.standing(c.Endpoint, now)
		c.open, c.score = s.open, known.Score(c.Endpoint)
		if s.notBefore.After(c.notBefore) {
			c.notBefore = s.notBefore
		}
		names[i] = c.Endpoint
	}
	if j.ask.Ordered {
		return
	}
	ranked := known.Rank(names)
	for _, c := range j.all {
		c.rank = slices.Index(ranked, c.Endpoint)*len(j.all) + c.index
	}
}

// ended takes note of how a request to c ended, and tells everybody.
func (j *job) ended(c *candidate, t Try) {
	now := time.Now()
	after := fault.After(t.Err)
	getsOn := j.settle(c, t, now, after)
	if t.Kind != fault.Canceled {
		j.f.observe(c.Endpoint, now, t.Took, t.Kind)
	}
	if t.Kind != fault.Canceled && !getsOn {
		j.f.gates.end(c.Endpoint, now, t.Kind, after)
	}
	if j.f.OnTry != nil {
		j.f.OnTry(t)
	}
}

// settle takes note of what t means for c in this Ask. It reports whether c
// broke off, but gets on: then it is asked again for the rest, at once.
func (j *job) settle(c *candidate, t Try, now time.Time, after time.Duration) (getsOn bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c.active--
	if t.Kind == fault.None {
		c.failures = 0
		return false
	}
	c.last = &t
	if t.Kind == fault.Canceled {
		return false
	}
	if t.Kind == fault.NotFound && c.Origin && j.ask.Digest == "" {
		j.definite = true
	}
	if j.resumes && breakOff(t.Kind) && c.gained(t.Bytes, now.Sub(t.At), j.limits.Idle) {
		c.failures = 0
		c.breaks++
		if t.Kind != fault.Timeout {
			return true
		}
	}
	c.failures++
	if t.Kind.Action() != fault.Retry || c.spent(t.Err) {
		c.out = true
		return false
	}
	c.notBefore = now.Add(j.f.Backoff.Wait(c.failures, j.f.jitter(), after))
	if !j.budget.covers(now, c.notBefore) {
		// Not later either, when others have taken their time: who has no
		// budget wants an answer now.
		c.out = true
	}
	return false
}

// gaveUp takes note that c was given up because another was faster. That is no
// failure of c, but the next request must not wait for it again. Where it said
// nothing, or nothing more, the breaker counts it: of an Ask in a given order, each
// request would wait anew for a source that hangs.
func (j *job) gaveUp(c *candidate, t Try, waited time.Duration, silent bool) {
	now := time.Now()
	j.f.observe(c.Endpoint, now, waited, fault.Timeout)
	if silent {
		j.f.gates.end(c.Endpoint, now, fault.Timeout, 0)
	}
	j.mu.Lock()
	c.slow++
	j.mu.Unlock()
	j.ended(c, t)
}

// lost ends fl with err.
func (j *job) lost(fl *flight, err error) {
	fl.cancel(nil)
	fl.try.Kind, fl.try.Err = fault.Of(err), err
	if fl.try.Took == 0 {
		fl.try.Took = time.Since(fl.try.At)
	}
	j.ended(fl.c, *fl.try)
}

// mark changes c, whose request came to nothing.
func (j *job) mark(c *candidate, change func(*candidate)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c.active--
	change(c)
}

// learn changes c, whose request goes on.
func (j *job) learn(c *candidate, change func(*candidate)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(c)
}

// settled reports whether asking anybody else is of no use.
func (j *job) settled() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.definite
}

// released takes note that a request to c came to nothing through no fault of
// c's, and that nobody needs to know.
func (j *job) released(c *candidate) { j.mark(c, func(*candidate) {}) }

// sleep waits until then, where the budget and the deadline of ctx allow it.
// It reports whether it did; the error is ctx's.
func (j *job) sleep(ctx context.Context, then time.Time) (bool, error) {
	if deadline, ok := ctx.Deadline(); ok && then.After(deadline) {
		return false, nil
	}
	if !j.budget.take(time.Now(), then) {
		return false, nil
	}
	timer := time.NewTimer(time.Until(then))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-ctx.Done():
		return false, j.canceled(ctx)
	}
}

// canceled returns the error of a caller who went away.
func (j *job) canceled(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil {
		return nil
	}
	kind := fault.Canceled
	if errors.Is(cause, context.DeadlineExceeded) {
		kind = fault.Timeout
	}
	return &fault.Error{Op: j.ask.Name, Kind: kind, Err: cause}
}

// failure sums up why nobody is left.
func (j *job) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := &Failure{Name: j.ask.Name}
	for _, c := range j.all {
		t := c.last
		if t == nil && c.notBefore.After(time.Now()) {
			t = j.try(c, time.Now())
			t.Kind = fault.RateLimited
			wait := time.Until(c.notBefore)
			t.Err = &fault.Error{Endpoint: c.Endpoint, Kind: t.Kind, After: wait,
				Err: fmt.Errorf("asked to be left alone for another %s", wait.Round(time.Second))}
		}
		if t != nil {
			f.Tries = append(f.Tries, *t)
		}
	}
	return f
}

// try begins the record of a request to c.
func (j *job) try(c *candidate, at time.Time) *Try {
	return &Try{Name: j.ask.Name, Serves: j.ask.Serves, Endpoint: c.Endpoint, Origin: c.Origin, At: at}
}
