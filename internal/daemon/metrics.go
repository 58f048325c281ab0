package daemon

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
)

// maxLabels bounds the values of a label that Dockerfiles and settings choose;
// what comes beyond them counts as "other".
const maxLabels = 100

// metrics are what Prometheus is told. All labels have a bounded number of
// values. Its methods may be called at once from many places.
type metrics struct {
	registry *prometheus.Registry

	score     prometheus.Gauge
	checkUp   *prometheus.GaugeVec
	checkTook *prometheus.GaugeVec
	builds    *prometheus.CounterVec
	buildTook *prometheus.HistogramVec
	attempts  *prometheus.CounterVec
	last      *prometheus.GaugeVec
	fetches   *prometheus.CounterVec
	fetched   *prometheus.CounterVec
	served    *prometheus.CounterVec
	under     *prometheus.GaugeVec

	endpoints, checks bounded
}

func newMetrics(running func() int, usage func() (cas.Usage, bool)) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "outlast", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "outlast", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		score:     prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "outlast", Name: "score_percent", Help: "Health of the services, 0 to 100, at the last look."}),
		checkUp:   gauge("check_up", "Whether a check passed at the last look.", "category", "check"),
		checkTook: gauge("check_seconds", "How long a check took at the last look.", "category", "check"),
		builds:    counter("builds_total", "Builds that ended since this process began.", "strategy", "outcome"),
		buildTook: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "outlast", Name: "build_seconds", Help: "How long builds took, all attempts and waits with them.",
			Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 1200, 2400, 3600}}, []string{"outcome"}),
		attempts: counter("attempts_total", "Attempts of builds that ended, by how each failed; none is success.", "strategy", "kind"),
		last:     gauge("last_build_timestamp_seconds", "When the last build with an outcome ended.", "outcome"),
		fetches:  counter("fetches_total", "Requests to upstreams, of the gateway and of builds, by how each failed; none is success.", "endpoint", "kind"),
		fetched:  counter("fetch_bytes_total", "Bytes that upstreams sent.", "endpoint"),
		served:   counter("cache_requests_total", "Requests to the gateway: hit, miss, stale or error.", "result"),
		under:    gauge("requests_in_flight", "Requests that are being answered.", "of"),
	}
	all := []prometheus.Collector{m.score, m.checkUp, m.checkTook, m.builds, m.buildTook, m.attempts, m.last, m.fetches, m.fetched, m.served, m.under,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "outlast", Name: "builds_running", Help: "Builds under way on this machine."}, func() float64 { return float64(running()) }),
	}
	for name, of := range map[string]struct {
		help  string
		value func(cas.Usage) float64
	}{
		"cache_bytes":       {"Bytes in the local store.", func(u cas.Usage) float64 { return float64(u.Bytes) }},
		"cache_limit_bytes": {"Bytes that the local store may hold.", func(u cas.Usage) float64 { return float64(u.Limit) }},
		"cache_entries":     {"Entries in the local store.", func(u cas.Usage) float64 { return float64(u.Entries) }},
	} {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "outlast", Name: name, Help: of.help}, func() float64 {
			u, ok := usage()
			if !ok {
				return 0
			}
			return of.value(u)
		}))
	}
	m.registry.MustRegister(all...)
	return m
}

// Handler answers scrapes, one at a time.
func (m *metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 10 * time.Second})
}

// counting counts the requests that h answers.
func (m *metrics) counting(of string, h http.Handler) http.Handler {
	g := m.under.WithLabelValues(of)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.Inc()
		defer g.Dec()
		h.ServeHTTP(w, r)
	})
}

// kindLabel is a kind as a label: a table of fault has them all.
func kindLabel(k fault.Kind) string {
	switch {
	case k == fault.None:
		return "none"
	case slices.Contains(fault.Kinds(), k):
		return string(k)
	}
	return string(fault.Unknown)
}

// strategyLabel and outcomeLabel are what records say, as far as it is known
// here: they may come from another version, or by an import.
func strategyLabel(s string) string {
	if slices.Contains([]plan.Strategy{plan.Optimal, plan.Resilient, plan.Conservative, plan.Emergency}, plan.Strategy(s)) {
		return s
	}
	return "none"
}

func outcomeLabel(o record.Outcome) string {
	if slices.Contains([]record.Outcome{record.Built, record.Failed, record.BadUsage, record.NoSource, record.NoEngine, record.Interrupted}, o) {
		return string(o)
	}
	return "other"
}

// tried counts a request of the gateway to an upstream.
func (m *metrics) tried(t fetch.Try) {
	e := m.endpoints.label(t.Endpoint)
	m.fetches.WithLabelValues(e, kindLabel(t.Kind)).Inc()
	m.fetched.WithLabelValues(e).Add(float64(t.Bytes))
}

// answered counts an answer of the gateway.
func (m *metrics) answered(s gateway.Served) {
	result := "miss"
	switch {
	case s.Err != nil:
		result = "error"
	case !s.Stale.IsZero():
		result = "stale"
	case s.From == "store":
		result = "hit"
	}
	m.served.WithLabelValues(result).Inc()
}

// assessed shows a card, and no check of the one before.
func (m *metrics) assessed(c health.Scorecard) {
	m.score.Set(float64(c.Percent()))
	m.checkUp.Reset()
	m.checkTook.Reset()
	for _, g := range c.Categories {
		for _, k := range g.Checks {
			name, up := m.checks.label(k.Name), 0.0
			if k.OK {
				up = 1
			}
			m.checkUp.WithLabelValues(g.Name, name).Set(up)
			m.checkTook.WithLabelValues(g.Name, name).Set(k.Took.Seconds())
		}
	}
}

// ended counts a build.
func (m *metrics) ended(r record.Run) {
	outcome := outcomeLabel(r.Outcome)
	m.builds.WithLabelValues(strategyLabel(r.Strategy), outcome).Inc()
	m.buildTook.WithLabelValues(outcome).Observe(r.Took().Seconds())
	m.last.WithLabelValues(outcome).Set(float64(r.Ended.Unix()))
	for _, a := range r.Attempts {
		m.attempts.WithLabelValues(strategyLabel(a.Strategy), kindLabel(a.Kind)).Inc()
	}
	for _, s := range r.Services {
		e := m.endpoints.label(s.Endpoint)
		for k, n := range s.Failed {
			m.fetches.WithLabelValues(e, kindLabel(k)).Add(float64(n))
		}
		m.fetches.WithLabelValues(e, kindLabel(fault.Canceled)).Add(float64(s.GivenUp))
		m.fetches.WithLabelValues(e, kindLabel(fault.None)).Add(float64(max(0, s.Asked-s.Failures()-s.GivenUp)))
		m.fetched.WithLabelValues(e).Add(float64(max(0, s.Bytes)))
	}
}

// A bounded hands out up to maxLabels labels. The zero value is ready.
type bounded struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (b *bounded) label(s string) string {
	if s = strings.ToValidUTF8(s, "?"); len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[s] {
		return s
	}
	if len(b.seen) >= maxLabels {
		return "other"
	}
	if b.seen == nil {
		b.seen = make(map[string]bool)
	}
	b.seen[s] = true
	return s
}
