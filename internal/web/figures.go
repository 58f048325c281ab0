package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

// builds leaves out looks at the services.
func builds(runs []record.Run) []record.Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r record.Run) bool { return r.Is(record.KindCheck) })
}

// A serviceRow is what the runs tell of an endpoint.
type serviceRow struct {
	Name, Serves  string
	Asked, Failed int
	Kinds         map[fault.Kind]int
	Last          string
	cells         map[int]cell // by the place of the run
	runs          int
}

// Well is the share of requests and checks that were answered.
func (s serviceRow) Well() float64 { return 1 - float64(s.Failed)/float64(max(s.Asked, 1)) }

// Tone says how it did.
func (s serviceRow) Tone() string {
	return toneOfShare(s.Well())
}

func toneOfShare(well float64) string {
	switch {
	case well >= 0.99:
		return "good"
	case well >= 0.9:
		return "warn"
	}
	return "bad"
}

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

// shareOf shows how the builds with a strategy ended.
func shareOf(s stats.StrategyRow) template.HTML {
	others := s.Builds - s.Built - s.Lost - s.Users
	return share(fmt.Sprintf("%d built, %d without a source, %d failed by themselves, %d others", s.Built, s.Lost, s.Users, others),
		part{"good", "built", s.Built}, part{"bad", "no source was left", s.Lost}, part{"warn", "failed by themselves", s.Users}, part{"none", "others", others})
}

// A serviceMonth is what a service did in a month, and how it did lately.
type serviceMonth struct {
	stats.ServiceRow
	Lately serviceRow
}

// Tone says how it did.
func (s serviceMonth) Tone() string { return toneOfShare(s.Availability) }

// months puts both together, the worst first.
func months(rows []stats.ServiceRow, lately []serviceRow) []serviceMonth {
	var all []serviceMonth
	for _, r := range rows {
		m := serviceMonth{ServiceRow: r}
		for _, l := range lately {
			if l.Name == r.Endpoint && l.Serves == r.Serves {
				m.Lately = l
			}
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b serviceMonth) int { return cmp.Compare(a.Availability, b.Availability) })
	return all[:min(len(all), maxServices)]
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
