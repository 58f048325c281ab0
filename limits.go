package outlast

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/plan"
)

// A LimitError ends an attempt that took too long.
type LimitError struct {
	Took   time.Duration // the limit
	Silent bool          // without a sign of life, that is; else all of the attempt's time
	What   string        // whose limit it is, as settings name it
	Step   string        // what was under way
	Push   bool          // that was the push of a made image
}

// Error says what took how long, and whose limit it was.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("no end after %s, the limit of %s", e.Took, e.What)
	if e.Silent {
		text = fmt.Sprintf("no output and no progress for %s, the limit of %s", e.Took, e.What)
	}
	if e.Step != "" {
		text += ", in " + e.Step
	}
	if e.Push {
		text += ", pushing"
	}
	return text
}

// Hint says what to do.
func (e *LimitError) Hint() string { return "raise " + e.What + " where the build is merely slow" }

// limited runs one attempt within its limits. What ends it by one of them is a
// *LimitError.
func (b *build) limited(ctx context.Context, limits []limit, do func(ctx context.Context, emit func(engine.Event)) (engine.Result, error)) (engine.Result, error) {
	w := &watch{beat: make(chan struct{}, 1), sizes: make(map[string]int64)}
	b.watch.Store(w)
	within, cancel := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	for _, l := range limits {
		group.Go(func() { l.guard(within, w, cancel) })
	}
	result, err := do(within, func(e engine.Event) {
		w.see(e)
		b.emit(e)
	})
	var over *LimitError
	reached := errors.As(context.Cause(within), &over)
	cancel(nil)
	group.Wait()
	if reached && err != nil && ctx.Err() == nil {
		return result, &fault.Error{Op: "build", Kind: fault.Timeout, Err: over}
	}
	return result, err
}

// A limit is a time that an attempt may not take.
type limit struct {
	after  time.Duration
	silent bool // counted from the last sign of life
	what   string
	during func(step string) bool // it holds in such steps alone; nil: in all
}

// exportIdle is how long the export of a cache may show no sign of life. One
// that hangs heeds no limit of BuildKit's own, and all that is lost with it is
// a cache.
const exportIdle = 3 * time.Minute

// limits are those of an attempt.
func (b *build) limits(p plan.Plan) []limit {
	idle := b.Settings.Build.Idle
	what := "timeouts." + string(p.Strategy)
	if p.Finish {
		what = "an attempt that has nothing to build"
	}
	return []limit{
		{after: p.Timeout, what: what},
		{after: idle, silent: true, what: "build.idle"},
		{after: min(idle, exportIdle), silent: true, what: "an export of a cache", during: exportsCache},
	}
}

// guard ends the attempt where it reaches the limit.
func (l limit) guard(ctx context.Context, w *watch, end context.CancelCauseFunc) {
	timer := time.NewTimer(l.after)
	defer timer.Stop()
	beat := w.beat
	if !l.silent {
		beat = nil
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat:
			timer.Reset(l.after)
		case <-timer.C:
			if l.during != nil && !l.during(w.step()) {
				timer.Reset(l.after)
				continue
			}
			end(&LimitError{Took: l.after, Silent: l.silent, What: l.what, Step: w.step(), Push: w.pushing()})
			return
		}
	}
}

// A watch looks for signs of life in an attempt. Its methods may be called at
// once from many places.
type watch struct {
	beat chan struct{}

	mu    sync.Mutex
	sizes map[string]int64 // of transfers: what repeats itself is no progress
	last  string           // the step that began last and has not ended
	sends bool             // it has begun to push the image
}

func (w *watch) alive() {
	select {
	case w.beat <- struct{}{}:
	default:
	}
}

func (w *watch) see(e engine.Event) {
	if e.Status == nil || len(e.Status.Logs) > 0 || w.moves(e.Status) {
		w.alive()
	}
}

// maxWatched bounds the transfers that are told apart.
const maxWatched = 10_000

// moves reports whether a status tells of a step that began or ended, or of a
// transfer that came forward. BuildKit repeats where a transfer stands.
func (w *watch) moves(s *client.SolveStatus) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	moved := false
	for _, v := range s.Vertexes {
		if v == nil {
			continue
		}
		moved = moved || v.Started != nil
		switch {
		case v.Completed != nil && w.last == v.Name:
			w.last = ""
		case v.Completed == nil && v.Started != nil:
			w.last, w.sends = v.Name, false
		}
	}
	for _, st := range s.Statuses {
		if st == nil {
			continue
		}
		key := st.Vertex.String() + " " + st.ID
		before, known := w.sizes[key]
		if known && before == st.Current && st.Completed == nil {
			continue
		}
		w.sends = w.sends || strings.HasPrefix(st.ID, "pushing ") && strings.HasPrefix(w.last, "exporting to ")
		if !known && len(w.sizes) >= maxWatched {
			clear(w.sizes)
		}
		w.sizes[key], moved = st.Current, true
	}
	return moved
}

// pushing reports whether what is under way is the push of a made image
// (BuildKit, exporter/containerimage: "pushing layers", "pushing manifest for …").
func (w *watch) pushing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sends
}

func (w *watch) step() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}
