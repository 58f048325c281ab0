package fetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// maxExtras bounds the requests of all transfers beside the first of each, so
// that ten layers at once do not become forty connections.
const maxExtras = 16

// tendEvery is how often a transfer looks after its requests.
const tendEvery = 50 * time.Millisecond

// errSlow ends a request for which a faster source takes over, errOvertaken one
// for what another request has brought meanwhile.
var (
	errSlow      = errors.New("too slow")
	errOvertaken = errors.New("not needed any more")
)

// A transfer is one copy on its way: requests that carry parts of it at the
// same time, and who looks after them.
type transfer struct {
	j     *job
	w     Sink
	only  *candidate // who alone may be asked; nil for everybody
	proof proof
	ends  chan workEnd

	mu      sync.Mutex
	ground  *ground
	answer  Answer
	running int
	stingy  bool  // nobody is left for requests beside the others
	broken  error // the sink's
}

// A workEnd is how the request for a claim ended.
type workEnd struct {
	claim *claim
	err   error
}

// run returns when the copy is complete, or cannot become so. No request is
// under way then.
func (t *transfer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer t.drain()
	defer cancel()
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for !t.complete() {
		if err := t.employ(ctx); err != nil {
			return err
		}
		select {
		case e := <-t.ends:
			if err := t.ended(ctx, e); err != nil {
				return err
			}
		case <-tick.C:
			t.tend()
		case <-ctx.Done():
			return t.j.canceled(ctx)
		}
	}
	return nil
}

func (t *transfer) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ground.complete()
}

func (t *transfer) drain() {
	for t.running > 0 {
		<-t.ends
		t.running--
	}
}

// employ sends requests for what nobody brings, and beside those that take
// long.
func (t *transfer) employ(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running == 0 {
		c := t.ground.take()
		if c == nil {
			return &fault.Error{Op: t.j.ask.Name, Kind: fault.Unknown, Err: errors.New("nothing is left to ask for, and the content is not complete")}
		}
		t.start(ctx, c)
	}
	if t.stingy {
		t.ground.absorb()
		return nil
	}
	var fresh []*claim
	for t.running+len(fresh) < t.j.f.connections() && t.j.f.extras.enter(maxExtras) {
		c := t.ground.take()
		if c == nil {
			c = t.ground.share(time.Now())
		}
		if c == nil {
			t.j.f.extras.leave()
			break
		}
		c.extra = true
		fresh = append(fresh, c)
	}
	for _, c := range fresh {
		t.start(ctx, c)
	}
	return nil
}

// start sends a request for c.
func (t *transfer) start(ctx context.Context, c *claim) {
	t.running++
	ctx, cancel := context.WithCancelCause(ctx)
	c.stop = cancel
	c.seen = time.Now()
	go func() {
		err := t.work(ctx, c)
		cancel(nil)
		if c.extra {
			t.j.f.extras.leave()
		}
		t.ends <- workEnd{c, err}
	}()
}

// ended decides what a request that came to its end means for the whole.
func (t *transfer) ended(ctx context.Context, e workEnd) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	t.ground.release(e.claim)
	var failure *Failure
	switch {
	case t.broken != nil:
		return t.broken
	case ctx.Err() != nil:
		return t.j.canceled(ctx)
	case !errors.As(e.err, &failure):
		return nil
	case t.running == 0 && !e.claim.extra:
		return failure
	}
	t.stingy = true
	return nil
}

// tend gives up requests that are slow where somebody else is likely to be
// faster.
func (t *transfer) tend() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.ground.held {
		c.measure(now)
		switch {
		case c.fl == nil && c.extra && now.Sub(c.seen) > stall:
			c.stop(errSlow)
		case c.fl != nil && c.len() > 0 && !c.writing && !c.fl.overdue().After(now) && t.j.replaceable(c.fl.c, t.only) && t.j.f.hedges.take():
			c.stop(errSlow)
		}
	}
}

// replaceable reports whether somebody else than c is likely to do better.
func (j *job) replaceable(c, only *candidate) bool {
	if only != nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	j.refreshLocked(now)
	other, _, _ := pick(j.all, need{part: true, extra: true, except: []*candidate{c}}, now)
	return other != nil
}
