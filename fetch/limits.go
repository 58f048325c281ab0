package fetch

import (
	"context"
	"sync"
	"time"
)

// Limits bound each request to a source. Zero fields have their defaults.
type Limits struct {
	Dial   time.Duration // name, and connection to one of its addresses; zero means 2 s
	Header time.Duration // TLS handshake; and silence until the head of the answer; zero means 5 s
	Idle   time.Duration // silence within the body; zero means 10 s
}

func (l Limits) orDefault() Limits {
	if l.Dial <= 0 {
		l.Dial = 2 * time.Second
	}
	if l.Header <= 0 {
		l.Header = 5 * time.Second
	}
	if l.Idle <= 0 {
		l.Idle = 10 * time.Second
	}
	return l
}

// headRounds bounds the head of one answer as a whole, in header limits: a
// redirect or a token is an exchange of its own, and each step that gets
// through earns the next one its full time.
const headRounds = 4

// A limitError is a limit that ran out. Its kind is fault.Timeout.
type limitError struct {
	what  string
	limit time.Duration
}

func (e *limitError) Error() string { return e.what + " " + e.limit.String() }
func (e *limitError) Timeout() bool { return true }

func noConnection(d time.Duration) error { return &limitError{"no connection within", d} }
func noAnswer(d time.Duration) error     { return &limitError{"no answer within", d} }
func noBytes(d time.Duration) error      { return &limitError{"nothing received for", d} }

// A watch cancels a request that has been silent for too long: first until the
// head of the answer has come, then read by read.
type watch struct {
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	cause error     // what the request ends with; nil while nothing is waited for
	until time.Time // the head must have come by then; zero when it has
}

// step gives the head of the answer d from now on. It does nothing once the
// head has come: news of a connection that is not used any more may be late.
func (w *watch) step(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.until.IsZero() {
		w.allowLocked(min(d, time.Until(w.until)), noAnswer(d))
	}
}

// headCame ends the wait for the head.
func (w *watch) headCame() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
	w.restLocked()
}

// allow gives the request d from now on; then it ends with cause.
func (w *watch) allow(d time.Duration, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowLocked(d, cause)
}

// rest stops the watch until the next allow.
func (w *watch) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restLocked()
}

func (w *watch) allowLocked(d time.Duration, cause error) {
	w.cause = cause
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.expire)
		return
	}
	w.timer.Reset(d)
}

func (w *watch) restLocked() {
	w.cause = nil
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) expire() {
	w.mu.Lock()
	cause := w.cause
	w.mu.Unlock()
	if cause != nil {
		w.cancel(cause)
	}
}
