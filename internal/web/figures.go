package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
)

// builds leaves out looks at the services.
func builds(runs []record.Run) []record.Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r record.Run) bool { return r.Is(record.KindCheck) })
}

// A serviceRow is what the runs tell of an endpoint.
type serviceRow struct {
	Name, Serves  string
	Asked, Failed int
	Bytes         int64
	Latency       record.Spread
	Kinds         map[fault.Kind]int
	Last          string
	cells         map[int]cell // by the place of the run
	runs          int
}

// Well is the share of requests and checks that were answered.
func (s serviceRow) Well() float64 { return 1 - float64(s.Failed)/float64(max(s.Asked, 1)) }

// Tone says how it did.
func (s serviceRow) Tone() string {
	switch w := s.Well(); {
	case w >= 0.99:
		return "good"
	case w >= 0.9:
		return "warn"
	}
	return "bad"
}

// Median is the time until an answer; 0 where none was measured.
func (s serviceRow) Median() time.Duration { return s.Latency.Quantile(0.5) }

// Slow is what one of ten answers takes longer than.
func (s serviceRow) Slow() time.Duration { return s.Latency.Quantile(0.9) }

// Answers says how it failed, the most frequent first.
func (s serviceRow) Answers() []string {
	kinds := slices.SortedFunc(maps.Keys(s.Kinds), func(a, b fault.Kind) int {
		return cmp.Or(s.Kinds[b]-s.Kinds[a], cmp.Compare(a, b))
	})
	var all []string
	for _, k := range kinds {
		all = append(all, fmt.Sprintf("%s (%d)", k.Verb(), s.Kinds[k]))
	}
	return all
}

// stripLength is how many runs a strip shows.
const stripLength = 40

// Strip shows how it did in the newest runs.
func (s serviceRow) Strip() template.HTML {
	n := min(s.runs, stripLength)
	cells := make([]cell, n)
	for i := range cells {
		if c, ok := s.cells[n-1-i]; ok {
			cells[i] = c
		} else {
			cells[i] = cell{Title: "not asked"}
		}
	}
	return strip(fmt.Sprintf("%s over the last %d runs, the newest on the right: %.0f %% answered", s.Name, n, 100*s.Well()), cells)
}

// maxServices bounds what a page lists: names come from Dockerfiles.
const maxServices = 200

// services adds up what the runs tell of each endpoint, the worst first.
func services(runs []record.Run) []serviceRow {
	rows := make(map[[2]string]*serviceRow)
	row := func(name, serves string) *serviceRow {
		key := [2]string{name, serves}
		if rows[key] == nil {
			rows[key] = &serviceRow{Name: name, Serves: serves, Kinds: make(map[fault.Kind]int), cells: make(map[int]cell), runs: len(runs)}
		}
		return rows[key]
	}
	for i, r := range runs {
		for _, s := range r.Services {
			failed := s.Failures() - s.Failed[fault.NotFound]
			w := row(s.Endpoint, s.Serves)
			w.add(i, r, s.Asked-s.GivenUp, failed)
			w.Bytes += s.Bytes
			w.Latency = w.Latency.Merge(s.Latency)
			for k, n := range s.Failed {
				if k != fault.NotFound {
					w.Kinds[k] += n
				}
			}
			w.Last = cmp.Or(w.Last, s.Last)
		}
		for _, c := range r.Card.Categories {
			for _, k := range c.Checks {
				if k.Host == "" {
					continue
				}
				w, failed := row(k.Host, cmp.Or(k.For, c.Name)), 0
				if !k.OK {
					failed = 1
					w.Kinds[k.Kind]++
					w.Last = cmp.Or(w.Last, k.Detail)
				} else {
					w.Latency = w.Latency.Merge(record.Spread(nil).Add(k.Took))
				}
				w.add(i, r, 1, failed)
			}
		}
	}
	var all []serviceRow
	for _, w := range rows {
		all = append(all, *w)
	}
	slices.SortFunc(all, func(a, b serviceRow) int {
		return cmp.Or(cmp.Compare(a.Well(), b.Well()), cmp.Compare(b.Asked, a.Asked), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Serves, b.Serves))
	})
	return all[:min(len(all), maxServices)]
}

func (s *serviceRow) add(i int, r record.Run, asked, failed int) {
	s.Asked, s.Failed = s.Asked+asked, s.Failed+failed
	tone := "good"
	switch {
	case failed > 0 && failed >= asked:
		tone = "bad"
	case failed > 0:
		tone = "warn"
	}
	if old, ok := s.cells[i]; ok && (old.Tone == "bad" || tone == "good") {
		return
	}
	s.cells[i] = cell{Tone: tone, Title: fmt.Sprintf("%s: %d of %d failed", r.Started.UTC().Format("2006-01-02 15:04"), failed, asked)}
}

// A strategyRow is how builds with a strategy ended.
type strategyRow struct {
	Strategy              string
	Runs, Built, NoSource int
	Own, Other            int // the user's own mistakes; interrupted and so on
	Tries, Helped         int // attempts after the first, and builds that these saved
	Median, Slow          time.Duration
	times                 []time.Duration
}

// Worth is the share of builds that were built, of those that no mistake of the
// user's ended.
func (s strategyRow) Worth() float64 { return float64(s.Built) / float64(max(s.Built+s.NoSource, 1)) }

// Share shows how the builds ended.
func (s strategyRow) Share() template.HTML {
	return share(fmt.Sprintf("%d built, %d without a source, %d failed by themselves, %d others", s.Built, s.NoSource, s.Own, s.Other),
		part{"good", "built", s.Built}, part{"bad", "no source was left", s.NoSource}, part{"warn", "failed by themselves", s.Own}, part{"none", "others", s.Other})
}

// strategies says how each strategy did, the one that asks for most first.
func strategies(runs []record.Run) []strategyRow {
	var rows []strategyRow
	for _, name := range []plan.Strategy{plan.Optimal, plan.Resilient, plan.Conservative, plan.Emergency} {
		row := strategyRow{Strategy: string(name)}
		for _, r := range runs {
			if r.Strategy == string(name) {
				row.add(r)
			}
		}
		slices.Sort(row.times)
		if n := len(row.times); n > 0 {
			row.Median, row.Slow = row.times[(n-1)/2], row.times[(n-1)*9/10]
		}
		rows = append(rows, row)
	}
	return rows
}

func (s *strategyRow) add(r record.Run) {
	s.Runs++
	s.Tries += max(0, len(r.Attempts)-1)
	switch r.Outcome {
	case record.Built:
		s.Built++
		s.times = append(s.times, r.Took())
		if len(r.Attempts) > 1 {
			s.Helped++
		}
	case record.NoSource:
		s.NoSource++
	case record.Failed:
		s.Own++
	default:
		s.Other++
	}
}

// A cacheRow is what a tier of caches was worth.
type cacheRow struct {
	Tier          string
	Builds        int
	Steps, Cached int
}

// Share is the share of steps that did not have to run.
func (c cacheRow) Share() float64 { return float64(c.Cached) / float64(max(c.Steps, 1)) }

// tiers adds up the last attempts of builds by the caches that they used.
func tiers(runs []record.Run) []cacheRow {
	rows := make(map[string]*cacheRow)
	for _, r := range runs {
		if len(r.Attempts) == 0 {
			continue
		}
		last := r.Attempts[len(r.Attempts)-1]
		names := last.Caches
		if len(names) == 0 {
			names = []string{"the builder's own alone"}
		}
		for _, name := range names {
			if rows[name] == nil {
				rows[name] = &cacheRow{Tier: name}
			}
			rows[name].Builds++
			rows[name].Steps += last.Steps
			rows[name].Cached += last.Cached
		}
	}
	var all []cacheRow
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, *rows[name])
	}
	return all
}

// cachedShares is the share of cached steps of each build, the oldest first.
func cachedShares(runs []record.Run) []float64 {
	var all []float64
	for _, r := range slices.Backward(runs) {
		if n := len(r.Attempts); n > 0 {
			last := r.Attempts[n-1]
			all = append(all, float64(last.Cached)/float64(max(last.Steps, 1)))
		}
	}
	return all
}

// scores is the score of each run that has one, the oldest first.
func scores(runs []record.Run) []float64 {
	var all []float64
	for _, r := range slices.Backward(runs) {
		if len(r.Card.Categories) > 0 {
			all = append(all, float64(r.Card.Percent())/100)
		}
	}
	return all
}
