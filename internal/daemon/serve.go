package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/httpx"
	"github.com/outlast-build/outlast/internal/live"
	"github.com/outlast-build/outlast/internal/web"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

// ServeOptions are what Serve is told beyond its settings. Its functions may be
// called at once from many places; each may be nil.
type ServeOptions struct {
	Settings config.Settings
	Env      []string // where builds tell of themselves, and what the services are measured with
	Version  string
	Token    string // that clients of the dashboard have to know; empty: nobody is asked
	Alone    bool   // no gateway, and no cache of GitHub Actions

	Advice func(stats.Tally) ([]report.Advice, string) // what sums speak for, or why nothing is said

	Ready  func(Addresses)      // called once, when clients can connect
	Served func(gateway.Served) // told of each answer of the gateway
	Tried  func(fetch.Try)      // told of each request to an upstream
	Warn   func(string)         // told what does not work and does no harm
}

// Addresses are where Serve listens, HOST:PORT each; empty: there is none.
type Addresses struct{ Dashboard, Gateway, Actions string }

// A service is what Serve runs.
type service struct {
	ServeOptions
	history *history.Store // nil: none
	metrics *metrics
	gateway *outlast.Gateway // nil: none

	mu   sync.Mutex
	card health.Scorecard
	next time.Time // when it is taken again

	seen struct {
		sync.Mutex
		runs map[string]bool // by their IDs; nil: nobody looked yet
	}
	usage struct {
		sync.Mutex
		at   time.Time
		last cas.Usage
	}
}

// Serve serves the dashboard with metrics, the gateway and the cache of GitHub
// Actions on the addresses that the settings name until ctx ends, which is no error; requests under way are
// answered first, within httpx.Grace. An address that cannot be had is a
// fault.Config, and errors.Is tells syscall.EADDRINUSE. A history that cannot
// be opened is a warning: the dashboard then shows what runs.
func Serve(ctx context.Context, o ServeOptions) error {
	s := &service{ServeOptions: o}
	if s.Warn == nil {
		s.Warn = func(string) {}
	}
	s.metrics = newMetrics(func() int { return len(s.running()) }, s.used)
	dashboard, err := listen(o.Settings.Serve.Listen)
	if err != nil {
		return err
	}
	at := Addresses{Dashboard: dashboard.Addr().String()}
	var registry net.Listener
	var cache *actions
	if !o.Alone {
		if registry, cache, err = s.openOthers(ctx); err != nil {
			return errors.Join(err, dashboard.Close())
		}
		defer s.closeGateway()
		at.Gateway, at.Actions = registry.Addr().String(), cache.address()
	}
	s.openHistory(ctx)
	defer s.closeHistory()
	s.count(ctx)
	if o.Ready != nil {
		o.Ready(at)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return httpx.Serve(ctx, dashboard, s.handler(), nil) })
	if !o.Alone {
		group.Go(func() error { return httpx.Serve(ctx, registry, s.metrics.counting("gateway", s.gateway), nil) })
		group.Go(func() error { return cache.serve(ctx, s.metrics.counting("actions", cache)) })
	}
	group.Go(func() error { s.measure(ctx); return nil })
	return group.Wait()
}

// openOthers opens what clients other than browsers ask: the gateway, and the
// cache of GitHub Actions.
func (s *service) openOthers(ctx context.Context) (net.Listener, *actions, error) {
	registry, err := listen(s.Settings.Gateway.Listen)
	if err != nil {
		return nil, nil, err
	}
	cache, err := openActions(ActionsOptions{Settings: s.Settings, Warn: s.Warn})
	if err != nil {
		return nil, nil, errors.Join(err, registry.Close())
	}
	if err := s.openGateway(ctx); err != nil {
		return nil, nil, errors.Join(err, registry.Close(), cache.close())
	}
	return registry, cache, nil
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &fault.Error{Op: "listen on " + address, Kind: fault.Config, Err: bare(err)}
	}
	return l, nil
}

func (s *service) openGateway(ctx context.Context) (err error) {
	// What is under way outlives ctx: Serve waits for it.
	s.gateway, err = outlast.NewGateway(context.WithoutCancel(ctx), outlast.GatewayOptions{
		Settings: s.Settings, Warn: s.Warn, Packages: outlast.FindPackages(ctx, s.Settings, nil, nil),
		OnTry: func(t fetch.Try) {
			s.metrics.tried(t)
			if s.Tried != nil {
				s.Tried(t)
			}
		},
		OnServe: func(a gateway.Served) {
			s.metrics.answered(a)
			if s.Served != nil {
				s.Served(a)
			}
		},
	})
	return err
}

func (s *service) closeGateway() {
	if err := s.gateway.Close(); err != nil {
		s.Warn(fmt.Sprintf("the local store was not closed: %v", err))
	}
}

func (s *service) openHistory(ctx context.Context) {
	h := s.Settings.History
	if !h.Keep {
		return
	}
	store, err := history.Open(ctx, h.Path, history.Options{MaxAge: h.Age, MaxSize: h.Size, Warn: s.Warn})
	if err != nil {
		s.Warn(fmt.Sprintf("the dashboard shows no past builds: %v", err))
		return
	}
	s.history = store
}

func (s *service) closeHistory() {
	if s.history == nil {
		return
	}
	if err := s.history.Close(); err != nil {
		s.Warn(fmt.Sprintf("the history was not closed: %v", err))
	}
}

// handler serves pages, metrics and health. Probes of a cluster know no token,
// and learn nothing.
func (s *service) handler() http.Handler {
	site := &web.Site{Running: s.running, Card: s.assessment, Advice: s.Advice, Version: s.Version}
	if s.history != nil {
		site.History = s.history
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.metrics.counting("dashboard", site.Handler()))
	mux.HandleFunc("GET /metrics", s.scrape)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	return web.Guard{Token: s.Token}.Protect(mux, "/healthz", "/readyz")
}

// readyLimit is how long the history may take to answer.
const readyLimit = 2 * time.Second

func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	if s.history != nil {
		if _, err := s.history.Runs(ctx, history.Query{Limit: 1}); err != nil {
			http.Error(w, "the history does not answer", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ready")
}

func (s *service) running() []record.Run {
	dir := RunningDir(s.Env)
	if dir == "" {
		return nil
	}
	return live.Running(dir)
}

// used is how full the store is; it is walked through at most once in the time
// of usageAge.
func (s *service) used() (cas.Usage, bool) {
	if s.gateway == nil {
		return cas.Usage{}, false
	}
	s.usage.Lock()
	defer s.usage.Unlock()
	if time.Since(s.usage.at) > usageAge {
		u, err := s.gateway.Usage()
		if err != nil {
			return u, false
		}
		s.usage.at, s.usage.last = time.Now(), u
	}
	return s.usage.last, true
}

const usageAge = 30 * time.Second

func (s *service) assessment() (health.Scorecard, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.card, s.next
}

// measure measures the services again and again, and keeps what it saw.
func (s *service) measure(ctx context.Context) {
	every := s.Settings.Serve.Check
	if every <= 0 {
		return
	}
	for tick := time.NewTicker(every); ; {
		started := time.Now()
		card := outlast.Survey(ctx, outlast.SurveyOptions{Settings: s.Settings, Env: s.Env})
		if ctx.Err() != nil {
			return
		}
		s.metrics.assessed(card)
		s.mu.Lock()
		s.card, s.next = card, started.Add(every)
		s.mu.Unlock()
		if s.history != nil {
			r := record.Run{ID: rand.Text(), Kind: record.KindCheck, Outcome: record.Checked, Version: s.Version, Started: started, Ended: time.Now(), Card: card}
			if _, err := s.history.Add(ctx, r); err != nil && ctx.Err() == nil {
				s.Warn(fmt.Sprintf("a look at the services is not kept: %v", err))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// counted is how many of the newest runs are looked at for those that ended
// since the last scrape: with one a minute it takes 500 builds a minute to lose
// one.
const counted = 500

// scrape answers Prometheus. Builds are other processes', and the history has
// those that ended.
func (s *service) scrape(w http.ResponseWriter, r *http.Request) {
	s.count(r.Context())
	s.metrics.Handler().ServeHTTP(w, r)
}

// count counts the builds that ended since it was called last. The first time,
// all of them were there before.
func (s *service) count(ctx context.Context) {
	if s.history == nil {
		return
	}
	s.seen.Lock()
	defer s.seen.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	runs, err := s.history.Runs(ctx, history.Query{Limit: counted})
	if err != nil {
		return // readyz says so
	}
	before := s.seen.runs
	s.seen.runs = make(map[string]bool, len(runs))
	newest := true
	for _, r := range runs {
		s.seen.runs[r.ID] = true
		if newest && len(r.Card.Categories) > 0 {
			newest = false
			s.metrics.assessed(r.Card)
		}
		if before != nil && !before[r.ID] && !r.Is(record.KindCheck) {
			s.metrics.ended(r)
		}
	}
}
