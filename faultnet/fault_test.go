package faultnet_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

// content is what the backend of the tests serves, at any path and in ranges.
var content = bytes.Repeat([]byte("0123456789"), 100)

func backend(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// seen is what a client sees of one request.
type seen struct {
	Kind   fault.Kind // of the error, else of the status, else of the body
	Status int        // 0 without a head
	Bytes  int        // of the body
	Good   bool       // all of the bytes are those of the content
}

// ask sends a request and reads what comes.
func ask(ctx context.Context, t http.RoundTripper, method, url string) seen {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		panic(err)
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return seen{Kind: fault.Of(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	s := seen{Status: resp.StatusCode, Bytes: len(body), Good: bytes.HasPrefix(content, body)}
	switch {
	case err != nil:
		s.Kind = fault.Of(err)
	case fault.IsHTML(resp.Header.Get("Content-Type"), body):
		s.Kind = fault.HTML
	default:
		s.Kind = fault.OfStatus(resp.StatusCode)
	}
	return s
}

// every has each fault, its name, and what a client with a limit sees of it.
var every = []struct {
	fault faultnet.Fault
	name  string
	get   seen
	head  seen
}{
	{faultnet.Fault{}, "healthy", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.Slow(50 * time.Millisecond), "slow 50ms", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.Slow(time.Hour), "slow 1h0m0s", seen{fault.Timeout, 0, 0, false}, seen{fault.Timeout, 0, 0, false}},
	{faultnet.Refuse(), "refuse", seen{fault.Connection, 0, 0, false}, seen{fault.Connection, 0, 0, false}},
	{faultnet.DropSYN(), "drop SYN", seen{fault.Timeout, 0, 0, false}, seen{fault.Timeout, 0, 0, false}},
	{faultnet.HangTLS(), "hang in TLS handshake", seen{fault.Timeout, 0, 0, false}, seen{fault.Timeout, 0, 0, false}},
	{faultnet.Hang(), "hang", seen{fault.Timeout, 0, 0, false}, seen{fault.Timeout, 0, 0, false}},
	{faultnet.HangAfter(0), "hang after 0 B", seen{fault.Timeout, 200, 0, true}, seen{"", 200, 0, true}},
	{faultnet.HangAfter(400), "hang after 400 B", seen{fault.Timeout, 200, 400, true}, seen{"", 200, 0, true}},
	{faultnet.HangAfter(1000), "hang after 1 kB", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.Drip(1e6), "drip 1 MB/s", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.Reset(), "reset", seen{fault.Connection, 0, 0, false}, seen{fault.Connection, 0, 0, false}},
	{faultnet.ResetAfter(0), "reset after 0 B", seen{fault.Connection, 200, 0, true}, seen{"", 200, 0, true}},
	{faultnet.ResetAfter(400), "reset after 400 B", seen{fault.Connection, 200, 400, true}, seen{"", 200, 0, true}},
	{faultnet.CutAfter(400), "cut after 400 B", seen{fault.Truncated, 200, 400, true}, seen{"", 200, 0, true}},
	{faultnet.CutAfter(999), "cut after 999 B", seen{fault.Truncated, 200, 999, true}, seen{"", 200, 0, true}},
	{faultnet.CutAfter(4e5), "cut after 400 kB", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.CloseAt0(), "close at byte 0", seen{fault.Truncated, 200, 0, true}, seen{"", 200, 0, true}},
	{faultnet.NoAnswer(), "close without an answer", seen{fault.Connection, 0, 0, false}, seen{fault.Connection, 0, 0, false}},
	{faultnet.WrongByte(), "wrong byte", seen{"", 200, 1000, false}, seen{"", 200, 0, true}},
	{faultnet.WrongByteAt(0), "wrong byte at 0 B", seen{"", 200, 1000, false}, seen{"", 200, 0, true}},
	{faultnet.WrongByteAt(1000), "wrong byte at 1 kB", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.WrongLength(-1), "length off by -1", seen{"", 200, 999, true}, seen{"", 200, 0, true}},
	{faultnet.WrongLength(-2000), "length off by -2000", seen{"", 200, 0, true}, seen{"", 200, 0, true}},
	{faultnet.WrongLength(10), "length off by +10", seen{fault.Truncated, 200, 1000, true}, seen{"", 200, 0, true}},
	{faultnet.Status(400), "400", seen{fault.Rejected, 400, 55, false}, seen{fault.Rejected, 400, 0, true}},
	{faultnet.Status(401), "401", seen{fault.Auth, 401, 61, false}, seen{fault.Auth, 401, 0, true}},
	{faultnet.Status(404), "404", seen{fault.NotFound, 404, 58, false}, seen{fault.NotFound, 404, 0, true}},
	{faultnet.Status(503), "503", seen{fault.Outage, 503, 67, false}, seen{fault.Outage, 503, 0, true}},
	{faultnet.Status(503).After(time.Second / 100), "503 after 10ms", seen{fault.Outage, 503, 67, false}, seen{fault.Outage, 503, 0, true}},
	{faultnet.StatusHTML(503, "<html>"), "503 HTML", seen{fault.HTML, 503, 6, false}, seen{fault.HTML, 503, 0, true}},
	{faultnet.StatusHTML(400, ""), "400 HTML", seen{fault.HTML, 400, len(faultnet.OutagePage), false}, seen{fault.HTML, 400, 0, true}},
	{faultnet.OKHTML(), "200 HTML", seen{fault.HTML, 200, len(faultnet.OutagePage), false}, seen{fault.HTML, 200, 0, true}},
	{faultnet.OKHTMLAs("application/json"), "200 HTML as application/json", seen{fault.HTML, 200, len(faultnet.OutagePage), false}, seen{"", 200, 0, true}},
	{faultnet.TooMany(5 * time.Second), "429 retry after 5s", seen{fault.RateLimited, 429, 69, false}, seen{fault.RateLimited, 429, 0, true}},
	{faultnet.TooMany(0), "429", seen{fault.RateLimited, 429, 69, false}, seen{fault.RateLimited, 429, 0, true}},
	{faultnet.NoRange(), "no ranges", seen{"", 200, 1000, true}, seen{"", 200, 0, true}},
}

func TestEveryFaultInMemory(t *testing.T) {
	for _, tt := range every {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.fault.String(); got != tt.name {
				t.Errorf("got name %q, want %q", got, tt.name)
			}
			synctest.Test(t, func(t *testing.T) {
				tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: faultnet.Always(tt.fault)}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				got := ask(ctx, tr, "GET", "http://registry.example.com/v2/app/blobs/sha256:1")
				if diff := cmp.Diff(tt.get, got); diff != "" {
					t.Errorf("GET (-want +got):\n%s", diff)
				}
				ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				got = ask(ctx, tr, "HEAD", "https://registry.example.com/v2/app/blobs/sha256:1")
				if diff := cmp.Diff(tt.head, got); diff != "" {
					t.Errorf("HEAD (-want +got):\n%s", diff)
				}
				synctest.Wait()
				for _, r := range tr.Log() {
					if !r.Done || r.Fault != tt.fault || r.Place != faultnet.Blob {
						t.Errorf("got log entry %v, want it done, at a blob, with %v", r, tt.fault)
					}
				}
			})
		})
	}
}

func TestDripTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: faultnet.Always(faultnet.Drip(10))}
		start := time.Now()
		got := ask(t.Context(), tr, "GET", "http://registry.example.com/x")
		if want := (seen{"", 200, 1000, true}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if got, want := time.Since(start), 100*time.Second; got < want-time.Second || got > want {
			t.Errorf("got %v for 1000 bytes at 10 a second, want about %v", got, want)
		}
	})
}

func TestDropSYNEndsAsTheKernelEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &faultnet.Transport{Script: faultnet.Always(faultnet.DropSYN())}
		start := time.Now()
		got := ask(t.Context(), tr, "GET", "http://registry.example.com/x")
		if want := (seen{Kind: fault.Timeout}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if got, want := time.Since(start), 127*time.Second; got != want {
			t.Errorf("got an end after %v, want %v", got, want)
		}
	})
}

func TestABodyBehavesLikeThatOfNetHTTP(t *testing.T) {
	open := func(t *testing.T, ctx context.Context) (*faultnet.Transport, io.ReadCloser) {
		tr := &faultnet.Transport{Backend: http.HandlerFunc(backend), Script: faultnet.Always(faultnet.HangAfter(10))}
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://registry.example.com/x", nil)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		return tr, resp.Body
	}
	read := func(body io.Reader) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := body.Read(make([]byte, 1))
			done <- err
		}()
		return done
	}
	ended := func(t *testing.T, tr *faultnet.Transport) {
		t.Helper()
		synctest.Wait()
		if log := tr.Log(); len(log) != 1 || !log[0].Done || log[0].Sent != 10 {
			t.Errorf("got log %v, want one request that ended after 10 bytes", log)
		}
	}
	t.Run("a cancel unblocks a read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			tr, body := open(t, ctx)
			defer body.Close()
			done := read(body)
			synctest.Wait()
			cancel()
			if got := fault.Of(<-done); got != fault.Canceled {
				t.Errorf("got %q, want %q", got, fault.Canceled)
			}
			ended(t, tr)
		})
	})
	t.Run("closing ends a read and the handler", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr, body := open(t, t.Context())
			done := read(body)
			synctest.Wait()
			body.Close()
			if err := <-done; err == nil {
				t.Error("got no error from a read of a closed body")
			}
			ended(t, tr)
		})
	})
	t.Run("closing the transport cuts the body", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr, body := open(t, t.Context())
			defer body.Close()
			done := read(body)
			synctest.Wait()
			tr.Close()
			if got := fault.Of(<-done); got != fault.Truncated {
				t.Errorf("got %q, want %q", got, fault.Truncated)
			}
			ended(t, tr)
			if got, want := ask(t.Context(), tr, "GET", "http://registry.example.com/x"), (seen{Kind: fault.Connection}); got != want {
				t.Errorf("got %v of a closed transport, want %v", got, want)
			}
		})
	})
}
