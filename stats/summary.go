package stats

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// A Day is the sum of the runs that began on a day of UTC.
type Day struct {
	Day time.Time `json:"day"`
	Tally
}

// A Summary is what people are shown of a span of days. Shares are from 0 to
// 1, times in milliseconds.
type Summary struct {
	Since      string                 `json:"since,omitempty"` // the first day that has runs, and the last
	Until      string                 `json:"until,omitempty"`
	Builds     int                    `json:"builds"`
	Checks     int                    `json:"checks"`
	Outcomes   map[record.Outcome]int `json:"outcomes"`
	Strategies []StrategyRow          `json:"strategies"`
	Score      ScoreRow               `json:"score"`
	Trend      []TrendRow             `json:"trend"`
	Outages    Outages                `json:"outages"`
	Retries    []RetryRow             `json:"retries"`
	Caches     []CacheRow             `json:"caches"`
	Services   []ServiceRow           `json:"services"`
}

// A StrategyRow is what came of a strategy.
type StrategyRow struct {
	Strategy string  `json:"strategy"`
	Builds   int     `json:"builds"`
	Built    int     `json:"built"`
	Lost     int     `json:"lost"`
	Users    int     `json:"users"`
	Success  float64 `json:"success"` // built, of those that were built or lost; 0 of none
	Median   int64   `json:"median_ms"`
	P90      int64   `json:"p90_ms"`
}

// A ScoreRow is what assessments said.
type ScoreRow struct {
	Runs  int     `json:"runs"`
	Mean  float64 `json:"mean"`
	Least int     `json:"least"`
}

// A TrendRow is one day.
type TrendRow struct {
	Day    string  `json:"day"`
	Builds int     `json:"builds"`
	Built  int     `json:"built"`
	Lost   int     `json:"lost"`
	Scored int     `json:"scored"` // runs with an assessment
	Mean   float64 `json:"mean"`
	Least  int     `json:"least"`
}

// A RetryRow is what came of further attempts after one kind of failure.
type RetryRow struct {
	After  fault.Kind `json:"after"`
	Tried  int        `json:"tried"`
	Helped int        `json:"helped"`
	Spent  int64      `json:"spent_ms"` // by those that did not help
}

// A CacheRow is what attempts were like that used a tier.
type CacheRow struct {
	Tier     string  `json:"tier"`
	Attempts int     `json:"attempts"`
	Hits     float64 `json:"hits"` // of their steps
	Median   int64   `json:"median_ms"`
	Saves    int64   `json:"saves_ms"` // of the median, against attempts without any tier; 0 where there were none
}

// A ServiceRow is what an endpoint did.
type ServiceRow struct {
	Endpoint     string             `json:"endpoint"`
	Serves       string             `json:"serves"`
	Origin       bool               `json:"origin"`
	Builds       int                `json:"builds"`
	Asked        int                `json:"asked"`
	Failed       map[fault.Kind]int `json:"failed,omitempty"`
	Bytes        int64              `json:"bytes"`
	Availability float64            `json:"availability"` // requests and checks that did not fail by its fault; 1 of none
	Median       int64              `json:"median_ms"`
	P90          int64              `json:"p90_ms"`
}

// Sum puts days together.
func Sum(days []Day) Tally {
	var all Tally
	for _, d := range days {
		all.Merge(d.Tally)
	}
	return all
}

// Of summarizes days, which come in their order.
func Of(days []Day) Summary {
	all := Sum(days)
	s := Summary{Builds: all.Builds, Checks: all.Checks, Outcomes: all.Outcomes, Outages: all.Outages,
		Score: ScoreRow{all.Score.Runs, all.Score.Mean(), all.Score.Least}}
	if len(days) > 0 {
		s.Since, s.Until = days[0].Day.Format(time.DateOnly), days[len(days)-1].Day.Format(time.DateOnly)
	}
	for _, d := range days {
		lost := d.Outcomes[record.NoSource] + d.Outcomes[record.NoEngine]
		s.Trend = append(s.Trend, TrendRow{d.Day.Format(time.DateOnly), d.Builds, d.Outcomes[record.Built], lost, d.Score.Runs, d.Score.Mean(), d.Score.Least})
	}
	s.Strategies = strategyRows(all)
	for _, k := range slices.Sorted(maps.Keys(all.Retries)) {
		r := all.Retries[k]
		s.Retries = append(s.Retries, RetryRow{k, r.Tried, r.Helped, r.Spent.Milliseconds()})
	}
	s.Caches = cacheRows(all)
	s.Services = serviceRows(all)
	return s
}

// order is how strategies are shown; others follow.
var order = []string{"optimal", "resilient", "conservative", "emergency"}

func strategyRows(t Tally) []StrategyRow {
	var rows []StrategyRow
	names := slices.SortedFunc(maps.Keys(t.Strategies), func(a, b string) int {
		ai, bi := uint(slices.Index(order, a)), uint(slices.Index(order, b)) // what is not there is last
		return cmp.Or(cmp.Compare(ai, bi), cmp.Compare(a, b))
	})
	for _, name := range names {
		s := t.Strategies[name]
		if s.Builds == 0 {
			continue
		}
		rows = append(rows, StrategyRow{name, s.Builds, s.Built, s.Lost, s.Users, share(s.Built, s.Built+s.Lost),
			s.Took.Quantile(0.5).Milliseconds(), s.Took.Quantile(0.9).Milliseconds()})
	}
	return rows
}

func cacheRows(t Tally) []CacheRow {
	var rows []CacheRow
	without := int64(0)
	if c := t.Caches[NoCache]; c != nil {
		without = c.Took.Quantile(0.5).Milliseconds()
	}
	for _, tier := range slices.Sorted(maps.Keys(t.Caches)) {
		c := t.Caches[tier]
		row := CacheRow{Tier: tier, Attempts: c.Attempts, Hits: share(c.Cached, c.Steps), Median: c.Took.Quantile(0.5).Milliseconds()}
		if tier != NoCache && without > 0 {
			row.Saves = without - row.Median
		}
		rows = append(rows, row)
	}
	return rows
}

func serviceRows(t Tally) []ServiceRow {
	var rows []ServiceRow
	for _, s := range t.Services {
		rows = append(rows, ServiceRow{s.Endpoint, s.Serves, s.Origin, s.Builds, s.Asked, s.Failed, s.Bytes, s.Availability(),
			s.Latency.Quantile(0.5).Milliseconds(), s.Latency.Quantile(0.9).Milliseconds()})
	}
	slices.SortFunc(rows, func(a, b ServiceRow) int {
		return cmp.Or(cmp.Compare(a.Serves, b.Serves), cmp.Compare(b.Asked, a.Asked), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	return rows
}

// Mean is the mean of the assessments, 0 of none.
func (s Score) Mean() float64 {
	if s.Runs == 0 {
		return 0
	}
	return float64(s.Sum) / float64(s.Runs)
}

// Failures counts the requests that failed by the service's fault.
func (s Service) Failures() int {
	n := 0
	for k, c := range s.Failed {
		if k.Blames() {
			n += c
		}
	}
	return n
}

// Availability is the share of requests and checks that did not fail by the
// service's fault. Those that were given up for a faster source tell nothing.
func (s Service) Availability() float64 {
	all := s.Asked - s.GivenUp + s.Checks
	if all <= 0 {
		return 1
	}
	return 1 - float64(s.Failures()+s.Checks-s.Well)/float64(all)
}

func share(part, all int) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}
