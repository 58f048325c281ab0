// Package report renders the record of a run. It computes nothing that the
// record does not say, and writes no secrets, since records hold none.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/record"
)

// Summary returns the few lines that stand at the end of a build: how it
// ended, each attempt where there were several, and a line for each image that
// another one stood in for and for each service that failed on the way.
func Summary(r record.Run) []string {
	lines := []string{headline(r)}
	if len(r.Attempts) > 1 {
		for _, l := range attempts(r) {
			lines = append(lines, "attempt "+l)
		}
	}
	lines = append(lines, StandIns(r)...)
	lines = append(lines, r.Detours()...)
	return append(lines, stale(r)...)
}

// stale has a line for each answer that nobody could confirm.
func stale(r record.Run) []string {
	var lines []string
	for _, s := range r.Stale {
		lines = append(lines, fmt.Sprintf("%s is stale: nobody could confirm the answer of %s", s.Name, s.Good.UTC().Format("2006-01-02 15:04 MST")))
	}
	return lines
}

// StandIns returns a line for each image that another one stood in for.
func StandIns(r record.Run) []string {
	var lines []string
	for _, ref := range slices.Sorted(maps.Keys(r.Substitutes)) {
		lines = append(lines, fmt.Sprintf("%s stands in for %s, which no source has", r.Substitutes[ref], ref))
	}
	return lines
}

func headline(r record.Run) string {
	var parts []string
	for _, i := range r.Images {
		what := short(i.Digest)
		if len(i.Tags) > 0 {
			what = strings.Join(i.Tags, ", ") + " (" + what + ")"
		}
		parts = append(parts, what)
	}
	head := words[r.Outcome]
	if len(parts) > 0 {
		head += " " + strings.Join(parts, ", ")
	}
	return fmt.Sprintf("%s in %s; %s", head, round(r.Took()), strings.Join(details(r), ", "))
}

// words say how a run ended.
var words = map[record.Outcome]string{
	record.Built:       "built",
	record.Failed:      "the build failed",
	record.NoSource:    "services failed and no source was left",
	record.NoEngine:    "no usable engine",
	record.BadUsage:    "not started",
	record.Interrupted: "interrupted",
	record.Checked:     "the services were checked",
}

func details(r record.Run) []string {
	var all []string
	if r.Strategy != "" {
		all = append(all, "strategy "+r.Strategy)
	}
	if n := len(r.Attempts); n > 0 {
		last := r.Attempts[n-1]
		all = append(all, count(last.Steps, "step"), fmt.Sprintf("%d cached", last.Cached))
		if n > 1 {
			all = append(all, count(n, "attempt"))
		}
	}
	return all
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func short(digest string) string {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok || len(hex) < 12 {
		return digest
	}
	return algorithm + ":" + hex[:12]
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
