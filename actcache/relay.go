package actcache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
)

const (
	// What waits to be sent: entries, and their bytes, which stay in the store.
	mostQueued      = 4096
	mostQueuedBytes = 10 << 30
	// sendTries is how often one entry is tried.
	sendTries = 3
	// lately is when GitHub took something if it is well, whatever was lost
	// to it before.
	lately = 5 * time.Second
	// longestWait is the longest that a service is waited for at its own word.
	longestWait = 2 * time.Minute
	// GitHub takes 200 new entries a minute of a repository; others of its
	// jobs may be at it, too.
	perMinute = 150
)

// A relay sends entries on to GitHub, one after the other, as they were saved:
// an index must not arrive before its layers.
type relay struct {
	github  *GitHub
	store   *cas.Store
	entries *entries
	stop    context.CancelFunc
	done    chan struct{}
	pace    pace

	mu       sync.Mutex
	queue    []entry
	bytes    int64 // of the queue
	working  bool
	failures int // in a row
	total    int // of the entries
	unsent   int // of those that were given up
	last     error
	moved    time.Time // when GitHub last took something
	news     chan struct{}
}

func newRelay(ctx context.Context, g *GitHub, s *cas.Store, e *entries) *relay {
	ctx, stop := context.WithCancel(ctx)
	r := &relay{github: g, store: s, entries: e, stop: stop, done: make(chan struct{}), news: make(chan struct{})}
	go r.run(ctx)
	return r
}

// add queues an entry. What goes beyond the bounds is not sent.
func (r *relay) add(e entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.queue) >= mostQueued || r.bytes+e.size > mostQueuedBytes {
		r.unsent++
		r.last = errors.New("too much is waiting")
		return
	}
	r.queue = append(r.queue, e)
	r.bytes += e.size
	r.tellLocked()
}

// tellLocked wakes everybody who waits for a change.
func (r *relay) tellLocked() {
	close(r.news)
	r.news = make(chan struct{})
}

// take returns the next entry, or what to wait on.
func (r *relay) take() (entry, bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.working = len(r.queue) > 0
	if !r.working {
		r.tellLocked()
		return entry{}, false, r.news
	}
	e := r.queue[0]
	r.queue, r.bytes = r.queue[1:], r.bytes-e.size
	return e, true, nil
}

func (r *relay) run(ctx context.Context) {
	defer close(r.done)
	for ctx.Err() == nil {
		e, ok, news := r.take()
		if !ok {
			select {
			case <-news:
			case <-ctx.Done():
			}
			continue
		}
		if err := r.send(ctx, e); err != nil {
			r.mu.Lock()
			r.unsent++
			r.last = err
			r.mu.Unlock()
		}
	}
}

// send sends one entry, again where that may help.
func (r *relay) send(ctx context.Context, e entry) error {
	if err := r.pace.wait(ctx); err != nil {
		return err
	}
	s := sending{entry: e}
	for try := 1; ; try++ {
		err := r.once(ctx, &s)
		n := r.note(err)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil // it is there, or there is nothing left to send
		}
		after := fault.After(err)
		if try == sendTries || after > longestWait || fault.Of(err).Action() == fault.Stop {
			return err
		}
		if err := pause(ctx, backoff.Policy{}.Wait(n, r.jitter(), after)); err != nil {
			return err
		}
	}
}

func (r *relay) once(ctx context.Context, s *sending) error {
	c, err := r.store.Get(s.digest)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // only read
	if err := r.github.save(ctx, s, c, r.progress); err != nil {
		return err
	}
	e := s.entry
	e.sent = true
	_ = r.entries.add(e) // else it is sent again, and GitHub has it already
	return nil
}

// note counts failures in a row.
func (r *relay) note(err error) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.failures, r.moved = 0, time.Now()
	case !errors.Is(err, fs.ErrNotExist):
		r.failures++
		r.last = err
	}
	r.tellLocked()
	return r.failures
}

func (r *relay) progress() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved = time.Now()
	r.tellLocked()
}

func (r *relay) jitter() float64 {
	if r.github.Jitter != nil {
		return r.github.Jitter()
	}
	return rand.Float64()
}

// drain waits until all is sent, ctx ends, or GitHub has taken nothing for
// longer than clients have patience. The relay has ended then.
func (r *relay) drain(ctx context.Context) error {
	defer r.stop()
	began := time.Now()
	patience := r.github.patience.most(began)
	r.mu.Lock()
	if began.Sub(r.moved) < lately {
		patience = max(patience, time.Second)
	}
	r.mu.Unlock()
	for {
		r.mu.Lock()
		idle := len(r.queue) == 0 && !r.working
		hopeless := r.failures >= tripAfter
		since := r.moved
		news := r.news
		r.mu.Unlock()
		if since.Before(began) {
			since = began
		}
		left := patience - time.Since(since)
		if idle || hopeless || left <= 0 {
			return r.summary()
		}
		timer := time.NewTimer(left)
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return r.summary()
		}
		timer.Stop()
	}
}

// pending counts the entries that are not sent yet.
func (r *relay) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pendingLocked()
}

func (r *relay) pendingLocked() int {
	n := len(r.queue)
	if r.working {
		n++
	}
	return n
}

// summary is what GitHub did not get.
func (r *relay) summary() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.unsent + r.pendingLocked()
	if n == 0 {
		return nil
	}
	if r.last == nil {
		r.last = errors.New("it took too long")
	}
	return fmt.Errorf("%d of %d entries were not sent to GitHub's cache service: %w", n, r.total, r.last)
}

// wait returns when the relay has ended.
func (r *relay) wait() { <-r.done }

// A pace keeps new entries below what GitHub takes in a minute.
type pace struct{ starts []time.Time }

func (p *pace) wait(ctx context.Context) error {
	now := time.Now()
	if len(p.starts) == perMinute {
		if err := pause(ctx, p.starts[0].Add(time.Minute).Sub(now)); err != nil {
			return err
		}
		p.starts = p.starts[1:]
	}
	p.starts = append(p.starts, time.Now())
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
