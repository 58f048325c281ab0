package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// Details are what a ticket about a run needs besides its record.
type Details struct {
	Versions map[string]string // by program
	Step     string            // the step that failed; empty where none did
	Log      []string          // the end of what it wrote
}

// lastLines are as many lines of the failing step as are shown with a report;
// its whole log stands beside it.
const lastLines = 40

// Diagnostics tells all that is known of a run, for people who were not there:
// how it ended, each attempt with its cause and cost, what each service
// answered, the end of the failing step, the versions of everything.
func Diagnostics(r record.Run, d Details) string {
	var b strings.Builder
	for _, l := range Summary(r) {
		fmt.Fprintln(&b, l)
	}
	section := func(head string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", head)
		for _, l := range lines {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	section("Run", run(r))
	section("Services before the build", card(r))
	section("Attempts", attempts(r))
	section("Services", services(r))
	section("Notes", r.Notes)
	if d.Step != "" {
		section("The step that failed: "+d.Step, d.Log[max(0, len(d.Log)-lastLines):])
	}
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(d.Versions)) {
		versions = append(versions, name+": "+d.Versions[name])
	}
	section("Versions", versions)
	return b.String()
}

func run(r record.Run) []string {
	lines := []string{
		"id: " + r.ID,
		"started: " + r.Started.UTC().Format(time.RFC3339),
		"took: " + round(r.Took()).String(),
		"builder: " + r.Builder,
		"strategy: " + r.Strategy,
	}
	for _, why := range r.Why {
		lines = append(lines, "why: "+why)
	}
	if r.Error != "" {
		lines = append(lines, "error: "+r.Error)
	}
	return lines
}

// card has the score and the checks that did not pass; nothing where nothing
// was assessed.
func card(r record.Run) []string {
	if len(r.Card.Categories) == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("score: %d %%", r.Card.Percent())}
	for _, c := range r.Card.Failed() {
		lines = append(lines, fmt.Sprintf("%s %s: %s", c.Name, c.Kind.Verb(), c.Detail))
	}
	return lines
}

// attempts has a line for each attempt: its strategy, its cost, its cause.
func attempts(r record.Run) []string {
	var lines []string
	for i, a := range r.Attempts {
		l := fmt.Sprintf("%d: %s, %s, %s, %d cached", i+1, a.Strategy, round(a.Ended.Sub(a.Started)), count(a.Steps, "step"), a.Cached)
		if a.Kind != fault.None {
			l += ": " + string(a.Kind)
		}
		if a.Cause != "" {
			l += ": " + a.Cause
		}
		lines = append(lines, l)
	}
	return lines
}

// services has a line for each endpoint: what it was asked, and what it
// answered.
func services(r record.Run) []string {
	var lines []string
	for _, s := range r.Services {
		l := fmt.Sprintf("%s for %s: asked %d, %d bytes", s.Endpoint, s.Serves, s.Asked, s.Bytes)
		for _, k := range fault.Kinds() {
			if n := s.Failed[k]; n > 0 {
				l += fmt.Sprintf(", %s %d", k, n)
			}
		}
		if s.GivenUp > 0 {
			l += fmt.Sprintf(", given up %d", s.GivenUp)
		}
		if s.Last != "" {
			l += "; last: " + s.Last
		}
		lines = append(lines, l)
	}
	return lines
}
