package faultnet

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxLog bounds the log of one script. A build asks some hundreds of
// requests; a load test may ask millions, and counts go on beyond the bound.
const maxLog = 1 << 16

// stage is where a script plays: it decides what happens to each request and
// writes it down. A Service and a Transport each have one.
type stage struct {
	mu      sync.Mutex
	backend http.Handler
	configs *Configs
	ready   bool
	playing bool // Play was called: the script given at the start is void
	script  Script
	seen    []int // how many requests each row has selected
	counts  map[Place]int
	sent    *atomic.Int64 // body bytes of all requests
	log     []*entry
	changed chan struct{} // closed when a request comes; nil when nobody waits
}

// prepare readies the stage once; later calls change nothing.
func (s *stage) prepare(backend http.Handler, script Script, configs *Configs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return
	}
	s.ready = true
	if backend == nil {
		backend = http.HandlerFunc(nothingHere)
	}
	if configs == nil {
		configs = new(Configs)
	}
	s.backend, s.configs = backend, configs
	if !s.playing {
		s.playLocked(script)
	}
}

func nothingHere(w http.ResponseWriter, _ *http.Request) { sendError(w, http.StatusNotFound) }

func (s *stage) currentScript() Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.script
}

func (s *stage) play(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.playLocked(script)
}

func (s *stage) playLocked(script Script) {
	s.playing = true
	s.script = slices.Clone(script)
	s.seen = make([]int, len(script))
	s.counts = make(map[Place]int)
	s.log = nil
	s.sent = new(atomic.Int64)
}

// begin decides what happens to r and writes it down.
func (s *stage) begin(r *http.Request) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := PlaceOf(r, s.configs)
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	e := &entry{total: s.sent, request: Request{
		At: time.Now(), Method: r.Method, Host: host, Path: r.URL.Path, Query: r.URL.RawQuery,
		Header: r.Header.Clone(), Place: place, Fault: s.faultLocked(r, place),
	}}
	s.counts[place]++
	if len(s.log) < maxLog {
		s.log = append(s.log, e)
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return e
}

func (s *stage) faultLocked(r *http.Request, place Place) Fault {
	var found *Row
	for i := range s.script {
		row := &s.script[i]
		if !row.selects(r, place) {
			continue
		}
		s.seen[i]++
		if found == nil && row.On.has(s.seen[i]) {
			found = row
		}
	}
	if found == nil {
		return Fault{}
	}
	return found.Fault
}

// Log returns a copy of what was asked since the script began, at most the
// first 65536 requests.
func (s *stage) Log() Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := make(Log, len(s.log))
	for i, e := range s.log {
		log[i] = e.snapshot()
	}
	return log
}

// Count says how many requests for any of these places came since the script
// began; with no place named, how many requests at all.
func (s *stage) Count(places ...Place) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.countLocked(places)
}

func (s *stage) countLocked(places []Place) int {
	n := 0
	for p, c := range s.counts {
		if len(places) == 0 || slices.Contains(places, p) {
			n += c
		}
	}
	return n
}

// Sent says how many bytes of bodies went out since the script began.
func (s *stage) Sent() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		return 0
	}
	return s.sent.Load()
}

// Await waits until Count(places...) is at least n, or ctx is done.
func (s *stage) Await(ctx context.Context, n int, places ...Place) error {
	for {
		s.mu.Lock()
		if s.countLocked(places) >= n {
			s.mu.Unlock()
			return nil
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func statusName(code int) string { return strconv.Itoa(code) }
