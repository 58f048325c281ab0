// Package stats adds up runs: what became of builds by strategy, what outages
// would have cost, which retries helped, what caches and services are worth.
// What is added up day by day can be put together for any span of days, in any
// order. It reads records and nothing else; docs/history.md says what each
// number means.
package stats

import (
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// Bounds of a Tally: names come from Dockerfiles and branches. What has no room
// counts for Others.
const (
	MaxServices = 256
	MaxImages   = 256
	MaxSteps    = 64
	MaxDigests  = 8 // of an image
	Others      = "(others)"
)

// A Tally is the sum of some runs. The zero value is that of none. It is plain
// data, and not for use from many places at once.
type Tally struct {
	Builds     int                    `json:"builds,omitempty"`
	Checks     int                    `json:"checks,omitempty"`
	Outcomes   map[record.Outcome]int `json:"outcomes,omitempty"` // of builds
	Strategies map[string]*Strategy   `json:"strategies,omitempty"`
	Score      Score                  `json:"score,omitzero"`
	Outages    Outages                `json:"outages,omitzero"`
	Retries    map[fault.Kind]*Retry  `json:"retries,omitempty"` // by what failed before
	Caches     map[string]*Cache      `json:"caches,omitempty"`  // by tier, NoCache among them
	Services   map[string]*Service    `json:"services,omitempty"`
	Images     map[string]*Image      `json:"images,omitempty"`    // base images, by reference
	Swallowed  map[string]int         `json:"swallowed,omitempty"` // steps that hid a failed download, by name
}

// A Strategy is what became of the builds that ended with it, and of the
// attempts that were made with it.
type Strategy struct {
	Builds      int           `json:"builds,omitempty"`
	Built       int           `json:"built,omitempty"`
	Lost        int           `json:"lost,omitempty"`  // to services or engines
	Users       int           `json:"users,omitempty"` // ended by a mistake of the user's
	Took        record.Spread `json:"took,omitempty"`  // builds that were built
	Attempts    int           `json:"attempts,omitempty"`
	AttemptTook record.Spread `json:"attempt_took,omitempty"`
	Reached     int           `json:"reached,omitempty"` // attempts that its timeout ended
}

// A Score is what assessments said, in percent of what decides.
type Score struct {
	Runs  int `json:"runs,omitempty"` // with an assessment
	Sum   int `json:"sum,omitempty"`
	Least int `json:"least,omitempty"` // of all; 0 too where there are none
}

// Outages is what builds met, and came through.
type Outages struct {
	Met           int `json:"met,omitempty"`            // builds in which a service failed
	Survived      int `json:"survived,omitempty"`       // those of them that were built
	Saved         int `json:"saved,omitempty"`          // those of them that would have failed
	AttemptsSaved int `json:"attempts_saved,omitempty"` // further attempts that were not needed, at least
	AttemptsLost  int `json:"attempts_lost,omitempty"`  // attempts that services ended
}

// A Retry is what came of further attempts.
type Retry struct {
	Tried  int           `json:"tried,omitempty"`
	Helped int           `json:"helped,omitempty"` // the attempt succeeded
	Spent  time.Duration `json:"spent,omitempty"`  // with their waits, by those that did not help
}

// NoCache stands for attempts that used no external cache.
const NoCache = "none"

// A Cache is what attempts were like that used a tier of external caches.
type Cache struct {
	Attempts int           `json:"attempts,omitempty"` // that succeeded
	Steps    int           `json:"steps,omitempty"`
	Cached   int           `json:"cached,omitempty"` // of them
	Took     record.Spread `json:"took,omitempty"`
}

// A Service is what an endpoint did, for the content that it was asked for.
type Service struct {
	Endpoint string             `json:"endpoint"`
	Serves   string             `json:"serves,omitempty"`
	Origin   bool               `json:"origin,omitempty"` // it is no mirror
	Builds   int                `json:"builds,omitempty"` // that asked it
	Bad      int                `json:"bad,omitempty"`    // builds in which it failed at least once
	Out      int                `json:"out,omitempty"`    // builds in which no request was well
	Asked    int                `json:"asked,omitempty"`
	GivenUp  int                `json:"given_up,omitempty"` // for another that was faster
	Failed   map[fault.Kind]int `json:"failed,omitempty"`
	Bytes    int64              `json:"bytes,omitempty"`
	Latency  record.Spread      `json:"latency,omitempty"`
	Checks   int                `json:"checks,omitempty"` // of assessments
	Well     int                `json:"well,omitempty"`   // of them
}

// An Image is a base image.
type Image struct {
	Builds  int            `json:"builds,omitempty"`
	Locked  int            `json:"locked,omitempty"`  // builds that knew its digest beforehand
	Digests map[string]int `json:"digests,omitempty"` // builds by what its tag stood for, where that is known
}

// at returns what m has under key, made where it has nothing, and under Others
// where it has room for no more.
func at[K ~string, V any](m *map[K]*V, key K, most int) *V {
	if *m == nil {
		*m = make(map[K]*V)
	}
	if (*m)[key] == nil && len(*m) >= most {
		key = Others
	}
	if (*m)[key] == nil {
		(*m)[key] = new(V)
	}
	return (*m)[key]
}

// count adds n to what m counts under key.
func count[K ~string](m *map[K]int, key K, n, most int) {
	if *m == nil {
		*m = make(map[K]int)
	}
	if _, known := (*m)[key]; !known && len(*m) >= most {
		key = Others
	}
	(*m)[key] += n
}

// maxKinds bounds maps whose keys are words of ours, unless a record lies.
const maxKinds = 64
