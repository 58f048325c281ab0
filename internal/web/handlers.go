package web

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

// A nowPage is how things are.
type nowPage struct {
	Kept     bool // there is a history
	Card     *health.Scorecard
	Next     time.Time // when the services are measured again; zero: nobody knows
	Ring     template.HTML
	Checks   []report.Line
	Trend    template.HTML
	Running  []running
	Latest   []record.Run
	Services []serviceRow // that failed lately
}

// A running is a build under way.
type running struct {
	Run   record.Run
	Steps []record.Step // of the attempt under way, the newest first
	Done  int
}

// shownSteps are as many steps of a running build as are shown.
const shownSteps = 6

func runningOf(r record.Run) running {
	out := running{Run: r}
	if n := len(r.Attempts); n > 0 {
		for _, s := range slices.Backward(r.Attempts[n-1].Ran) {
			if !s.Ended.IsZero() {
				out.Done++
			}
			if len(out.Steps) < shownSteps && !s.Started.IsZero() {
				out.Steps = append(out.Steps, s)
			}
		}
	}
	return out
}

func (s *Site) now(w http.ResponseWriter, r *http.Request) error {
	runs, err := s.recent(r, history.Query{})
	if err != nil {
		return err
	}
	d := nowPage{Kept: s.History != nil, Latest: builds(runs)}
	d.Latest = d.Latest[:min(len(d.Latest), 8)]
	if s.Running != nil {
		for _, run := range s.Running() {
			d.Running = append(d.Running, runningOf(run))
		}
	}
	if card, next := s.card(runs); card != nil {
		d.Card, d.Next, d.Ring, d.Checks = card, next, ring(card.Percent()), report.Scorecard(*card)
	}
	if all := scores(runs); len(all) > 1 {
		d.Trend = spark(fmt.Sprintf("the score of the last %d runs, now %.0f", len(all), 100*all[len(all)-1]), all)
	}
	for _, row := range services(runs[:min(len(runs), stripLength)]) {
		if row.Failed > 0 && len(d.Services) < 6 {
			d.Services = append(d.Services, row)
		}
	}
	return s.show(w, r, "now", "Now", d)
}

// card is the newest assessment that is known.
func (s *Site) card(runs []record.Run) (*health.Scorecard, time.Time) {
	var card health.Scorecard
	var next time.Time
	if s.Card != nil {
		card, next = s.Card()
	}
	for _, run := range runs {
		if len(run.Card.Categories) > 0 {
			if run.Card.Taken.After(card.Taken) {
				card = run.Card
			}
			break
		}
	}
	if len(card.Categories) == 0 {
		return nil, next
	}
	return &card, next
}

// A buildsPage lists builds.
type buildsPage struct {
	Kept       bool
	Query      history.Query
	Runs       []record.Run
	Older      string // where the next ones are
	Outcomes   []record.Outcome
	Strategies []plan.Strategy
}

// listed are as many builds as stand on a page.
const listed = 50

func (s *Site) builds(w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	q := history.Query{Kind: record.KindBuild, Outcome: record.Outcome(form.Get("outcome")), Strategy: form.Get("strategy"),
		Repo: form.Get("repo"), Branch: form.Get("branch"), Before: form.Get("before"), Limit: listed + 1}
	runs, err := s.recent(r, q)
	if err != nil {
		return err
	}
	d := buildsPage{Kept: s.History != nil, Query: q, Runs: runs,
		Outcomes:   []record.Outcome{record.Built, record.Failed, record.NoSource, record.NoEngine, record.BadUsage, record.Interrupted},
		Strategies: []plan.Strategy{plan.Optimal, plan.Resilient, plan.Conservative, plan.Emergency}}
	if len(runs) > listed {
		d.Runs = runs[:listed]
		next := url.Values{"before": {d.Runs[listed-1].ID}}
		for _, key := range []string{"outcome", "strategy", "repo", "branch"} {
			if v := form.Get(key); v != "" {
				next.Set(key, v)
			}
		}
		d.Older = "/builds?" + next.Encode()
	}
	return s.show(w, r, "builds", "Builds", d)
}

func (s *Site) get(r *http.Request, id string) (record.Run, error) {
	if s.Running != nil {
		for _, run := range s.Running() {
			if run.ID == id {
				return run, nil
			}
		}
	}
	if s.History == nil {
		return record.Run{}, errNoPage
	}
	return s.History.Get(r.Context(), id)
}

func (s *Site) build(w http.ResponseWriter, r *http.Request) error {
	run, err := s.get(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	body, err := report.Body(report.Page{Run: run}, "")
	if err != nil {
		return err
	}
	return s.show(w, r, "build", titleOf(run), struct {
		Run  record.Run
		Body template.HTML
	}{run, body})
}

func (s *Site) compare(w http.ResponseWriter, r *http.Request) error {
	ids := r.URL.Query()["run"]
	if len(ids) != 2 {
		return s.show(w, r, "error", "Compare two builds", "Choose exactly two builds in the list, then compare them.")
	}
	var both [2]record.Run
	for i, id := range ids {
		run, err := s.get(r, id)
		if err != nil {
			return err
		}
		both[i] = run
	}
	return s.show(w, r, "compare", "Two builds", compared(both[0], both[1]))
}

// windowPage is what the pages about many runs have in common.
type windowPage struct {
	Kept bool
	Runs int
	From time.Time // when the oldest of them began
}

func (s *Site) many(r *http.Request, kind record.Kind) ([]record.Run, windowPage, error) {
	runs, err := s.recent(r, history.Query{Kind: kind})
	p := windowPage{Kept: s.History != nil, Runs: len(runs)}
	if len(runs) > 0 {
		p.From = runs[len(runs)-1].Started
	}
	return runs, p, err
}

func (s *Site) services(w http.ResponseWriter, r *http.Request) error {
	runs, err := s.recent(r, history.Query{Limit: stripLength})
	if err != nil {
		return err
	}
	days, err := s.month(r)
	if err != nil {
		return err
	}
	return s.show(w, r, "services", "Services and mirrors", struct {
		Kept bool
		Rows []serviceMonth
	}{s.History != nil, months(stats.Of(days).Services, services(runs))})
}

func (s *Site) caches(w http.ResponseWriter, r *http.Request) error {
	runs, p, err := s.many(r, record.KindBuild)
	if err != nil {
		return err
	}
	days, err := s.month(r)
	if err != nil {
		return err
	}
	all := cachedShares(runs)
	return s.show(w, r, "caches", "Caches", struct {
		windowPage
		Trend template.HTML
		Tiers []stats.CacheRow
	}{p, spark(fmt.Sprintf("the share of cached steps in the last %d builds", len(all)), all), stats.Of(days).Caches})
}

func (s *Site) strategies(w http.ResponseWriter, r *http.Request) error {
	days, err := s.month(r)
	if err != nil {
		return err
	}
	return s.show(w, r, "strategies", "Strategies", struct {
		Kept bool
		stats.Summary
	}{s.History != nil, stats.Of(days)})
}

func (s *Site) advice(w http.ResponseWriter, r *http.Request) error {
	days, err := s.month(r)
	if err != nil {
		return err
	}
	d := struct {
		Kept   bool
		Builds int
		Advice []report.Advice
		Thin   string
	}{Kept: s.History != nil}
	sum := stats.Sum(days)
	if d.Builds = sum.Builds; s.Advice != nil {
		d.Advice, d.Thin = s.Advice(sum)
	}
	return s.show(w, r, "advice", "Recommendations", d)
}
