package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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
		t.employ(ctx)
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
func (t *transfer) employ(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running == 0 {
		// Something is free, since nothing is held and not all is written.
		t.start(ctx, t.ground.take())
	}
	if t.stingy {
		t.ground.absorb()
		return
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

// work brings c, or a part of it, by one request.
func (t *transfer) work(ctx context.Context, c *claim) error {
	r := race{j: t.j, wait: !c.extra, do: func(fl *flight) (*reply, error) { return t.open(fl, c) },
		need: need{part: c.off > 0, extra: c.extra, only: t.only, not: c.not}}
	l, err := r.run(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	l.fl.try.Resumed = c.resumed
	err = t.carry(l.fl, l.reply, c)
	l.reply.close()
	t.j.sped(l.fl, time.Since(began))
	switch {
	case err == nil:
		t.j.ended(l.fl.c, *l.fl.try)
	case context.Cause(ctx) == errSlow:
		waited := time.Since(l.fl.try.At)
		l.fl.try.Kind = fault.Canceled
		l.fl.try.Err = &fault.Error{Endpoint: l.fl.c.Endpoint, Kind: fault.Canceled,
			Err: fmt.Errorf("%d bytes in %s, and another source takes over", l.fl.try.Bytes, waited.Round(time.Millisecond))}
		t.j.gaveUp(l.fl.c, *l.fl.try, waited)
	case ctx.Err() != nil, t.sinkBroke():
		t.j.released(l.fl.c)
	default:
		t.j.lost(l.fl, err)
	}
	return err
}

func (t *transfer) sinkBroke() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken != nil
}

// sped remembers how fast a source was.
func (j *job) sped(fl *flight, took time.Duration) {
	if took < firstLook {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	fl.c.rate = float64(fl.try.Bytes) / took.Seconds()
}

// open sends the request of a flight for c.
func (t *transfer) open(fl *flight, c *claim) (*reply, error) {
	r, err := t.j.send(fl, http.MethodGet, t.want(fl, c))
	if err != nil {
		return nil, err
	}
	answer := Answer{Endpoint: fl.c.Endpoint, Status: r.status, Header: r.header, Size: -1}
	if r.total != unknown {
		answer.Size = r.total
	}
	if err := t.j.check(fl.c, answer); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (t *transfer) want(fl *flight, c *claim) want {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := want{span: c.span, size: t.ground.size, proved: t.ground.proved}
	w.ranged = c.off > 0 || c.end != t.ground.size
	if fl.whole {
		w.span, w.ranged = span{0, t.ground.size}, false
	}
	return w
}

// carry moves the body of r to where c wants it.
func (t *transfer) carry(fl *flight, r *reply, c *claim) error {
	if err := t.settle(fl, r, c); err != nil {
		return err
	}
	for at := r.off; t.more(c); {
		chunk, err := r.next()
		if err == io.EOF {
			err = t.bodyEnded(r, c, at)
		}
		if err != nil {
			return t.allTheSame(c, at, err)
		}
		if chunk == nil {
			return nil
		}
		if err := t.put(fl, c, at, chunk); err != nil {
			return err
		}
		at += int64(len(chunk))
	}
	return nil
}

// settle takes over what the head of an answer tells.
func (t *transfer) settle(fl *flight, r *reply, c *claim) error {
	if r.header.Get("Accept-Ranges") == "none" {
		t.j.learn(fl.c, func(c *candidate) { c.noRange = true })
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.total != unknown {
		if r.total > t.j.f.largest() {
			return t.tooLarge(fl)
		}
		t.ground.learn(r.total)
	}
	c.fl, c.reach, c.seen, c.seenOff = fl, r.end, time.Now(), c.off
	if t.answer.Endpoint == "" || c.off == 0 {
		t.answer = Answer{Endpoint: fl.c.Endpoint, Status: http.StatusOK, Header: r.header}
	}
	return nil
}

func (t *transfer) tooLarge(fl *flight) error {
	return &fault.Error{Endpoint: fl.c.Endpoint, Kind: fault.TooLarge, Err: fmt.Errorf("more than %d bytes", t.j.f.largest())}
}

// more reports whether c wants more of its body. Where the next part has not
// even begun, c goes on into it: a request that flows is worth more than one
// that may never be answered.
func (t *transfer) more(c *claim) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reachesLocked(c, c.off+1)
}

// reachesLocked reports whether c, gone on with where that can be, reaches to.
func (t *transfer) reachesLocked(c *claim, to int64) bool {
	for c.end < to {
		next := t.ground.overtake(c)
		if next == nil {
			return false
		}
		next.stop(errOvertaken)
	}
	return true
}

// put writes what of chunk, which lies at, belongs to c.
func (t *transfer) put(fl *flight, c *claim, at int64, chunk []byte) error {
	fl.got(len(chunk))
	t.mu.Lock()
	if !t.reachesLocked(c, at+int64(len(chunk))) {
		c.reach = c.end // what comes after it is lost
	}
	part := span{max(at, c.off), min(at+int64(len(chunk)), c.end)}
	if part.len() <= 0 {
		t.mu.Unlock()
		return nil
	}
	if part.end > t.j.f.largest() {
		t.mu.Unlock()
		return t.tooLarge(fl)
	}
	c.off, c.writing = part.end, true
	t.mu.Unlock()

	_, err := t.w.WriteAt(chunk[part.off-at:part.end-at], part.off)

	t.mu.Lock()
	defer t.mu.Unlock()
	c.writing = false
	fl.got(0) // the time that the sink took is not the source's
	if err != nil {
		t.broken = sinkError("write", err)
		return t.broken
	}
	c.wrote = part.end
	fl.try.Bytes += part.len()
	t.ground.done.add(part, fl.c)
	t.proof.reach(t.ground.done.front())
	return nil
}

// bodyEnded judges the end of a body, at the offset at.
func (t *transfer) bodyEnded(r *reply, c *claim, at int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ground.size == unknown {
		if r.undelimited && !t.matchesLocked(at) {
			return &fault.Error{Endpoint: r.endpoint, Kind: fault.Truncated, Err: fmt.Errorf("the connection ended after %d bytes", at)}
		}
		t.ground.learn(at)
	}
	if c.len() <= 0 || at == r.end && at-r.off >= worthwhile {
		return nil
	}
	return &fault.Error{Endpoint: r.endpoint, Kind: fault.Truncated, Err: fmt.Errorf("the body ended at %d of %d bytes", at, c.end)}
}

// allTheSame returns nil in place of err, with which a body ended at the offset
// at, where everything is there: then the length that was told was wrong.
func (t *transfer) allTheSame(c *claim, at int64, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.ground
	if fault.Of(err) != fault.Truncated || t.broken != nil || g.proved || g.size == unknown || len(g.held) > 1 || at != g.done.front() || !t.matchesLocked(at) {
		return err
	}
	g.shrink(at)
	return nil
}

// matchesLocked reports whether size bytes are all there is: a body that ends
// with its connection does not tell.
func (t *transfer) matchesLocked(size int64) bool {
	good, err := t.proof.matches(size)
	if err != nil {
		t.broken = err
	}
	return good
}
