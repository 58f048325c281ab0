package fetch_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/health"
)

func TestASilentSourceIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.Hang()))
		w.add(text(good))
		start := time.Now()
		for range 10 {
			if _, err := w.fetch.Bytes(t.Context(), w.ask()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("ten requests took %v more than with a healthy source, want at most 0.5s", took)
		}
		if got := len(a.Log()); got != 1 {
			t.Errorf("the silent source was asked %d times, want once", got)
		}
	})
}

// In a given order, only the breaker keeps a source that hangs, with a head or
// without one, from being waited for each time.
func TestASilentSourceInAGivenOrder(t *testing.T) {
	t.Run("no head", func(t *testing.T) { silentInOrder(t, faultnet.Hang()) })
	t.Run("a head and a few bytes", func(t *testing.T) { silentInOrder(t, faultnet.HangAfter(2)) })
}

func silentInOrder(t *testing.T, fault faultnet.Fault) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(fault))
		w.add(text(good))
		ask := w.ask()
		ask.Ordered, ask.Patience = true, time.Second
		start := time.Now()
		for range 30 {
			if _, err := w.fetch.Bytes(t.Context(), ask); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("thirty requests took %v, want at most 5s", took)
		}
		a.Play(nil)
		time.Sleep(10 * time.Second)
		for range 2 {
			got, err := w.fetch.Bytes(t.Context(), ask)
			if err != nil || got.Endpoint != "a.example" {
				t.Errorf("got %s's answer (%v) once the first is well, want a.example's", got.Endpoint, err)
			}
		}
	})
}

func TestTenAtOncePastASilentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Hang()))
		w.add(text(good))
		start := time.Now()
		errs := make(chan error)
		for range 10 {
			go func() {
				_, err := w.fetch.Bytes(t.Context(), w.ask())
				errs <- err
			}()
		}
		for range 10 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("took %v, want at most 0.5s", took)
		}
	})
}

// A source with a good past is waited for as long as it usually takes, and
// loses its place after a few times.
func TestAnOldFriendThatFellSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.Slow(120*time.Millisecond)))
		w.add(text(good), row(faultnet.Slow(130*time.Millisecond)))
		for range 20 {
			w.fetch.Bytes(t.Context(), w.ask())
		}
		if got := len(a.Log()); got != 20 {
			t.Fatalf("the first source was asked %d times while it was well, want 20", got)
		}
		a.Play(faultnet.Always(faultnet.Hang()))
		w.forget()
		start := time.Now()
		for range 10 {
			if _, err := w.fetch.Bytes(t.Context(), w.ask()); err != nil {
				t.Fatal(err)
			}
		}
		if extra := time.Since(start) - 10*130*time.Millisecond; extra > 500*time.Millisecond {
			t.Errorf("ten requests took %v more, want at most 0.5s", extra)
		}
		if got := len(a.Log()); got > 4 {
			t.Errorf("it was asked %d more times, want at most 4", got)
		}
	})
}

func TestASlowFirstSourceMayStillWin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Slow(300*time.Millisecond)))
		w.add(text(good), row(faultnet.Slow(time.Second)))
		got, err := w.fetch.Bytes(t.Context(), w.ask())
		if err != nil || got.Endpoint != "a.example" {
			t.Errorf("got %q, %v; want a.example's answer", got.Endpoint, err)
		}
		wantKinds(t, w, "a.example ok")
	})
}

func TestHedgingStopsWhenEverythingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow := row(faultnet.Slow(2 * time.Second))
		a, b := w.add(text(good), slow), w.add(text(good), slow)
		errs := make(chan error)
		const n = 100
		for range n {
			go func() {
				_, err := w.fetch.Bytes(t.Context(), w.ask())
				errs <- err
			}()
		}
		for range n {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if got := len(a.Log()) + len(b.Log()); got < n+5 || got > n+20 {
			t.Errorf("got %d requests for %d asks, want a few more, but not twice as many", got, n)
		}
	})
}

// Two silent sources cost little more than one; a third request follows a
// second after the second.
func TestTwoSilentSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Hang()))
		w.add(text(good), row(faultnet.Hang()))
		w.add(text(good))
		start := time.Now()
		got, err := w.fetch.Bytes(t.Context(), w.ask())
		if err != nil || got.Endpoint != "c.example" {
			t.Errorf("got %q, %v; want c.example's answer", got.Endpoint, err)
		}
		if took := time.Since(start); took != 1250*time.Millisecond {
			t.Errorf("took %v, want 1.25s", took)
		}
		start = time.Now()
		if _, err := w.fetch.Bytes(t.Context(), w.ask()); err != nil || time.Since(start) != 0 {
			t.Errorf("the next request took %v, %v; want none", time.Since(start), err)
		}
	})
}

func TestAHedgeThatFailsDoesNotHurt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Slow(400*time.Millisecond)))
		w.add(text(good), row(faultnet.Status(500)))
		got, err := w.fetch.Bytes(t.Context(), w.ask())
		if err != nil || got.Endpoint != "a.example" {
			t.Errorf("got %q, %v; want a.example's answer", got.Endpoint, err)
		}
		wantKinds(t, w, "b.example outage", "a.example ok")
	})
}

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Slow(1900*time.Millisecond)))
		w.add(text(good))
		ask := w.ask()
		ask.Ordered, ask.Patience = true, 2*time.Second
		for range 3 {
			got, err := w.fetch.Bytes(t.Context(), ask)
			if err != nil || got.Endpoint != "a.example" {
				t.Errorf("got %q, %v; want a.example's answer, which came within the patience", got.Endpoint, err)
			}
		}
	})
}

func TestTheBoardOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fetch.Board = new(health.Board)
		a := w.add(text(good))
		w.add(text(good))
		w.fetch.Board.Record(health.Observation{Endpoint: "a.example", At: time.Now(), Kind: fault.Outage})
		got, _ := w.fetch.Bytes(t.Context(), w.ask())
		if got.Endpoint != "b.example" || len(a.Log()) != 0 {
			t.Errorf("got %q and %d requests at the one that a probe found down, want b.example's answer and none", got.Endpoint, len(a.Log()))
		}
		ask := w.ask()
		ask.Ordered = true
		if got, _ = w.fetch.Bytes(t.Context(), ask); got.Endpoint != "a.example" {
			t.Errorf("got %q where the order matters, want a.example's answer", got.Endpoint)
		}
		if st := w.fetch.Board.Snapshot(time.Now()).Standing("b.example"); st.Seen != 1 {
			t.Errorf("got %d answers of b.example on the board, want 1", st.Seen)
		}
	})
}

// The limits, where nobody else can be asked.
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault faultnet.Fault
		text  string
		after time.Duration
	}{
		{"no head", faultnet.Hang(), "no answer within 5s", 5 * time.Second},
		{"no connection", faultnet.DropSYN(), "no answer within 5s", 5 * time.Second},
		{"no body", faultnet.HangAfter(0), "nothing received for 10s", 10 * time.Second},
		{"no more body", faultnet.HangAfter(20), "nothing received for 10s", 10 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(text(good), faultnet.Row{Fault: row.fault})
				ask := w.ask()
				ask.Budget = &fetch.Budget{Wait: -1}
				start := time.Now()
				_, err := w.fetch.Bytes(t.Context(), ask)
				f := asFailure(t, err)
				if f.Kind() != fault.Timeout || f.Tries[0].Err.Error() != "a.example: timeout: "+row.text {
					t.Errorf("got %v, want a timeout with %q", err, row.text)
				}
				if took := time.Since(start); took.Round(time.Millisecond) != row.after {
					t.Errorf("took %v, want %v", took, row.after)
				}
			})
		})
	}
}

// lateNews answers at once, tells of a connection a second later, and sends the
// body after seven.
type lateNews struct{}

func (lateNews) RoundTrip(r *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	trace := httptrace.ContextClientTrace(r.Context())
	context.AfterFunc(r.Context(), func() { w.CloseWithError(context.Cause(r.Context())) })
	time.AfterFunc(time.Second, func() { trace.GotConn(httptrace.GotConnInfo{}) })
	time.AfterFunc(7*time.Second, func() {
		io.WriteString(w, good)
		w.Close()
	})
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: body, ContentLength: int64(len(good)), Request: r}, nil
}

// Late news of a connection that was not used puts no limit on the body.
func TestLateNewsOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fetch.Fetcher{Base: lateNews{}}
		got, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: "http://a.example/"}}})
		if err != nil || string(got.Body) != good {
			t.Errorf("got %q, %v; want the body, which came within its limit", got.Body, err)
		}
	})
}

// A drip that delivers is let go on, where there is nobody else.
func TestADripThatDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Drip(1)))
		start := time.Now()
		got, err := w.fetch.Bytes(t.Context(), w.ask())
		if err != nil || string(got.Body) != good {
			t.Errorf("got %q, %v; want everything", got.Body, err)
		}
		if took := time.Since(start); took < 30*time.Second {
			t.Errorf("took %v, want the drip to take its time", took)
		}
	})
}

func TestLosersAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(text(good), row(faultnet.Hang()))
		w.add(text(good))
		w.fetch.Bytes(t.Context(), w.ask())
		var got []string
		for _, try := range w.tries {
			got = append(got, fmt.Sprintf("%s hedged:%t took:%v %v", try.Endpoint, try.Hedged, try.Took, try.Err))
		}
		want := []string{
			"a.example hedged:false took:250ms a.example: canceled: not done after 250ms, and b.example was faster",
			"b.example hedged:true took:0s <nil>",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
