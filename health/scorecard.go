package health

import (
	"math"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A Scorecard is one assessment of the services: the points of the design's
// section 5, earned by checks. It is plain data and does not change once it is
// made. The zero value has assessed nothing.
type Scorecard struct {
	Known      bool          // what the build at hand needs is known, and decides
	Taken      time.Time     // when it began
	Took       time.Duration // from the beginning to the last check's answer
	Categories []Category    // in the order in which they are shown
}

// The names of the categories. Their texts stand in reports and in JSON.
const (
	ActionsCache    = "GitHub Actions cache"
	Registries      = "primary registries" // gcr.io, docker.io and ghcr.io, unless settings say otherwise
	OtherRegistries = "other registries"   // those that the build needs besides
	GoProxies       = "Go module proxies"
	Packages        = "package registries" // those that the build's other package managers ask
	Names           = "DNS"
	Internet        = "Internet"
	Added           = "added checks" // by settings
	Mirrors         = "mirrors"      // of the registries that the build needs; no points
)

// A Category is a kind of service with the points that its checks share.
type Category struct {
	Name   string  // "primary registries"
	Points float64 // of all its checks together; 0 means that it is shown and does not count
	Checks []Check // none means that it is not applicable, and its points are taken out
}

// A Check is one question to one service, and what came of it.
type Check struct {
	Name   string        // "gcr.io"
	Target string        // the address or the name that was asked; no secrets
	Host   string        // the endpoint, as a Board knows it; empty for what is none: a name, a way out
	For    string        // whose content it has: a registry, docker.io, or a package manager, go; of the way out, what has no other check; may be empty
	OK     bool          // the service does what a build needs of it
	Needed bool          // the build at hand needs this service
	Weight float64       // its share of the category's points, against the others'; 0 means 1
	Took   time.Duration // until the answer, or until it was given up
	Kind   fault.Kind    // how it failed; where it is OK, fault.None, or the no that it answered as it should
	Detail string        // what was seen, for people, in a line; no secrets
}

// Applicable reports whether c has anything to check.
func (c Category) Applicable() bool { return len(c.Checks) > 0 }

// Earned returns the points that the passed checks of c earned.
func (c Category) Earned() float64 {
	passed, all := c.weights()
	if all == 0 {
		return 0
	}
	return c.Points * passed / all
}

func (c Category) weights() (passed, all float64) {
	for _, k := range c.Checks {
		w := k.Weight
		if w == 0 {
			w = 1
		}
		all += w
		if k.OK {
			passed += w
		}
	}
	return passed, all
}

// Percent returns what the services earned of what could be earned, from 0 to
// 100, rounded down, so that 100 is said only where all is well. What is not
// applicable is taken out and the rest scaled. Where nothing counts it is 100:
// nothing that is needed is broken.
func (s Scorecard) Percent() int {
	var earned, all float64
	for _, c := range s.Categories {
		if c.Applicable() {
			earned += c.Earned()
			all += c.Points
		}
	}
	if all == 0 {
		return 100
	}
	// A third of a point thrice is a whole one, whatever floats say.
	return int(math.Floor(100*earned/all + 1e-9))
}

// Needed returns the card with the checks alone that the build at hand needs:
// its Percent decides the strategy. Each check keeps the points that it has on
// the whole card.
func (s Scorecard) Needed() Scorecard {
	needed := s
	needed.Categories = nil
	for _, c := range s.Categories {
		_, all := c.weights()
		own := Category{Name: c.Name}
		for _, k := range c.Checks {
			if k.Needed {
				own.Checks = append(own.Checks, k)
			}
		}
		if _, left := own.weights(); all > 0 {
			own.Points = c.Points * left / all
		}
		needed.Categories = append(needed.Categories, own)
	}
	return needed
}

// Observations are what the checks saw of the endpoints that they asked, for a
// Board.
func (s Scorecard) Observations() []Observation {
	var all []Observation
	for _, c := range s.Categories {
		for _, k := range c.Checks {
			if k.Host != "" {
				all = append(all, Observation{Endpoint: k.Host, At: s.Taken, Took: k.Took, Kind: k.Kind})
			}
		}
	}
	return all
}

// Deciding returns the percent that a strategy is chosen by: that of what the
// build needs where that is known, else that of all.
func (s Scorecard) Deciding() int {
	if s.Known {
		return s.Needed().Percent()
	}
	return s.Percent()
}

// Failed lists the checks that did not pass, in the order of the card.
func (s Scorecard) Failed() []Check {
	var failed []Check
	for _, c := range s.Categories {
		for _, k := range c.Checks {
			if !k.OK {
				failed = append(failed, k)
			}
		}
	}
	return failed
}
