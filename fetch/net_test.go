package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// content returns n bytes that look like nothing in particular.
func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// blob serves b with ranges.
func blob(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	})
}

// text serves s.
func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(s))
	})
}

// world is a network in memory of hosts a.example, b.example, …, and a fetcher
// in it. Time in it is that of the test's bubble.
type world struct {
	t     testing.TB
	hosts faultnet.Hosts
	names []string
	fetch *fetch.Fetcher

	mu    sync.Mutex
	tries []fetch.Try
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, hosts: make(faultnet.Hosts)}
	w.fetch = &fetch.Fetcher{Base: w.hosts, OnTry: w.onTry, Jitter: func() float64 { return 0.5 }}
	return w
}

func (w *world) onTry(t fetch.Try) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries = append(w.tries, t)
}

// add puts a host into the world that serves h, and fails by script.
func (w *world) add(h http.Handler, script ...faultnet.Row) *faultnet.Transport {
	name := fmt.Sprintf("%c.example", 'a'+len(w.names))
	up := &faultnet.Transport{Backend: h, Script: script}
	w.t.Cleanup(func() {
		up.Close()
		time.Sleep(time.Minute) // handlers that pace themselves see it
	})
	w.hosts[name] = up
	w.names = append(w.names, name)
	return up
}

// sources are all hosts, in order.
func (w *world) sources() []fetch.Source {
	var s []fetch.Source
	for _, n := range w.names {
		s = append(s, fetch.Source{Endpoint: n, URL: "http://" + n + "/blob"})
	}
	return s
}

func (w *world) ask() fetch.Ask { return fetch.Ask{Name: "it", Sources: w.sources()} }

// kinds are the tries as "a.example timeout", successes as "a.example ok".
func (w *world) kinds() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, t := range w.tries {
		all = append(all, t.Endpoint+" "+kindName(t.Kind))
	}
	return all
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries = nil
}

// took is how many bytes the tries took over.
func (w *world) took() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var n int64
	for _, t := range w.tries {
		n += t.Bytes
	}
	return n
}

func kindName(k fault.Kind) string {
	if k == fault.None {
		return "ok"
	}
	return string(k)
}

// row strikes all requests.
func row(f faultnet.Fault) faultnet.Row { return faultnet.Row{Fault: f} }

// first strikes the first request.
func first(f faultnet.Fault) faultnet.Row { return faultnet.Row{On: faultnet.Nth(1), Fault: f} }

// memory is a sink in memory that counts what it is given twice.
var written = bytes.Repeat([]byte{1}, 64<<10)

type memory struct {
	mu    sync.Mutex
	data  []byte
	have  []byte // 1 for each byte that was written
	twice int
	fail  error
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	end := int(off) + len(p)
	if more := end - len(m.data); more > 0 {
		m.data = slices.Grow(m.data, more)[:end]
		m.have = slices.Grow(m.have, more)[:end]
	}
	m.twice += bytes.Count(m.have[off:end], written[:1])
	for rest := m.have[off:end]; len(rest) > 0; {
		rest = rest[copy(rest, written):]
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.NewReader(m.data).ReadAt(p, off)
}

func (m *memory) Truncate(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.data[n:])
	clear(m.have[n:])
	m.data, m.have = m.data[:n], m.have[:n]
	return nil
}

// spool spools want from the world and checks what came.
func (w *world) spool(want []byte, change ...func(*fetch.Ask)) (fetch.Answer, *memory, error) {
	w.t.Helper()
	ask := w.ask()
	ask.Digest = digest.FromBytes(want)
	for _, c := range change {
		c(&ask)
	}
	// Growing bit by bit would be most of the work under the race detector.
	m := &memory{data: make([]byte, 0, len(want)+1), have: make([]byte, 0, len(want)+1)}
	a, err := w.fetch.Spool(w.t.Context(), ask, m)
	if err == nil && (a.Size != int64(len(want)) || !bytes.Equal(m.data, want)) {
		w.t.Errorf("got %d other bytes (size %d) as a success, want the %d of the content", len(m.data), a.Size, len(want))
	}
	return a, m, err
}

func wantKinds(t testing.TB, w *world, want ...string) {
	t.Helper()
	if got := w.kinds(); !slices.Equal(got, want) {
		t.Errorf("got tries %q, want %q", got, want)
	}
}

func asFailure(t testing.TB, err error) *fetch.Failure {
	t.Helper()
	var f *fetch.Failure
	if !errors.As(err, &f) {
		t.Fatalf("got error %v, want a *fetch.Failure", err)
	}
	return f
}

func digestOf(s string) digest.Digest { return digest.FromString(s) }
