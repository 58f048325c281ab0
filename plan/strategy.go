// Package plan chooses the way of the next attempt of a build, and says why.
// It is pure: the same input gives the same plan.
package plan

import (
	"slices"
	"time"
)

// A Strategy is how much of the outside a build relies on.
type Strategy string

// The strategies, from a sky without clouds to none.
const (
	Optimal      Strategy = "optimal"
	Resilient    Strategy = "resilient"
	Conservative Strategy = "conservative"
	Emergency    Strategy = "emergency"
)

// A Variant says which Dockerfile is built.
type Variant string

// The variants of a Dockerfile.
const (
	Users    Variant = "users"    // as it stands
	Prepared Variant = "prepared" // Dockerfile.resilient where the user has one, else as it stands
)

// A Cache is a tier of external build caches.
type Cache string

// The tiers of external caches.
const (
	Actions  Cache = "actions"  // the Actions cache service
	Registry Cache = "registry" // IMAGE:cache in a registry
	Local    Cache = "local"    // a folder
)

// A Level is what the settings may change of a strategy.
type Level struct {
	AtLeast int           // percent of the scorecard
	Timeout time.Duration // of one attempt
}

// row is a line of the matrix.
type row struct {
	strategy   Strategy
	level      Level // unless the settings say otherwise
	dockerfile Variant
	caches     []Cache // in the order in which they are asked
}

var matrix = []row{
	{Optimal, Level{80, 40 * time.Minute}, Users, []Cache{Actions, Registry, Local}},
	{Resilient, Level{60, 30 * time.Minute}, Prepared, []Cache{Local, Registry}},
	{Conservative, Level{40, 20 * time.Minute}, Prepared, []Cache{Local}},
	{Emergency, Level{0, 15 * time.Minute}, Prepared, nil},
}

// Strategies lists all strategies, best first.
func Strategies() []Strategy {
	all := make([]Strategy, len(matrix))
	for i, r := range matrix {
		all[i] = r.strategy
	}
	return all
}

// Levels are the levels of strategies. A strategy that is not in it has those
// of the table in docs/strategies.md: 80, 60, 40 and 0 percent; 40, 30, 20 and 15 minutes.
type Levels map[Strategy]Level

// Of returns the level of s.
func (l Levels) Of(s Strategy) Level {
	if own, ok := l[s]; ok {
		return own
	}
	return s.row().level
}

// For returns the strategy for a scorecard's result, 0 to 100.
func (l Levels) For(percent int) Strategy {
	for _, s := range Strategies() {
		if percent >= l.Of(s).AtLeast {
			return s
		}
	}
	return Emergency
}

func (s Strategy) row() row {
	for _, r := range matrix {
		if r.strategy == s {
			return r
		}
	}
	return matrix[0]
}

// lower returns the strategy n steps further down, at most the last one.
func (s Strategy) lower(n int) Strategy {
	all := Strategies()
	return all[min(max(slices.Index(all, s), 0)+n, len(all)-1)]
}
