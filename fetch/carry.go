package fetch

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/outlast-build/outlast/fault"
)

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
