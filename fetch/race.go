package fetch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A flight is one request under way.
type flight struct {
	c        *candidate
	whole    bool // the source cannot give a part
	patience time.Duration
	limits   Limits
	ctx      context.Context
	cancel   context.CancelCauseFunc
	try      *Try
	answer   Answer // of Head and Bytes

	// Written by the flight, read by who watches it: nanoseconds after the
	// flight began, or bytes.
	head, last, size atomic.Int64
}

// headCame notes that the wait for a head is over.
func (fl *flight) headCame() {
	fl.try.Took = time.Since(fl.try.At)
	fl.head.Store(max(1, int64(fl.try.Took)))
}

// got notes that n bytes came.
func (fl *flight) got(n int) {
	fl.last.Store(int64(time.Since(fl.try.At)))
	fl.size.Add(int64(n))
}

func (fl *flight) progress() progress {
	p := progress{began: fl.try.At, bytes: fl.size.Load()}
	if h := fl.head.Load(); h != 0 {
		p.head = fl.try.At.Add(time.Duration(h))
		p.last = fl.try.At.Add(time.Duration(max(h, fl.last.Load())))
	}
	return p
}

func (fl *flight) headAt() time.Time { return fl.progress().head }

func (fl *flight) overdue() time.Time { return fl.progress().overdue(fl.patience) }

func (fl *flight) hopelessAt() time.Time { return fl.progress().hopeless(fl.limits) }

// A landing is how a flight ended.
type landing struct {
	fl    *flight
	reply *reply // open, where do returned one
	err   error
}

// A race is a request that is sent to one source after the other until one
// does well: to the next one at once when one fails, and beside a slow one.
type race struct {
	j    *job
	need need
	wait bool // where nobody is ready, wait for who will be
	// do carries out one flight. It returns a reply, or nil, or the error.
	do func(*flight) (*reply, error)

	flying    []*flight
	landed    chan landing
	over      chan struct{} // closed when nobody waits for landings any more
	nextHedge time.Time
	broke     bool // the hedging budget had run out
}

// run returns the flight that did well; its request has not been reported as
// ended. The error is a *Failure, or a *fault.Error where the caller went away.
func (r *race) run(ctx context.Context) (landing, error) {
	r.landed, r.over = make(chan landing), make(chan struct{})
	defer r.end(ctx)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wake, err := r.launch(ctx)
		if err != nil {
			return landing{}, err
		}
		timer.Reset(wake)
		select {
		case <-timer.C:
		case l := <-r.landed:
			r.remove(l.fl)
			if l.err == nil {
				r.won(l.fl)
				return l, nil
			}
			if err := r.lost(ctx, l); err != nil {
				return landing{}, err
			}
		case <-ctx.Done():
			return landing{}, r.j.canceled(ctx)
		}
	}
}

// launch sends requests until nothing more is to be done for now, and returns
// for how long.
func (r *race) launch(ctx context.Context) (time.Duration, error) {
	for {
		paid := false
		if len(r.flying) > 0 {
			at := r.slowAt()
			if wake := time.Until(at); wake > 0 {
				return wake, nil
			}
			if paid = r.pay(); !paid {
				at = r.latest((*flight).hopelessAt)
			}
			if wake := time.Until(at); wake > 0 {
				return wake, nil
			}
		}
		r.need.except = r.need.except[:0]
		for _, fl := range r.flying {
			r.need.except = append(r.need.except, fl.c)
		}
		c, whole, next := r.j.choose(r.need)
		switch {
		case c != nil:
			r.fly(ctx, c, whole)
		case len(r.flying) > 0:
			if paid {
				r.j.f.hedges.back()
			}
			if next.IsZero() {
				return time.Hour, nil
			}
			return time.Until(next), nil
		case !r.wait || next.IsZero():
			return 0, r.j.failure()
		default:
			slept, err := r.j.sleep(ctx, next)
			if err == nil && !slept {
				err = r.j.failure()
			}
			if err != nil {
				return 0, err
			}
		}
	}
}

// pay reports whether the hedging budget has one more request beside the slow
// ones. Where it had none once, it is not asked again.
func (r *race) pay() bool {
	r.broke = r.broke || !r.j.f.hedges.take()
	return !r.broke
}

// slowAt returns when all that is in the air is slow, and another may follow.
func (r *race) slowAt() time.Time {
	at := r.latest((*flight).overdue)
	if r.nextHedge.After(at) {
		return r.nextHedge
	}
	return at
}

// latest returns the latest of what of tells of all that is in the air.
func (r *race) latest(of func(*flight) time.Time) time.Time {
	var at time.Time
	for _, fl := range r.flying {
		if t := of(fl); t.After(at) {
			at = t
		}
	}
	return at
}

func (r *race) fly(ctx context.Context, c *candidate, whole bool) {
	now := time.Now()
	fl := &flight{c: c, whole: whole, try: r.j.try(c, now), limits: r.j.limits}
	fl.patience = patience(r.j.f.board.Snapshot(now).Standing(c.Endpoint), r.j.ask.Patience, r.j.limits.Header)
	fl.try.Hedged = len(r.flying) > 0
	if fl.try.Hedged {
		r.nextHedge = now.Add(further)
	}
	fl.ctx, fl.cancel = context.WithCancelCause(ctx)
	r.flying = append(r.flying, fl)
	go func() {
		reply, err := r.do(fl)
		select {
		case r.landed <- landing{fl, reply, err}:
		case <-r.over:
			if reply != nil {
				reply.close()
			}
			fl.cancel(nil)
		}
	}()
}

func (r *race) remove(fl *flight) {
	r.flying = slices.DeleteFunc(r.flying, func(o *flight) bool { return o == fl })
}

// won gives up what is slow, and remembers who it was.
func (r *race) won(winner *flight) {
	now := time.Now()
	for _, fl := range slices.Clone(r.flying) {
		if fl.try.At.Before(winner.try.At) && !fl.overdue().After(now) {
			r.giveUp(fl, winner.c.Endpoint+" was faster")
		}
	}
}

func (r *race) giveUp(fl *flight, why string) {
	r.remove(fl)
	fl.cancel(errBeaten)
	waited := time.Since(fl.try.At)
	// The flight may still write to its own record.
	t := *r.j.try(fl.c, fl.try.At)
	t.Took, t.Kind = waited, fault.Canceled
	t.Err = &fault.Error{Endpoint: fl.c.Endpoint, Kind: fault.Canceled,
		Err: fmt.Errorf("not done after %s, and %s", waited.Round(time.Millisecond), why)}
	p := fl.progress()
	r.j.gaveUp(fl.c, t, waited, p.head.IsZero() || time.Since(p.last) >= stall)
}

var errBeaten = errors.New("another source was faster")

// lost reports a flight that failed. Its error ends the race.
func (r *race) lost(ctx context.Context, l landing) error {
	switch {
	case errors.Is(l.err, errNoRange):
		r.j.mark(l.fl.c, func(c *candidate) { c.noRange = true })
		return nil
	case errors.Is(l.err, errOtherSize):
		r.j.mark(l.fl.c, func(c *candidate) { c.otherSize = true })
		return nil
	case ctx.Err() != nil:
		r.flying = append(r.flying, l.fl) // end sees to it
		return r.j.canceled(ctx)
	}
	r.j.lost(l.fl, l.err)
	if r.j.settled() {
		return r.j.failure()
	}
	return nil
}

// end cancels what is still in the air.
func (r *race) end(ctx context.Context) {
	close(r.over)
	for _, fl := range slices.Clone(r.flying) {
		if context.Cause(ctx) == errSlow {
			r.giveUp(fl, "others go on")
			continue
		}
		fl.cancel(errBeaten)
		r.j.released(fl.c)
	}
}
