// Package record is the story of a run as plain data: what was asked, what was
// planned, what each service answered, how it ended. It holds no secrets, and
// nothing here acts.
package record

import (
	"time"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// A Run is one build from start to end, or one look at the services.
type Run struct {
	ID       string    `json:"id"`
	Kind     Kind      `json:"kind,omitempty"` // empty: a build
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Outcome  Outcome   `json:"outcome"`
	Error    string    `json:"error,omitempty"`
	Builder  string    `json:"builder"`  // its name and driver
	Strategy string    `json:"strategy"` // of the last attempt
	Why      []string  `json:"why,omitempty"`
	Context  Context   `json:"context,omitzero"` // where it ran, as far as the environment told

	Card        health.Scorecard  `json:"card"`            // the assessment before the build
	After       *health.Scorecard `json:"after,omitempty"` // that after a build that services made fail; nil: none was made
	Needs       []Need            `json:"needs,omitempty"`
	Substitutes map[string]string `json:"substitutes,omitempty"` // by reference: what stood in for it

	Attempts []Attempt  `json:"attempts"`
	Caches   []CacheUse `json:"caches,omitempty"` // what each external cache was worth
	Services []Service  `json:"services"`         // in the order in which they were first asked
	Stale    []Stale    `json:"stale,omitempty"`
	Images   []Image    `json:"images,omitempty"`
	Notes    []string   `json:"notes,omitempty"` // what was done about failures, a line each
}

// A Kind says what a run was.
type Kind string

// The kinds of runs.
const (
	KindBuild Kind = "build"
	KindCheck Kind = "check" // a look at the services: it has a card, and neither attempts nor services
)

// Is reports whether r is of kind k. What says nothing is a build.
func (r Run) Is(k Kind) bool { return r.Kind == k || r.Kind == "" && k == KindBuild }

// A Context is where a run took place. All of it is text that others chose.
type Context struct {
	Repo   string `json:"repo,omitempty"`   // without a scheme: github.com/acme/app
	Branch string `json:"branch,omitempty"` // or tag
	Commit string `json:"commit,omitempty"` // in full
	CI     string `json:"ci,omitempty"`     // github, gitlab, jenkins; empty: none that is known
	Job    string `json:"job,omitempty"`    // the CI's name for it
	URL    string `json:"url,omitempty"`    // of the job's page
}

// An Outcome says how a run ended.
type Outcome string

// The outcomes, each with the exit code that stands for it.
const (
	Built       Outcome = "built"       // 0
	Failed      Outcome = "failed"      // 1, the user's to mend
	BadUsage    Outcome = "usage"       // 2, flags or settings
	NoSource    Outcome = "no-source"   // 3, services failed and no source was left
	NoEngine    Outcome = "no-engine"   // 4
	Interrupted Outcome = "interrupted" // 130
	Checked     Outcome = "checked"     // of a check: it came to its end, whatever it saw
)

// An Attempt is one run of the engine.
type Attempt struct {
	Started  time.Time  `json:"started"`
	Ended    time.Time  `json:"ended"`
	Strategy string     `json:"strategy"`
	Kind     fault.Kind `json:"kind"`            // None when it succeeded
	Cause    string     `json:"cause,omitempty"` // the error in a line

	Diagnosis *diagnose.Diagnosis `json:"diagnosis,omitempty"` // of a failure; nil where none was made
	Waited    time.Duration       `json:"waited,omitempty"`    // before the attempt

	Steps  int    `json:"steps"`
	Cached int    `json:"cached"`
	Ran    []Step `json:"ran,omitempty"` // in the order in which they were first heard of, MaxSteps of them at most

	Caches    []string `json:"caches,omitempty"`    // the tiers of external caches that the plan let it use
	Limit     string   `json:"limit,omitempty"`     // the setting whose limit ended it: timeouts.optimal, build.idle
	Swallowed string   `json:"swallowed,omitempty"` // of a failure: the step before it that ended well although its downloads failed
	Place     *Place   `json:"place,omitempty"`     // of a failure, in the Dockerfile; nil where it is not known
	Log       []string `json:"log,omitempty"`       // the last lines of the step that failed, MaxLog of them at most
}

// A Need is one thing that the build needed from outside.
type Need struct {
	Kind     string `json:"kind"`
	Ref      string `json:"ref"`
	Platform string `json:"platform,omitempty"`
	Line     int    `json:"line"`             // of the Dockerfile; 0 where it comes from elsewhere
	Locked   bool   `json:"locked,omitempty"` // the lock file has its digest
}

// A Service is an endpoint and what it answered during a run.
type Service struct {
	Endpoint string             `json:"endpoint"`
	Serves   string             `json:"serves"`           // the registry, or the package manager, whose content it was asked for
	Origin   bool               `json:"origin,omitempty"` // the content is its own: it is no mirror
	Asked    int                `json:"asked"`
	Failed   map[fault.Kind]int `json:"failed,omitempty"`
	GivenUp  int                `json:"given_up,omitempty"` // requests that others overtook
	Bytes    int64              `json:"bytes"`
	Latency  Spread             `json:"latency,omitempty"` // until the head of each answer that was well
	Last     string             `json:"last,omitempty"`    // the last error, without secrets
}

// Failures counts the requests that failed.
func (s Service) Failures() int {
	n := 0
	for _, c := range s.Failed {
		n += c
	}
	return n
}

// Silent reports whether s never did anything: each request failed or was
// given up for another source.
func (s Service) Silent() bool { return s.GivenUp > 0 && s.Asked == s.Failures()+s.GivenUp }

// Worst returns the kind that s failed with most often, and None where it did
// not fail. Of two, the one that stands first in fault's table counts. That it
// did not have something is the least of failures.
func (s Service) Worst() fault.Kind {
	worst := fault.None
	for _, k := range fault.Kinds() {
		if k != fault.NotFound && s.Failed[k] > s.Failed[worst] {
			worst = k
		}
	}
	if worst == fault.None && s.Failed[fault.NotFound] > 0 {
		return fault.NotFound
	}
	return worst
}

// A Stale is an answer that was served although nobody could confirm it.
type Stale struct {
	Name string    `json:"name"` // docker.io/library/golang:1.26
	Good time.Time `json:"good"` // when it was last confirmed
}

// An Image is what was built.
type Image struct {
	Digest    string     `json:"digest"`
	Tags      []string   `json:"tags,omitempty"`
	Platforms []Platform `json:"platforms,omitempty"` // what it has for each, where that is known
}

// A Platform is an image for one platform.
type Platform struct {
	Name   string `json:"name"` // linux/arm64
	Digest string `json:"digest,omitempty"`
	Size   int64  `json:"size,omitempty"` // bytes of its layers as they travel; 0 where nobody said
}

// Took is how long the run lasted.
func (r Run) Took() time.Duration { return r.Ended.Sub(r.Started) }
