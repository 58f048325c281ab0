package gateway

import (
	"context"
	"sync"
)

// flights lets equal requests share one piece of work. The work outlives the
// caller that began it: somebody else may be waiting for it, and what was
// fetched is kept for the next one.
type flights[T any] struct {
	mu  sync.Mutex
	all map[string]*flight[T]
}

type flight[T any] struct {
	done chan struct{}
	val  T
	err  error
}

// do returns what work returns for key, and runs it at most once at a time.
// It returns early with ctx's cause when ctx ends; the work goes on under the
// context run, which ends with the gateway.
func (f *flights[T]) do(ctx, run context.Context, key string, work func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	fl := f.all[key]
	if fl == nil {
		fl = &flight[T]{done: make(chan struct{})}
		if f.all == nil {
			f.all = make(map[string]*flight[T])
		}
		f.all[key] = fl
		go func() {
			defer func() {
				f.mu.Lock()
				delete(f.all, key)
				f.mu.Unlock()
				close(fl.done)
			}()
			fl.val, fl.err = work(run)
		}()
	}
	f.mu.Unlock()
	select {
	case <-fl.done:
		return fl.val, fl.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}
