// Package plan chooses the way of the next attempt of a build, and says why.
// It is pure: the same input gives the same plan.
package plan

import "time"

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
	Prepared Variant = "prepared" // a prepared copy, or Dockerfile.resilient where the user has one
)

// A Cache is a tier of external build caches.
type Cache string

// The tiers of external caches.
const (
	Actions  Cache = "actions"  // the Actions cache service
	Registry Cache = "registry" // IMAGE:cache in a registry
	Local    Cache = "local"    // a folder
)

// row is a line of the matrix in the design, section 5.
type row struct {
	strategy   Strategy
	atLeast    int // percent of the scorecard
	dockerfile Variant
	caches     []Cache // in the order in which they are asked
	timeout    time.Duration
}

var matrix = []row{
	{Optimal, 80, Users, []Cache{Actions, Registry, Local}, 40 * time.Minute},
	{Resilient, 60, Prepared, []Cache{Local, Registry}, 30 * time.Minute},
	{Conservative, 40, Prepared, []Cache{Local}, 20 * time.Minute},
	{Emergency, 0, Prepared, nil, 15 * time.Minute},
}

// Strategies lists all strategies, best first.
func Strategies() []Strategy {
	all := make([]Strategy, len(matrix))
	for i, r := range matrix {
		all[i] = r.strategy
	}
	return all
}

// ForPercent returns the strategy for a scorecard's result, 0 to 100.
func ForPercent(percent int) Strategy {
	for _, r := range matrix {
		if percent >= r.atLeast {
			return r.strategy
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
