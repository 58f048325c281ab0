package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
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
	section("Services before the build", card(&r.Card))
	section("Services after the build", card(r.After))
	section("Attempts", attempts(r))
	section("Why they failed", findings(r))
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
func card(s *health.Scorecard) []string {
	if s == nil || len(s.Categories) == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("score: %d %%", s.Percent())}
	for _, c := range s.Failed() {
		lines = append(lines, fmt.Sprintf("%s %s: %s", c.Name, c.Kind.Verb(), c.Detail))
	}
	return lines
}

// attempts has a line for each attempt: its strategy, how long it waited and
// took, its cause.
func attempts(r record.Run) []string {
	var lines []string
	for i, a := range r.Attempts {
		l := fmt.Sprintf("%d: %s, ", i+1, a.Strategy)
		if a.Waited > 0 {
			l += fmt.Sprintf("waited %s, ", round(a.Waited))
		}
		l += fmt.Sprintf("took %s, %s, %d cached", round(a.Ended.Sub(a.Started)), count(a.Steps, "step"), a.Cached)
		for _, part := range []string{blame(a), cut(saying(a))} {
			if part != "" {
				l += ": " + part
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// saying is the line that tells why an attempt failed: of a command that is
// what it wrote, since its error repeats the whole command.
func saying(a record.Attempt) string {
	if a.Diagnosis != nil && a.Diagnosis.Evidence.Text != "" {
		return a.Diagnosis.Evidence.Text
	}
	return a.Cause
}

// cut leaves out the middle of what would not fit into two lines of a terminal.
func cut(s string) string {
	const most = 160
	if r := []rune(s); len(r) > most {
		return string(r[:most/2]) + " … " + string(r[len(r)-most/2:])
	}
	return s
}

// blame says in a clause what failed in an attempt; nothing where it went well.
func blame(a record.Attempt) string {
	if a.Kind == fault.None {
		return ""
	}
	d := a.Diagnosis
	if d == nil {
		return string(a.Kind)
	}
	who := d.Endpoint
	if who == "" {
		who = d.Service
	}
	return fmt.Sprintf("%s (%s)", d.Kind, who)
}

// kindOf is how an attempt failed, as far as is known.
func kindOf(a record.Attempt) fault.Kind {
	if a.Diagnosis != nil {
		return a.Diagnosis.Kind
	}
	return a.Kind
}

// findings tell of each attempt that failed what the diagnosis rests on and
// what follows from it, two lines each: for people who ask why it was tried
// again, or was not.
func findings(r record.Run) []string {
	var lines []string
	for i, a := range r.Attempts {
		d := a.Diagnosis
		if d == nil {
			continue
		}
		lines = append(lines, fmt.Sprintf("%d: %s, %s: %s", i+1, d.Service, d.Kind, remedy(d)))
		if d.Evidence.Text != "" {
			lines = append(lines, "   "+d.Evidence.Text)
		}
		if d.Answer != nil {
			lines = append(lines, "   "+answer(*d.Answer))
		}
	}
	return lines
}

// answer says what the suspected service said when it was asked again.
func answer(a diagnose.Answer) string {
	said := "answers well"
	if !a.OK {
		said = a.Kind.Verb()
	}
	return fmt.Sprintf("asked again after the failure, %s %s: %s", a.Endpoint, said, a.Detail)
}

// remedy says who can mend a failure.
func remedy(d *diagnose.Diagnosis) string {
	switch {
	case d.UserError:
		return "your own to mend, another try would not help"
	case d.Retryable && d.FallbackHelps:
		return "another try or another route can help"
	case d.Retryable:
		return "another try can help"
	case d.FallbackHelps:
		return "another route can help, another try would not"
	}
	return "no other try or route is known to help"
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
