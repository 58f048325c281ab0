package fetch

import (
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

const (
	// tripAfter failures in a row an endpoint is left alone: two are a hiccup.
	tripAfter = 3
	// An endpoint is left alone for firstRest, and twice as long each time
	// that it fails again, up to lastRest: a registry that comes back is used
	// half a minute later at the latest.
	firstRest = time.Second
	lastRest  = 30 * time.Second
	// trial is how long a half-open endpoint has for the one request that it
	// gets, until another may try.
	trial = 10 * time.Second
	// distrust is how long an endpoint that sent wrong bytes comes last.
	distrust = 10 * time.Minute
	// maxGates bounds what is kept: endpoints are named by Dockerfiles too.
	maxGates = 4096
)

// gates keeps a gate for each endpoint that had trouble. The zero value is
// ready for use.
type gates struct {
	mu  sync.Mutex
	all map[string]*gate
}

// A gate is what the circuit breaker knows of one endpoint. It is a plain
// value: time comes in with each question.
type gate struct {
	failures  int       // in a row
	rests     int       // how many times it was left alone, in a row
	openUntil time.Time // it is left alone until then
	trying    time.Time // one request is finding out until then whether it is well
	notBefore time.Time // it asked to be left alone until then
	spoiled   time.Time // when it last sent wrong bytes
}

// A standing is what a gate says at one time.
type standing struct {
	open      bool      // to be asked when nobody else can
	notBefore time.Time // not to be asked before, whatever happens
}

func (g *gate) standing(now time.Time) standing {
	left := now.Before(g.openUntil) || g.failures >= tripAfter && now.Before(g.trying)
	wrong := !g.spoiled.IsZero() && now.Sub(g.spoiled) < distrust
	return standing{open: left || wrong, notBefore: g.notBefore}
}

// begin notes that a request is sent now.
func (g *gate) begin(now time.Time) {
	if g.failures >= tripAfter && !now.Before(g.openUntil) {
		g.trying = now.Add(trial)
	}
}

// end notes how a request ended.
func (g *gate) end(now time.Time, kind fault.Kind, after time.Duration) {
	if after > 0 {
		g.notBefore = now.Add(after)
	}
	switch kind {
	case fault.None, fault.NotFound, fault.Auth, fault.Rejected:
		g.failures, g.rests = 0, 0
		g.openUntil, g.trying = time.Time{}, time.Time{}
	case fault.Corrupt:
		g.spoiled = now
	case fault.DNS, fault.Connection, fault.Timeout, fault.TLS, fault.Outage, fault.HTML, fault.Truncated:
		g.failures++
		if g.failures < tripAfter || now.Before(g.openUntil) {
			return
		}
		g.openUntil = now.Add(min(firstRest<<min(g.rests, 8), lastRest))
		g.trying = time.Time{}
		g.rests++
	}
}

// settled reports whether g says nothing any more.
func (g *gate) settled(now time.Time) bool {
	return g.failures == 0 && !now.Before(g.notBefore) && !g.standing(now).open
}

func (gs *gates) standing(endpoint string, now time.Time) standing {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.all[endpoint]; g != nil {
		return g.standing(now)
	}
	return standing{}
}

func (gs *gates) begin(endpoint string, now time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.all[endpoint]; g != nil {
		g.begin(now)
	}
}

func (gs *gates) end(endpoint string, now time.Time, kind fault.Kind, after time.Duration) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.all[endpoint]
	if g == nil {
		g = new(gate)
	}
	g.end(now, kind, after)
	if g.settled(now) {
		delete(gs.all, endpoint)
		return
	}
	if gs.all == nil {
		gs.all = make(map[string]*gate)
	}
	if len(gs.all) < maxGates || gs.all[endpoint] != nil {
		gs.all[endpoint] = g
	}
}
