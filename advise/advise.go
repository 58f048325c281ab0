// Package advise reads the sums of a history and says what to change: a table
// of rules, each with its threshold, its evidence in numbers and the change as
// it is typed. It decides from what it is handed, and recommends nothing where
// there is too little of it.
package advise

import (
	"fmt"
	"slices"
	"time"

	"github.com/outlast-build/outlast/stats"
)

// An Input is all that advice depends on.
type Input struct {
	Tally    stats.Tally
	Mirrors  map[string][]string      // the mirrors' addresses in the settings, by registry
	Timeouts map[string]time.Duration // of an attempt in the settings, by strategy; what is missing is not judged
}

// MinBuilds is how many builds there must be before anything is recommended.
const MinBuilds = 20

// An Advice is a change that the history speaks for.
type Advice struct {
	Rule   string `json:"rule"`   // the Name of the Rule
	Title  string `json:"title"`  // what is wrong, in a clause
	Why    string `json:"why"`    // the evidence, in numbers
	Change string `json:"change"` // what to do, as it is typed
}

// A Result is what there is to recommend, and on how much it rests.
type Result struct {
	Builds int      `json:"builds"` // that were looked at
	Needed int      `json:"needed"` // MinBuilds
	Advice []Advice `json:"advice"` // the rules' order; empty, never nil
}

// Thin says, for people, that there is too little to recommend anything;
// empty where there is enough.
func (r Result) Thin() string {
	if r.Builds >= r.Needed {
		return ""
	}
	return fmt.Sprintf("nothing is recommended on %d builds: %d are needed", r.Builds, r.Needed)
}

// A Rule finds one kind of thing to change. Threshold says in words when, for
// docs/history.md. Sample is an Input that this rule finds something in, and
// no other.
type Rule struct {
	Name      string
	Threshold string
	Find      func(Input) []Advice
	Sample    func() Input
}

// Rules lists every rule, in the order in which advice is given.
func Rules() []Rule { return slices.Clone(rules) }

// Of returns what in speaks for.
func Of(in Input) Result {
	r := Result{Builds: in.Tally.Builds, Needed: MinBuilds, Advice: []Advice{}}
	if r.Builds < MinBuilds {
		return r
	}
	for _, rule := range rules {
		for _, a := range rule.Find(in) {
			a.Rule = rule.Name
			r.Advice = append(r.Advice, a)
		}
	}
	return r
}
