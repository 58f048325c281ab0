package fetch_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

// oneByte answers with one byte after a while, and breaks off.
func oneByte(after time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var off int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off)
		w.Header().Set("Content-Length", strconv.Itoa(300_000-off))
		if off > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-299999/300000", off))
			w.WriteHeader(http.StatusPartialContent)
		}
		time.Sleep(after)
		w.Write([]byte("x"))
		panic(http.ErrAbortHandler)
	})
}

// A source that breaks off again and again is asked for the rest as long as
// each answer brings it on, and for a bounded number of tries and of seconds.
func TestSpoolFromOneThatBreaksOffEarly(t *testing.T) {
	for _, row := range []struct {
		name   string
		size   int
		script faultnet.Script
		by     http.Handler // in place of a script
		silent bool         // there is an origin, and it never answers
		ok     bool
		asked  int           // at most
		within time.Duration // at most
	}{
		{"four times at 1000 bytes, and then no more", 300_000, faultnet.Script{{On: faultnet.First(4), Fault: faultnet.CutAfter(1000)}}, nil, true, true, 5, 6 * time.Second},
		{"the same by resets, alone", 300_000, faultnet.Script{{On: faultnet.First(4), Fault: faultnet.ResetAfter(1000)}}, nil, false, true, 5, time.Second},
		{"each time at 1000 bytes", 200_000, faultnet.Always(faultnet.CutAfter(1000)), nil, true, true, 200, 6 * time.Second},
		{"each time at one byte", 300_000, faultnet.Always(faultnet.CutAfter(1)), nil, false, false, 260, 5 * time.Second},
		{"each time at byte 0", 300_000, faultnet.Always(faultnet.CloseAt0()), nil, false, false, 3, 5 * time.Second},
		{"each time at one byte, which takes a while", 300_000, nil, oneByte(2 * time.Second), false, false, 260, 30 * time.Second},
		{"it stalls twice at 1000 bytes", 300_000, faultnet.Script{{On: faultnet.First(2), Fault: faultnet.HangAfter(1000)}}, nil, false, true, 3, 23 * time.Second},
		{"it stalls each time at 1000 bytes", 300_000, faultnet.Always(faultnet.HangAfter(1000)), nil, false, false, 4, 45 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want := content(row.size)
				w := newWorld(t)
				if row.silent {
					w.add(blob(want), faultnet.Row{Fault: faultnet.Hang()})
				}
				if row.by == nil {
					row.by = blob(want)
				}
				up := w.add(row.by, row.script...)
				start := time.Now()
				_, m, err := w.spool(want)
				if ok := err == nil; ok != row.ok {
					t.Errorf("got error %v, want success: %t; tries %q", err, row.ok, w.kinds())
				}
				if m.twice != 0 {
					t.Errorf("%d bytes were written twice, want none", m.twice)
				}
				if got := len(up.Log()); got > row.asked {
					t.Errorf("asked %d times, want at most %d", got, row.asked)
				}
				if took := time.Since(start); took > row.within {
					t.Errorf("took %v, want at most %v", took, row.within)
				}
			})
		})
	}
}

// Where all that are left are silent, the end comes within the limits, and the
// failure names each of them; also when many ask at once and there is no hedging left.
func TestTheEndWhereAllAreSilent(t *testing.T) {
	get := map[string]func(*world, context.Context) error{
		"Head":  func(w *world, ctx context.Context) error { _, err := w.fetch.Head(ctx, w.ask()); return err },
		"Bytes": func(w *world, ctx context.Context) error { _, err := w.fetch.Bytes(ctx, w.ask()); return err },
		"Spool": func(w *world, ctx context.Context) error {
			ask := w.ask()
			ask.Digest = digestOf(good)
			_, err := w.fetch.Spool(ctx, ask, new(memory))
			return err
		},
	}
	for _, row := range []struct {
		name   string
		silent int
		others []faultnet.Fault
		asks   int // at once
		within time.Duration
	}{
		{"one source", 1, nil, 1, 12 * time.Second},
		{"two sources", 2, nil, 1, 13 * time.Second},
		{"three sources", 3, nil, 1, 14 * time.Second},
		{"five sources", 5, nil, 1, 18 * time.Second},
		{"one, beside an outage and a refusal", 1, []faultnet.Fault{faultnet.StatusHTML(503, ""), faultnet.Refuse()}, 1, 13 * time.Second},
		{"three sources, asked for twenty things at once", 3, nil, 20, 20 * time.Second},
		{"five sources, asked for twenty things at once", 5, nil, 20, 28 * time.Second},
	} {
		for what, get := range get {
			t.Run(what+" from "+row.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					var ups []*faultnet.Transport
					for range row.silent {
						ups = append(ups, w.add(text(good), faultnet.Row{Fault: faultnet.Hang()}))
					}
					for _, f := range row.others {
						w.add(text(good), faultnet.Row{Fault: f})
					}
					start := time.Now()
					errs := make(chan error)
					for range row.asks {
						go func() { errs <- get(w, t.Context()) }()
					}
					for range row.asks {
						f := asFailure(t, <-errs)
						if len(f.Tries) != len(w.names) {
							t.Errorf("got %d lines, want one for each source: %v", len(f.Tries), f)
						}
						for i, try := range f.Tries[:min(row.silent, len(f.Tries))] {
							if try.Endpoint != w.names[i] || !strings.Contains(try.Err.Error(), "no answer within 5s") {
								t.Errorf("got %v of %s, want that it did not answer", try.Err, w.names[i])
							}
						}
					}
					if took := time.Since(start); took > row.within {
						t.Errorf("took %v, want at most %v", took, row.within)
					}
					for _, up := range ups {
						if got := len(up.Log()); got > 2*row.asks {
							t.Errorf("%d requests for each of %d things, want two at most", got, row.asks)
						}
					}
				})
			})
		}
	}
}

// A source that is known as silent costs the next request one limit, not two,
// and is used again when it is well.
func TestOneThatIsKnownAsSilentIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(text(good), row(faultnet.Hang()))
		for range 2 {
			w.fetch.Bytes(t.Context(), w.ask())
		}
		start := time.Now()
		_, err := w.fetch.Bytes(t.Context(), w.ask())
		if asFailure(t, err).Kind() != fault.Timeout || time.Since(start) != 5*time.Second {
			t.Errorf("got %v after %v, want a timeout after 5s", err, time.Since(start))
		}
		a.Play(nil)
		if _, err := w.fetch.Bytes(t.Context(), w.ask()); err != nil {
			t.Errorf("got %v from it when it is well again", err)
		}
	})
}
