package fetch

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/outlast-build/outlast/fault"
)

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
		t.j.gaveUp(l.fl.c, *l.fl.try, waited, false)
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
