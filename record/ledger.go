package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// maxServices bounds a ledger: endpoints' names come from Dockerfiles.
const maxServices = 1000

// A Ledger collects what services answer while a build runs, and tells in a
// line what a person should know, once. The zero value is ready for use, and
// its methods may be called at once from many places.
type Ledger struct {
	mu       sync.Mutex
	services []*Service
	stale    []Stale
	told     map[string]bool
	notes    []string
}

// Answered adds one answer of endpoint, which was asked for content of the
// registry, or the packages of the manager, that serves names; Canceled means that it was given up, since another source
// was faster. It returns a note where this is the first failure of its kind
// there, else "".
func (l *Ledger) Answered(endpoint, serves string, kind fault.Kind, bytes int64, err error) (note string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.serviceLocked(endpoint, serves)
	if s == nil {
		return ""
	}
	s.Asked++
	s.Bytes += bytes
	switch kind {
	case fault.None:
		return ""
	case fault.Canceled:
		s.GivenUp++
		return ""
	}
	s.Failed[kind]++
	if err != nil {
		s.Last = err.Error()
	}
	// A mirror that does not have everything is no news.
	if kind == fault.NotFound {
		return ""
	}
	return l.noteLocked(endpoint+" "+string(kind), fmt.Sprintf("%s %s", endpoint, kind.Verb()))
}

// Took adds how long an answer of endpoint took until its head, which counts
// where it was well, and whether the content is its own.
func (l *Ledger) Took(endpoint, serves string, origin bool, kind fault.Kind, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.serviceLocked(endpoint, serves)
	if s == nil {
		return
	}
	s.Origin = s.Origin || origin
	if kind == fault.None {
		s.Latency = s.Latency.Add(took)
	}
}

func (l *Ledger) serviceLocked(endpoint, serves string) *Service {
	for _, s := range l.services {
		if s.Endpoint == endpoint && s.Serves == serves {
			return s
		}
	}
	if len(l.services) >= maxServices {
		return nil
	}
	s := &Service{Endpoint: endpoint, Serves: serves, Failed: make(map[fault.Kind]int)}
	l.services = append(l.services, s)
	return s
}

// Stale adds an answer that nobody could confirm. It returns a note the first
// time.
func (l *Ledger) Stale(name string, good time.Time) (note string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told["stale "+name] {
		return ""
	}
	l.stale = append(l.stale, Stale{name, good})
	return l.noteLocked("stale "+name, fmt.Sprintf("%s: nobody could confirm it, so the last good answer of %s stands (stale)",
		name, good.UTC().Format("2006-01-02 15:04 MST")))
}

// Note adds a line of another kind, once for each key. It returns it the first
// time, else "".
func (l *Ledger) Note(key, text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.noteLocked(key, text)
}

func (l *Ledger) noteLocked(key, text string) string {
	if l.told[key] {
		return ""
	}
	if l.told == nil {
		l.told = make(map[string]bool)
	}
	l.told[key] = true
	l.notes = append(l.notes, text)
	return text
}

// Write puts what l knows into r.
func (l *Ledger) Write(r *Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.services {
		own := *s
		own.Failed, own.Latency = maps.Clone(s.Failed), maps.Clone(s.Latency)
		r.Services = append(r.Services, own)
	}
	r.Stale = slices.Clone(l.stale)
	r.Notes = slices.Clone(l.notes)
}

// Detours returns a line for each service that failed: what it did, and who
// served in its place.
func (r Run) Detours() []string {
	var lines []string
	for _, s := range r.Services {
		did, n := s.Worst().Verb(), s.Failures()-s.Failed[fault.NotFound]
		switch {
		case n == 0 && !s.Silent():
			continue
		case n == 0:
			did, n = "does not answer in time", s.GivenUp
		}
		lines = append(lines, fmt.Sprintf("%s %s (%d of %d requests): %s", s.Endpoint, did, n, s.Asked, r.Instead(s)))
	}
	return lines
}

// Instead says who served the content that s was asked for and did not give.
func (r Run) Instead(failed Service) string {
	var others []string
	for _, s := range r.Services {
		if s.Serves == failed.Serves && s.Endpoint != failed.Endpoint && s.Asked > s.Failures()+s.GivenUp {
			others = append(others, s.Endpoint)
		}
	}
	switch {
	case len(others) > 0:
		return "served by " + strings.Join(others, ", ")
	case failed.Asked > failed.Failures()+failed.GivenUp:
		return "asked again"
	case r.Outcome == Built:
		return "served from the local store"
	}
	return "no other source had it"
}
