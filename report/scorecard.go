package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// A Mark says in a sign how a service does.
type Mark string

// The marks, from well to down.
const (
	Well    Mark = "✅"
	Unasked Mark = "➖" // not applicable
	Uneasy  Mark = "⚠️"
	Down    Mark = "❌" // and the build needs it
)

// A Line is a line about a service.
type Line struct {
	Mark Mark
	Text string
}

// Scorecard returns a line for each check of a card, and one for all names
// where all of them are well.
func Scorecard(s health.Scorecard) []Line {
	var lines []Line
	for _, c := range s.Categories {
		switch {
		case !c.Applicable():
			lines = append(lines, Line{Unasked, c.Name + ": not applicable"})
			continue
		case c.Name == health.Names:
			lines = append(lines, names(s, c)...)
			continue
		}
		for _, k := range c.Checks {
			lines = append(lines, Line{markOf(s, k), before[c.Name] + k.Name + after(c, k) + " " + verdict(s, k)})
		}
	}
	return lines
}

// before stands before the names of a category's checks, where those alone
// would not tell what they are.
var before = map[string]string{health.GoProxies: "Go proxy ", health.Mirrors: "mirror "}

// after says what a check is for, where its name alone does not.
func after(c health.Category, k health.Check) string {
	switch {
	case c.Name == health.Mirrors:
		return " of " + k.For
	case c.Name == health.Internet && k.For != "":
		return " (for " + k.For + ")"
	}
	return ""
}

// names folds the names that resolve into a line, and those that fail alike:
// there are many, and they are one service.
func names(s health.Scorecard, c health.Category) []Line {
	var lines []Line
	var failed []health.Check
	for _, k := range c.Checks {
		if !k.OK {
			failed = append(failed, k)
		}
	}
	for _, mark := range []Mark{Down, Uneasy} {
		var details []string
		for _, k := range failed {
			if markOf(s, k) == mark && !slices.Contains(details, k.Detail) {
				details = append(details, k.Detail)
			}
		}
		for _, detail := range details {
			var hosts []string
			for _, k := range failed {
				if markOf(s, k) == mark && k.Detail == detail {
					hosts = append(hosts, k.Name)
				}
			}
			lines = append(lines, Line{mark, fmt.Sprintf("DNS does not resolve %s: %s", strings.Join(hosts, ", "), detail)})
		}
	}
	switch all, well := len(c.Checks), len(c.Checks)-len(failed); {
	case well == 0:
		return lines
	case well < all:
		return append(lines, Line{Well, fmt.Sprintf("DNS resolves the other %d of %d names", well, all)})
	case all == 1:
		return []Line{{Well, "DNS resolves " + c.Checks[0].Name + " (" + milliseconds(c.Checks[0].Took) + ")"}}
	default:
		return []Line{{Well, fmt.Sprintf("DNS resolves all %d names (%s)", all, milliseconds(slowest(c.Checks)))}}
	}
}

func slowest(checks []health.Check) time.Duration {
	var d time.Duration
	for _, k := range checks {
		d = max(d, k.Took)
	}
	return d
}

func markOf(s health.Scorecard, k health.Check) Mark {
	switch {
	case k.OK && k.Kind == fault.None:
		return Well
	case !k.OK && s.Known && k.Needed:
		return Down
	}
	return Uneasy
}

func verdict(s health.Scorecard, k health.Check) string {
	switch {
	case k.OK && k.Kind == fault.None:
		return "responsive (" + milliseconds(k.Took) + ")"
	case k.OK:
		return fmt.Sprintf("responsive (%s), and %s: %s", milliseconds(k.Took), k.Kind.Verb(), k.Detail)
	case s.Known && k.Needed:
		return fmt.Sprintf("%s, and the build needs it: %s", k.Kind.Verb(), k.Detail)
	}
	return fmt.Sprintf("may be experiencing issues: %s: %s", k.Kind.Verb(), k.Detail)
}

func milliseconds(d time.Duration) string {
	return d.Round(time.Millisecond).String()
}

// Score returns the two lines at the end of an assessment.
func Score(s health.Scorecard, strategy string) []string {
	percent := s.Percent()
	health := fmt.Sprintf("health: %d%%", percent)
	if s.Known {
		health = fmt.Sprintf("health of what the build needs: %d%%", s.Deciding())
	}
	return []string{
		fmt.Sprintf("Infrastructure health score: %d/100 (%d%%)", percent, percent),
		fmt.Sprintf("Using %s strategy (%s)", strings.ToUpper(strategy), health),
	}
}

// A ScorecardJSON is a card for programs. Its names are part of the interface.
type ScorecardJSON struct {
	Score      int            `json:"score"` // of Max: what is not applicable is taken out and the rest scaled
	Max        int            `json:"max"`
	Percent    int            `json:"percent"`
	Needed     *int           `json:"needed_percent,omitempty"` // of what the build needs; where there is a Dockerfile
	Strategy   string         `json:"strategy"`
	Taken      time.Time      `json:"taken"`
	Took       int64          `json:"took_ms"`
	Categories []CategoryJSON `json:"categories"`
}

// A CategoryJSON is a category of a ScorecardJSON. Its points are those of the
// settings, before they are scaled.
type CategoryJSON struct {
	Name       string      `json:"name"`
	Points     float64     `json:"points"`
	Max        float64     `json:"max"`
	Applicable bool        `json:"applicable"`
	Checks     []CheckJSON `json:"checks"`
}

// A CheckJSON is a check of a CategoryJSON.
type CheckJSON struct {
	Name   string     `json:"name"`
	Target string     `json:"target"`
	For    string     `json:"for,omitempty"`
	OK     bool       `json:"ok"`
	Needed bool       `json:"needed"`
	Took   int64      `json:"took_ms"`
	Kind   fault.Kind `json:"kind"`
	Detail string     `json:"detail"`
}

// ScorecardOf returns a card for programs.
func ScorecardOf(s health.Scorecard, strategy string) ScorecardJSON {
	j := ScorecardJSON{Score: s.Percent(), Max: 100, Percent: s.Percent(), Strategy: strategy,
		Taken: s.Taken.UTC(), Took: s.Took.Milliseconds(), Categories: []CategoryJSON{}}
	if s.Known {
		needed := s.Deciding()
		j.Needed = &needed
	}
	for _, c := range s.Categories {
		category := CategoryJSON{c.Name, cents(c.Earned()), cents(c.Points), c.Applicable(), []CheckJSON{}}
		for _, k := range c.Checks {
			category.Checks = append(category.Checks, CheckJSON{k.Name, k.Target, k.For, k.OK, k.Needed, k.Took.Milliseconds(), k.Kind, k.Detail})
		}
		j.Categories = append(j.Categories, category)
	}
	return j
}

// cents rounds points: a third of thirty is ten.
func cents(points float64) float64 { return math.Round(100*points) / 100 }
