package plan

import (
	"maps"
	"slices"
	"time"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// Input is all that a plan depends on.
type Input struct {
	Needs   []dockerfile.Need   // of the build
	Card    health.Scorecard    // the assessment; one without checks counts as all well
	Health  health.Snapshot     // of the sources
	Sources map[string][]string // who may have the content of a registry, by its host, in the order of the settings
	Cached  map[string]bool     // the needed references that the local store has

	Forced    Strategy // the user's choice; empty means by the Card
	Levels    Levels
	Resilient bool    // there is a Dockerfile.resilient that may be used
	Caches    []Cache // the caches that are there to be used
	Reach     bool    // the builder reaches the gateway's address
	Sealed    bool    // the builder takes no OCI layouts
	Off       bool    // the user wants no gateway

	Absent []string // references that no source has, and the store has not either
	Past   []Past   // the attempts so far, the first one first
	Limit  int      // attempts at most; zero means 3
}

// Past is an attempt that failed.
type Past struct {
	Plan        Plan
	Diagnosis   diagnose.Diagnosis
	Spoiled     string        // content of which the builder holds on to spoiled bytes; empty where there is none
	Unreachable bool          // the builder could not connect to the gateway
	Absent      []string      // references that no source had
	Swallowed   bool          // an earlier step of Stage left a download undone, and said that it was well
	Stage       string        // of the step that failed, as the builder shows it; empty where no step failed
	Made        bool          // the image was made: the export of a cache failed, or the push
	After       time.Duration // what the service that failed asked to wait; 0: nothing
	Freed       int64         // bytes that were freed on the disk that was full; 0: none
	LeftOut     bool          // the cache that failed is known, and stays out of further attempts by itself
	TimedOut    bool          // the attempt took all the time of its strategy
}

// service reports whether a service failed, so that another try may help.
func (p Past) service() bool {
	if p.Spoiled != "" || p.Unreachable || p.TimedOut {
		return false
	}
	return p.Swallowed || p.Diagnosis.Retryable && !p.Diagnosis.UserError
}

// cache reports whether an external build cache failed, and no more than that.
func (p Past) cache() bool {
	d := p.Diagnosis
	return d.Kind == fault.CacheImport || d.Kind == fault.CacheExport || d.Service == "gha-cache" || d.Service == "registry-cache"
}

// spent reports whether no attempt is left. A cache that broke costs none: it
// is out of the next one, so that there are only as many as there are caches.
func (in Input) spent() bool {
	own := 0
	for _, p := range in.Past {
		if !p.LeftOut {
			own++
		}
	}
	return own >= in.limit()
}

func (in Input) limit() int {
	if in.Limit > 0 {
		return in.Limit
	}
	return 3
}

func (in Input) last() Past {
	if len(in.Past) == 0 {
		return Past{}
	}
	return in.Past[len(in.Past)-1]
}

func (in Input) tried(road Road) bool {
	return slices.ContainsFunc(in.Past, func(p Past) bool { return p.Plan.Road == road })
}

// healed reports whether an attempt before the last one failed by the same
// spoiled content: then healing did not help. Other content may have been on
// its way while the builder was healed.
func (in Input) healed() bool {
	return slices.ContainsFunc(in.Past[:len(in.Past)-1], func(p Past) bool { return p.Spoiled == in.last().Spoiled })
}

// roomMade reports whether an attempt before the last one was given room
// already: that did not help.
func (in Input) roomMade() bool {
	return slices.ContainsFunc(in.Past[:len(in.Past)-1], func(p Past) bool { return p.Freed > 0 })
}

// failures counts the attempts that a service made fail.
func (in Input) failures() int {
	n := 0
	for _, p := range in.Past {
		if p.service() {
			n++
		}
	}
	return n
}

// absent lists what no source has, by all that was seen.
func (in Input) absent() []string {
	all := slices.Clone(in.Absent)
	for _, p := range in.Past {
		all = append(all, p.Absent...)
	}
	return all
}

// substitutes chooses an image for each needed one that no source has, of
// those that may stand in for it: the first that is not absent itself.
func (in Input) substitutes() map[string]string {
	absent := in.absent()
	chosen := make(map[string]string)
	for _, n := range in.Needs {
		if !slices.Contains(absent, n.Ref) {
			continue
		}
		for _, s := range n.Substitutes {
			if !slices.Contains(absent, s) {
				chosen[n.Ref] = s
				break
			}
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	return chosen
}

// otherSubstitutes reports whether there is a substitute that the last attempt
// did not have.
func (in Input) otherSubstitutes() bool {
	return !maps.Equal(in.substitutes(), in.last().Plan.Substitutes)
}
