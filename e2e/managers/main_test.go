// Package managers runs real package managers against the gateway, with faults
// between it and the real registries that this machine is configured for.
package managers

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/internal/testenv"
)

func TestMain(m *testing.M) { testenv.MainWithOutside(m) }

// A registry is a real one that is asked for each file once: what it said is
// remembered for all tests.
type registry struct {
	base string
	mu   sync.Mutex
	had  map[string]*file
}

type file struct {
	once   sync.Once
	status int
	header http.Header
	body   []byte
}

// ServeHTTP answers as the real registry did.
func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	f := g.had[r.URL.Path]
	if f == nil {
		f = new(file)
		g.had[r.URL.Path] = f
	}
	g.mu.Unlock()
	f.once.Do(func() { f.fetch(g.base + r.URL.EscapedPath()) })
	if f.status != http.StatusOK {
		w.WriteHeader(f.status)
		_, _ = w.Write(f.body)
		return
	}
	w.Header().Set("Content-Type", f.header.Get("Content-Type"))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

func (f *file) fetch(address string) {
	f.status = http.StatusBadGateway
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return
	}
	for range 3 { // a real registry may be busy
		resp, err := testenv.Outside.RoundTrip(req)
		if err != nil {
			continue
		}
		f.header = resp.Header
		f.body, err = io.ReadAll(io.LimitReader(resp.Body, 256<<20))
		resp.Body.Close()
		if err == nil && resp.StatusCode < 500 {
			f.status = resp.StatusCode
			return
		}
	}
}

func newRegistry(t *testing.T, base string) *registry {
	t.Helper()
	testenv.Root(t)
	if _, err := url.Parse(base); err != nil {
		t.Fatal(err)
	}
	return &registry{base: base, had: make(map[string]*file)}
}

// serve starts a place where the registry may be had.
func (g *registry) serve(t *testing.T) *faultnet.Service {
	t.Helper()
	s := &faultnet.Service{Backend: g}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// limits are short, since much of these tests is silence.
var limits = fetch.Limits{Dial: time.Second, Header: 2 * time.Second, Idle: 2 * time.Second}

// gatewayOf serves an ecosystem over a store in dir, and returns its address.
func gatewayOf(t *testing.T, dir string, e gateway.Ecosystem, upstreams func(string) []gateway.Upstream) string {
	t.Helper()
	store, err := cas.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	fetcher := &fetch.Fetcher{Limits: limits}
	m := &gateway.Mirror{Ecosystem: e, Store: store, Upstreams: upstreams, Fetcher: fetcher}
	m.Start(t.Context())
	s := httptest.NewServer(m)
	t.Cleanup(func() {
		s.Close()
		m.Close()
		fetcher.CloseIdleConnections()
		store.Close()
	})
	return s.URL
}

// A row is a way in which a registry fails.
type row struct {
	name  string
	fault faultnet.Fault
}

// rows are the failures that each package manager gets through.
var rows = []row{
	{"refuses", faultnet.Refuse()},
	{"hangs", faultnet.Hang()},
	{"stalls in the middle", faultnet.HangAfter(100)},
	{"503", faultnet.Status(503)},
	{"429", faultnet.TooMany(time.Hour)},
	{"400 with a page", faultnet.StatusHTML(400, "")},
	{"200 with a page", faultnet.OKHTML()},
	{"wrong bytes", faultnet.WrongByte()},
}
