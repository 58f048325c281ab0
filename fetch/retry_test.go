package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

func TestRetries(t *testing.T) {
	for _, row := range []struct {
		name   string
		script faultnet.Script
		ok     bool
		asked  int
		after  time.Duration // at least
		before time.Duration // at most
	}{
		{"one hiccup", faultnet.Script{first(faultnet.Status(503))}, true, 2, 0, time.Second},
		{"two hiccups", faultnet.Script{{On: faultnet.First(2), Fault: faultnet.Status(502)}}, true, 3, 500 * time.Millisecond, 3 * time.Second},
		{"an outage", faultnet.Always(faultnet.Status(503)), false, 3, 500 * time.Millisecond, 3 * time.Second},
		{"a page first", faultnet.Script{first(faultnet.OKHTML())}, true, 2, 0, time.Second},
		{"refused first", faultnet.Script{first(faultnet.Refuse())}, true, 2, 0, time.Second},
		{"truncated first", faultnet.Script{first(faultnet.CutAfter(5))}, true, 2, 0, time.Second},
		{"rejected once, as by a front end", faultnet.Script{first(faultnet.Status(400))}, true, 2, 0, 0},
		{"rejected", faultnet.Always(faultnet.Status(400)), false, 2, 0, 0},
		{"rejected by method", faultnet.Always(faultnet.Status(405)), false, 1, 0, 0},
		{"no login", faultnet.Always(faultnet.Status(401)), false, 1, 0, 0},
		{"not there", faultnet.Always(faultnet.Status(404)), false, 1, 0, 0},
		{"asked to wait", faultnet.Script{first(faultnet.TooMany(5 * time.Second))}, true, 2, 5 * time.Second, 6 * time.Second},
		{"asked to wait for too long", faultnet.Script{first(faultnet.TooMany(20 * time.Second))}, false, 1, 0, 0},
		{"asked to wait again and again", faultnet.Always(faultnet.TooMany(3 * time.Second)), false, 3, 6 * time.Second, 8 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a := w.add(text(good), row.script...)
				start := time.Now()
				_, err := w.fetch.Bytes(t.Context(), w.ask())
				if ok := err == nil; ok != row.ok {
					t.Errorf("got error %v, want success: %t", err, row.ok)
				}
				if got := len(a.Log()); got != row.asked {
					t.Errorf("asked %d times, want %d", got, row.asked)
				}
				if took := time.Since(start); took < row.after || took > row.before {
					t.Errorf("took %v, want %v to %v", took, row.after, row.before)
				}
			})
		})
	}
}

// unavailable says 503 and names the date from which on it is well.
func unavailable(until time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if time.Now().Before(until) {
			w.Header().Set("Retry-After", until.UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(good))
	})
}

func TestRetryAfterADate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		until := time.Now().Truncate(time.Second).Add(4 * time.Second)
		a := w.add(unavailable(until))
		if _, err := w.fetch.Bytes(t.Context(), w.ask()); err != nil {
			t.Fatal(err)
		}
		if got := a.Log(); len(got) != 2 || got[1].At.Before(until) {
			t.Errorf("got requests %v, want the second not before %v", got, until)
		}
	})
}

// Who asked to be left alone is, by every request; the others are asked.
func TestRetryAfterHoldsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), first(faultnet.TooMany(5*time.Second)))
		b := w.add(text(good), row(faultnet.Status(503)))
		w.add(text(good))
		start := time.Now()
		for range 5 {
			if got, err := w.fetch.Bytes(t.Context(), w.ask()); err != nil || got.Endpoint != "c.example" {
				t.Errorf("got %q, %v; want c.example's answer", got.Endpoint, err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("took %v with a healthy source, want no wait", time.Since(start))
		}
		alone := w.ask()
		alone.Sources = alone.Sources[:1]
		if _, err := w.fetch.Bytes(t.Context(), alone); err != nil {
			t.Errorf("got %v from the source that asked for patience, alone", err)
		}
		if took := time.Since(start); took < 5*time.Second {
			t.Errorf("asked again after %v, want 5s", took)
		}
		if len(a.Log()) != 2 || len(b.Log()) > 2 {
			t.Errorf("got %d and %d requests, want 2 and at most 2", len(a.Log()), len(b.Log()))
		}
	})
}

func TestALongRetryAfterIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.TooMany(time.Hour)))
		for range 3 {
			_, err := w.fetch.Bytes(t.Context(), w.ask())
			if f := asFailure(t, err); f.Kind() != fault.RateLimited || f.After() < 59*time.Minute {
				t.Errorf("got %v (after %v), want rate-limited, for an hour", err, f.After())
			}
		}
		if got := len(a.Log()); got != 1 {
			t.Errorf("asked %d times, want once", got)
		}
	})
}

// The waits of a build come from one budget, and those that overlap count once.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fetch.Budget = &fetch.Budget{Wait: 7 * time.Second}
		w.add(text(good), row(faultnet.TooMany(2*time.Second)))
		start := time.Now()
		errs := make(chan error)
		for range 10 {
			go func() {
				_, err := w.fetch.Bytes(t.Context(), w.ask())
				errs <- err
			}()
		}
		for range 10 {
			if err := <-errs; fault.Of(err) != fault.RateLimited {
				t.Errorf("got %v, want rate-limited", err)
			}
		}
		if took := time.Since(start); took < 4*time.Second || took > 7*time.Second {
			t.Errorf("took %v, want as long as the budget holds", took)
		}
		w.fetch.Bytes(t.Context(), w.ask())
		w.fetch.Bytes(t.Context(), w.ask())
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("took %v in all, want no more than the budget", took)
		}
	})
}

// Without a budget nobody is asked twice, also when the time for it has passed
// while others were slow.
func TestNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fetch.Jitter = func() float64 { return 0.1 }
		w.add(text(good), row(faultnet.Hang()))
		w.add(text(good), row(faultnet.Hang()))
		ask := w.ask()
		ask.Budget = &fetch.Budget{Wait: -1}
		start := time.Now()
		_, err := w.fetch.Bytes(t.Context(), ask)
		if asFailure(t, err); time.Since(start) > 6*time.Second {
			t.Errorf("took %v, want each of them waited for once", time.Since(start))
		}
		wantKinds(t, w, "a.example timeout", "b.example timeout")
	})
}

func TestNoWaitBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.TooMany(5*time.Second)))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := w.fetch.Bytes(ctx, w.ask())
		if asFailure(t, err); time.Since(start) != 0 {
			t.Errorf("took %v to find that there is no time to wait, want none", time.Since(start))
		}
	})
}

func TestCancel(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault faultnet.Fault
	}{
		{"before the head", faultnet.Hang()},
		{"in the body", faultnet.HangAfter(10)},
		{"in a drip", faultnet.Drip(1)},
		{"while waiting to try again", faultnet.TooMany(5 * time.Second)},
	} {
		for what, get := range map[string]func(*world, context.Context) error{
			"Bytes": func(w *world, ctx context.Context) error { _, err := w.fetch.Bytes(ctx, w.ask()); return err },
			"Spool": func(w *world, ctx context.Context) error {
				ask := w.ask()
				ask.Digest = digestOf(good)
				_, err := w.fetch.Spool(ctx, ask, new(memory))
				return err
			},
		} {
			t.Run(what+" "+row.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.add(text(good), faultnet.Row{Fault: row.fault})
					cause := errors.New("Ctrl-C")
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(time.Second, func() { cancel(cause) })
					start := time.Now()
					err := get(w, ctx)
					if fault.Of(err) != fault.Canceled || !errors.Is(err, cause) {
						t.Errorf("got %v, want kind canceled with its cause", err)
					}
					if took := time.Since(start); took != time.Second {
						t.Errorf("took %v, want to end with the cancel", took)
					}
					if row.fault.Equal(faultnet.TooMany(5 * time.Second)) {
						return
					}
					if got := w.kinds(); len(got) != 0 {
						t.Errorf("got tries %q, want none: the caller went away", got)
					}
				})
			})
		}
	}
}

func TestTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.Status(500)))
		b := w.add(text(good))
		ask := w.ask()
		ask.Ordered = true // the breaker alone decides
		get := func() string {
			t.Helper()
			got, err := w.fetch.Bytes(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			return got.Endpoint
		}
		for range 6 {
			get()
		}
		if got := len(a.Log()); got != 3 {
			t.Errorf("asked %d times in a row while it fails, want 3", got)
		}
		time.Sleep(time.Second)
		get()
		get()
		if got := len(a.Log()); got != 4 {
			t.Errorf("asked %d times after a second, want one more", got)
		}
		time.Sleep(time.Second)
		get()
		if got := len(a.Log()); got != 4 {
			t.Errorf("asked %d times after another second, want to wait twice as long", got)
		}
		time.Sleep(time.Second)
		a.Play(nil)
		get()
		if got := get(); got != "a.example" || len(a.Log()) != 2 {
			t.Errorf("got %s's answer once the first is well, and %d requests there; want a.example's and 2", got, len(a.Log()))
		}
		// All are out: all are tried.
		a.Play(faultnet.Script{{On: faultnet.First(6), Fault: faultnet.Status(500)}})
		b.Play(faultnet.Always(faultnet.Status(500)))
		for range 2 {
			w.fetch.Bytes(t.Context(), ask)
		}
		if got := get(); got != "a.example" {
			t.Errorf("got %s's answer, want a.example's though both were left alone", got)
		}
	})
}

// A half-open endpoint gets one request, not all of them.
func TestOneHalfOpenTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.Status(500)))
		w.add(text(good))
		ask := w.ask()
		ask.Ordered = true
		for range 3 {
			w.fetch.Bytes(t.Context(), ask)
		}
		time.Sleep(2 * time.Second)
		a.Play(faultnet.Always(faultnet.Slow(100 * time.Millisecond)))
		done := make(chan string)
		for range 10 {
			go func() {
				got, _ := w.fetch.Bytes(t.Context(), ask)
				done <- got.Endpoint
			}()
		}
		n := 0
		for range 10 {
			if <-done == "a.example" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of ten went to the one that may be well again, want 1", n)
		}
	})
}

func TestA404NeverTripsTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.Status(404)))
		w.add(text(good))
		for range 10 {
			w.fetch.Bytes(t.Context(), w.ask())
		}
		if got := len(a.Log()); got != 10 {
			t.Errorf("asked %d times, want 10: an answer is an answer", got)
		}
	})
}

func TestTheTextOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(nil, row(faultnet.Hang()))
		w.add(nil, row(faultnet.OKHTML()))
		w.add(nil, row(faultnet.Status(404)))
		_, err := w.fetch.Bytes(t.Context(), w.ask())
		for _, want := range []string{"it: no source left: ", "a.example: timeout: no answer within 5s",
			"b.example: html-instead-of-api: a web page with status 200", "c.example: not-found: status 404 Not Found"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want it to contain %q", err, want)
			}
		}
	})
}
