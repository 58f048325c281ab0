// Package ecotest holds the tests that every ecosystem of the gateway passes:
// failover, spoiled content, stale answers, definite noes, shared fetches and
// a store that fails. They run on fake time, with upstreams that fail by
// script.
package ecotest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
)

// The hosts of the upstreams in these tests, in the order of preference: a
// mirror that may speak for moving content, and the origin.
const (
	MirrorHost = "mirror.example.com"
	OriginHost = "origin.example.com"
)

// A Subject is an ecosystem to test. A healthy upstream answers Backend's way.
type Subject struct {
	New       func() gateway.Ecosystem
	Backend   http.Handler
	Upstreams func(t testing.TB, base http.RoundTripper) func(origin string) []gateway.Upstream

	Fixed  string // a path of content that a digest proves; empty where there is none
	Moving string // a path of content that moves; empty where there is none
	Header http.Header

	Fresh time.Duration // how long an answer about Moving needs no new one

	LooksUp bool // what proves Fixed is looked up in Moving

	Once  bool // Fixed is known by what was seen first: no digest of it is known ahead
	Whole bool // the head of an answer tells what is known with its body alone
	Peers bool // nobody is the origin: a no counts where it is the word of all
}

// Run runs all tests.
func Run(t *testing.T, s Subject) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *rig, string)
	}{
		{"a first upstream that fails is gone round", failover},
		{"with everything down and the store warm, content is served", warm},
		{"an old answer of who may not speak any more does not count", strangers},
		{"with everything down and nothing stored, the answer is 502 in time", cold},
		{"with nothing stored, nobody is asked more often than the limits say", patient},
		{"who does not take a HEAD is asked by GET", headless},
		{"one mirror's no does not win over the origin's silence", mirrorsNo},
		{"the origin's no is passed on", originsNo},
		{"spoiled content from everywhere is not served", spoiled},
		{"equal requests share one fetch", shared},
		{"a fetch outlives the caller that began it", outlives},
		{"a store that fails, fails no request", brokenStore},
		{"a head does not wait for a body that takes long", lateBody},
		{"ranges are served", ranges},
		{"only reading is allowed", readOnly},
		{"a registry that nobody named is not forwarded to", unnamed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for kind, path := range map[string]string{"fixed": s.Fixed, "moving": s.Moving} {
				if path == "" {
					continue
				}
				t.Run(kind, func(t *testing.T) { tt.test(t, &rig{Subject: s}, path) })
			}
		})
	}
}

// A rig is a mirror over two upstreams, in one bubble of fake time.
type rig struct {
	Subject
	mirror, origin *faultnet.Transport
	store          *cas.Store
	gateway        *gateway.Mirror
}

// bubble runs f with a rig that is set up and torn down around it.
func (r *rig) bubble(t *testing.T, dir string, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		r.mirror = &faultnet.Transport{Backend: r.Backend}
		r.origin = &faultnet.Transport{Backend: r.Backend}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		r.store = store
		base := faultnet.Hosts{MirrorHost: r.mirror, OriginHost: r.origin}
		fetcher := &fetch.Fetcher{Base: base}
		r.gateway = &gateway.Mirror{Ecosystem: r.New(), Store: store, Fetcher: fetcher, Upstreams: r.Upstreams(t, fetcher.Transport())}
		r.gateway.Start(context.Background())
		defer func() {
			r.gateway.Close()
			r.mirror.Close()
			r.origin.Close()
			synctest.Wait()
		}()
		f(t)
	})
}

func (r *rig) do(ctx context.Context, method, path string, header http.Header) (w *httptest.ResponseRecorder) {
	req := httptest.NewRequestWithContext(ctx, method, path, nil)
	for k, v := range r.Header {
		req.Header[k] = v
	}
	for k, v := range header {
		req.Header[k] = v
	}
	w = httptest.NewRecorder()
	defer func() {
		// A connection that ends before the first byte is an error too.
		if p := recover(); p == http.ErrAbortHandler && w.Body.Len() == 0 {
			w.Code = http.StatusBadGateway
		} else if p != nil {
			panic(p)
		}
	}()
	r.gateway.ServeHTTP(w, req)
	return w
}

func (r *rig) get(path string) *httptest.ResponseRecorder {
	return r.do(context.Background(), http.MethodGet, path, nil)
}

// want is what a healthy upstream answers.
func (r *rig) want(t *testing.T, path string) []byte {
	t.Helper()
	w := r.get(path)
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s from healthy upstreams, want 200", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func (r *rig) check(t *testing.T, w *httptest.ResponseRecorder, want []byte) {
	t.Helper()
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), want) {
		t.Errorf("got %d and %d bytes, want 200 and %d bytes: %.200s", w.Code, w.Body.Len(), len(want), w.Body)
	}
}

// Faults are those that every ecosystem survives at one upstream.
var Faults = []faultnet.Fault{
	faultnet.Refuse(), faultnet.DropSYN(), faultnet.Hang(), faultnet.HangAfter(10), faultnet.Reset(), faultnet.ResetAfter(10),
	faultnet.CutAfter(10), faultnet.CloseAt0(), faultnet.NoAnswer(), faultnet.WrongByte(), faultnet.WrongLength(-7), faultnet.WrongLength(7),
	faultnet.Status(500), faultnet.Status(502), faultnet.Status(503), faultnet.Status(400), faultnet.Status(403), faultnet.Status(404),
	faultnet.StatusHTML(503, ""), faultnet.StatusHTML(400, ""), faultnet.OKHTML(), faultnet.OKHTMLAs("application/json"),
	faultnet.TooMany(time.Second), faultnet.TooMany(time.Hour), faultnet.NoRange(),
}

func failover(t *testing.T, r *rig, path string) {
	var want []byte
	r.bubble(t, t.TempDir(), func(t *testing.T) { want = r.want(t, path) })
	for _, f := range Faults {
		t.Run(f.String(), func(t *testing.T) {
			r.bubble(t, t.TempDir(), func(t *testing.T) {
				r.mirror.Play(faultnet.Always(f))
				began := time.Now()
				r.check(t, r.get(path), want)
				if took := time.Since(began); took > 12*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// down makes both upstreams fail.
func (r *rig) down(f faultnet.Fault) {
	r.mirror.Play(faultnet.Always(f))
	r.origin.Play(faultnet.Always(f))
}

func warm(t *testing.T, r *rig, path string) {
	dir := t.TempDir()
	var want []byte
	r.bubble(t, dir, func(t *testing.T) { want = r.want(t, path) })
	for _, f := range []faultnet.Fault{faultnet.Refuse(), faultnet.Hang(), faultnet.OKHTML(), faultnet.Status(503)} {
		t.Run(f.String(), func(t *testing.T) {
			r.bubble(t, dir, func(t *testing.T) {
				time.Sleep(r.Fresh) // fake time: each bubble begins at the same hour
				r.down(f)
				began := time.Now()
				w := r.get(path)
				r.check(t, w, want)
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("took %v: nobody waits where there is an old answer", took)
				}
				if stale := w.Header().Get("X-Outlast-Stale"); (stale != "") != (path == r.Moving) {
					t.Errorf("got X-Outlast-Stale %q: moving content that nobody confirms is marked, fixed content never", stale)
				}
			})
		})
	}
}

func strangers(t *testing.T, r *rig, path string) {
	if path != r.Moving && !r.Once {
		t.Skip("content that a digest proves needs nobody's word")
	}
	dir := t.TempDir()
	r.bubble(t, dir, func(t *testing.T) { r.want(t, path) })
	r.bubble(t, dir, func(t *testing.T) {
		r.down(faultnet.Refuse())
		known := r.gateway.Upstreams
		r.gateway.Upstreams = func(origin string) []gateway.Upstream {
			others := slices.Clone(known(origin))
			for i := range others {
				others[i].Base = "https://elsewhere.example.com/v2/"
			}
			return others
		}
		if w := r.get(path); w.Code != http.StatusBadGateway {
			t.Errorf("got %d %s, want 502", w.Code, w.Body)
		}
	})
}

func cold(t *testing.T, r *rig, path string) {
	for _, f := range []faultnet.Fault{faultnet.Refuse(), faultnet.Hang(), faultnet.OKHTML(), faultnet.Status(503), faultnet.TooMany(time.Hour)} {
		t.Run(f.String(), func(t *testing.T) {
			r.bubble(t, t.TempDir(), func(t *testing.T) {
				r.down(f)
				began := time.Now()
				if w := r.get(path); w.Code != http.StatusBadGateway {
					t.Errorf("got %d %s, want 502", w.Code, w.Body)
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// patient: three tries of a source that hangs take three times its limit, and a
// little for the waits between them.
func patient(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		r.mirror.Play(faultnet.Always(faultnet.Hang()))
		r.origin.Play(faultnet.Always(faultnet.Status(503)))
		began := time.Now()
		if w := r.get(path); w.Code != http.StatusBadGateway {
			t.Errorf("got %d %s, want 502", w.Code, w.Body)
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("took %v, want at most 25 s", took)
		}
	})
}

func headless(t *testing.T, r *rig, path string) {
	var want []byte
	r.bubble(t, t.TempDir(), func(t *testing.T) { want = r.want(t, path) })
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		noHead := faultnet.Script{{Method: http.MethodHead, Fault: faultnet.Status(http.StatusMethodNotAllowed)}}
		r.mirror.Play(noHead)
		r.origin.Play(noHead)
		r.check(t, r.get(path), want)
	})
}

func mirrorsNo(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		r.mirror.Play(faultnet.Always(faultnet.Status(404)))
		r.origin.Play(faultnet.Always(faultnet.Status(503)))
		if w := r.get(path); w.Code != http.StatusBadGateway {
			t.Errorf("got %d %s, want 502", w.Code, w.Body)
		}
	})
}

func originsNo(t *testing.T, r *rig, path string) {
	if path != r.Moving {
		t.Skip("content that never changes is taken from anywhere")
	}
	dir := t.TempDir()
	r.bubble(t, dir, func(t *testing.T) { r.want(t, path) })
	r.bubble(t, dir, func(t *testing.T) {
		time.Sleep(r.Fresh) // fake time: each bubble begins at the same hour
		r.mirror.Play(faultnet.Always(faultnet.Status(503)))
		r.origin.Play(faultnet.Always(faultnet.Status(404)))
		if r.Peers {
			if w := r.get(path); w.Code != http.StatusOK {
				t.Errorf("got %d %s, want the old answer: one peer's no is not the word of all", w.Code, w.Body)
			}
			r.down(faultnet.Status(404))
			time.Sleep(time.Minute) // fake time: until the breakers try again
		}
		if w := r.get(path); w.Code != http.StatusNotFound {
			t.Errorf("got %d %s, want 404: an old yes does not count against it", w.Code, w.Body)
		}
	})
}

func spoiled(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		r.down(faultnet.WrongByte())
		if w := r.get(path); w.Code == http.StatusOK {
			t.Errorf("got 200 and %d bytes", w.Body.Len())
		}
		// The very next request finds all well: nothing was kept.
		r.mirror.Play(nil)
		r.origin.Play(nil)
		time.Sleep(time.Minute) // fake time: until the breakers try again
		r.want(t, path)
	})
}

func shared(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		slow := faultnet.Always(faultnet.Slow(100 * time.Millisecond))
		r.mirror.Play(slow)
		r.origin.Play(slow)
		var group sync.WaitGroup
		codes := make([]int, 100)
		for i := range codes {
			group.Go(func() { codes[i] = r.get(path).Code })
		}
		group.Wait()
		for _, c := range codes {
			if c != http.StatusOK {
				t.Fatalf("got codes %v", codes)
			}
		}
		fetches := make(map[string]int) // what is asked for may need other content to be judged by
		for _, log := range []faultnet.Log{r.mirror.Log(), r.origin.Log()} {
			for _, q := range log.Where(func(q faultnet.Request) bool { return q.Method == http.MethodGet }) {
				fetches[q.Path]++
			}
		}
		for what, n := range fetches {
			if n != 1 || len(fetches) > 2 {
				t.Errorf("got %d fetches of %s for 100 clients, in all %v", n, what, fetches)
			}
		}
	})
}

func outlives(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		if r.LooksUp && path == r.Fixed {
			r.want(t, r.Moving)
		}
		slow := faultnet.Always(faultnet.Slow(200 * time.Millisecond))
		r.mirror.Play(slow)
		r.origin.Play(slow)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		r.do(ctx, http.MethodGet, path, nil)
		time.Sleep(5 * time.Second) // fake time
		r.down(faultnet.Refuse())
		if w := r.get(path); w.Code != http.StatusOK {
			t.Errorf("got %d %s, want what the first caller began to fetch", w.Code, w.Body)
		}
	})
}

// fullStore is a store on a disk that is full, or gone.
type fullStore struct{ gateway.Store }

var errFull = errors.New("no space left on device")

func (fullStore) Create() (*cas.Writer, error)            { return nil, errFull }
func (fullStore) Put(digest.Digest, io.Reader) error      { return errFull }
func (fullStore) SetName(string, cas.Name) error          { return errFull }
func (fullStore) Get(digest.Digest) (*cas.Content, error) { return nil, errFull }
func (fullStore) Stat(digest.Digest) (int64, error)       { return 0, errFull }
func (fullStore) Name(string) (n cas.Name, err error)     { return n, errFull }

func brokenStore(t *testing.T, r *rig, path string) {
	var want []byte
	r.bubble(t, t.TempDir(), func(t *testing.T) { want = r.want(t, path) })
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		r.gateway.Store = fullStore{}
		r.check(t, r.get(path), want)
		r.gateway.Store = nil
		r.check(t, r.get(path), want)
	})
}

func lateBody(t *testing.T, r *rig, path string) {
	size := 0
	r.bubble(t, t.TempDir(), func(t *testing.T) { size = len(r.want(t, path)) })
	if size < 32<<10 || r.Whole {
		t.Skip("small content, or its head comes with its body")
	}
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		drip := faultnet.Always(faultnet.Drip(1 << 10)) // 64 kB take a minute
		r.mirror.Play(drip)
		r.origin.Play(drip)
		began := time.Now()
		var headAt time.Duration
		w := &watched{httptest.NewRecorder(), func() { headAt = time.Since(began) }}
		r.gateway.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		bodyAt := time.Since(began)
		if headAt == 0 || headAt > 20*time.Second || bodyAt < 25*time.Second {
			t.Errorf("got the head after %v, the body after %v, want the head within 20s", headAt, bodyAt)
		}
		r.mirror.Play(nil)
		r.origin.Play(nil)
		r.check(t, w.ResponseRecorder, r.want(t, path))
	})
}

// watched tells when the head goes out.
type watched struct {
	*httptest.ResponseRecorder
	head func()
}

func (w *watched) WriteHeader(code int) {
	w.head()
	w.ResponseRecorder.WriteHeader(code)
}

func ranges(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		want := r.want(t, path)
		w := r.do(context.Background(), http.MethodGet, path, http.Header{"Range": {"bytes=3-9"}})
		if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), want[3:10]) {
			t.Errorf("got %d %q, want 206 %q", w.Code, w.Body, want[3:10])
		}
		w = r.do(context.Background(), http.MethodHead, path, nil)
		if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
			t.Errorf("got %d, %d bytes, length %q for a HEAD, want 200, none, and a length", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
		}
	})
}

func readOnly(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			if w := r.do(context.Background(), method, path, nil); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s: got %d, want 405", method, w.Code)
			}
		}
		if n := len(r.mirror.Log()) + len(r.origin.Log()); n != 0 {
			t.Errorf("got %d requests upstream, want none", n)
		}
	})
}

func unnamed(t *testing.T, r *rig, path string) {
	r.bubble(t, t.TempDir(), func(t *testing.T) {
		r.gateway.Upstreams = func(string) []gateway.Upstream { return nil }
		if w := r.get(path); w.Code != http.StatusForbidden {
			t.Errorf("got %d %s, want 403", w.Code, w.Body)
		}
	})
}
