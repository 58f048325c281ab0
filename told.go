package outlast

import (
	"strings"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
)

// recorded is what a record keeps of the steps of an attempt, within its bounds.
func recorded(steps []engine.Step) []record.Step {
	var all []record.Step
	for _, s := range steps[:min(len(steps), record.MaxSteps)] {
		all = append(all, record.Step{Name: clipped(s.Name), Started: s.Started, Ended: s.Completed, Cached: s.Cached, Error: clipped(s.Error)})
	}
	return all
}

// clipped cuts a text where a record has room for no more.
func clipped(s string) string {
	if len(s) > record.MaxLine {
		return strings.ToValidUTF8(s[:record.MaxLine], "") + " …"
	}
	return s
}

// place is where in its Dockerfile an attempt failed, where the engine said so.
func (b *build) place(p plan.Plan, r engine.Result) *record.Place {
	if r.Failure == nil || r.Failure.Source == nil {
		return nil
	}
	s := r.Failure.Source
	excerpt := s.Excerpt
	if most := record.MaxLog * record.MaxLine; len(excerpt) > most {
		excerpt = strings.ToValidUTF8(excerpt[:most], "") + " …"
	}
	at := &record.Place{File: b.recipeOf(p).path, Line: s.Line, Excerpt: excerpt}
	if at.File == "" {
		at.File = s.File
	}
	return at
}

// lastLines are the end of what the failing step wrote.
func lastLines(r engine.Result) []string {
	step := r.FailedStep()
	if step == nil || len(step.Log) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimRight(string(step.Log), "\n"), "\n")
	lines = lines[max(0, len(lines)-record.MaxLog):]
	for i, l := range lines {
		lines[i] = clipped(strings.TrimRight(l, "\r"))
	}
	return lines
}

// tiers are the external caches of a plan, by name.
func tiers(caches []plan.Cache) []string {
	var all []string
	for _, c := range caches {
		all = append(all, string(c))
	}
	return all
}
