package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	units "github.com/docker/go-units"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/record"
)

// title names what was built, or what became of it.
func title(r record.Run) string {
	for _, i := range r.Images {
		if len(i.Tags) > 0 {
			return words[r.Outcome] + " " + i.Tags[0]
		}
	}
	return words[r.Outcome]
}

// result has how it ended, at a glance, and the images.
func result(r record.Run) []block {
	facts := []fact{
		{"outcome", string(r.Outcome), tones[r.Outcome]},
		{"took", took(r.Took()), plain},
	}
	if r.Strategy != "" {
		facts = append(facts, fact{"strategy", r.Strategy, plain})
	}
	if len(r.Card.Categories) > 0 {
		facts = append(facts, fact{"health of the services", fmt.Sprintf("%d %%", r.Card.Percent()), grade(r.Card.Percent())})
	}
	if n := len(r.Attempts); n > 0 {
		last := r.Attempts[n-1]
		facts = append(facts, fact{"attempts", fmt.Sprint(n), plain}, fact{"steps (cached)", fmt.Sprintf("%d (%d)", last.Steps, last.Cached), plain})
	}
	blocks := []block{{facts: facts}}
	if r.Error != "" {
		blocks = append(blocks, block{code: strings.Split(r.Error, "\n"), label: "The error"})
	}
	if t := images(r.Images); len(t.rows) > 0 {
		blocks = append(blocks, block{table: t.bounded(), label: "Images"})
	}
	about := &table{heads: []head{{"", false}, {"", false}}}
	for _, f := range []fact{{"run", r.ID, plain}, {"started", stamp(r.Started), plain}, {"repository", r.Context.Repo, plain}, {"branch", r.Context.Branch, plain},
		{"commit", r.Context.Commit, plain}, {"job", r.Context.Job, plain}, {"page", r.Context.URL, plain}, {"builder", r.Builder, plain}, {"outlast", r.Version, plain}} {
		if f.value != "" {
			about.rows = append(about.rows, []cell{{text: f.name}, {text: f.value, code: true}})
		}
	}
	return append(blocks, block{table: about, label: "About this run"})
}

// grade is the tone of a score, by the thresholds of the strategies.
func grade(percent int) tone {
	switch {
	case percent >= 80:
		return good
	case percent >= 60:
		return warn
	}
	return bad
}

// images has a row for each platform of each image.
func images(all []record.Image) *table {
	t := &table{heads: []head{{"image", false}, {"platform", false}, {"digest", false}, {"size", true}}}
	for _, i := range all {
		name := cmp.Or(strings.Join(i.Tags, ", "), "untagged")
		if len(i.Platforms) != 1 || i.Platforms[0].Digest != i.Digest {
			t.rows = append(t.rows, []cell{{text: name, code: len(i.Tags) > 0}, {}, {text: i.Digest, code: true}, {}})
		}
		for _, p := range i.Platforms {
			size := ""
			if p.Size > 0 {
				size = bytes(p.Size)
			}
			t.rows = append(t.rows, []cell{{text: name, code: len(i.Tags) > 0}, {text: p.Name}, {text: p.Digest, code: true}, {text: size}})
		}
	}
	return t
}

func bytes(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

func took(d time.Duration) string { return round(d).String() }

func advice(all []Advice) []block {
	var blocks []block
	for _, a := range all {
		blocks = append(blocks, block{text: a.Title + ": " + a.Why})
		if a.Change != "" {
			blocks = append(blocks, block{code: strings.Split(a.Change, "\n"), label: "The change"})
		}
	}
	return blocks
}

// failures tell of each attempt that failed who is to blame, what it rests on
// and where it happened.
func failures(r record.Run) []block {
	var blocks []block
	for i, a := range r.Attempts {
		if a.Kind == fault.None {
			continue
		}
		blocks = append(blocks, block{text: fmt.Sprintf("Attempt %d: %s", i+1, verdictOf(a))})
		if d := a.Diagnosis; d != nil {
			blocks = append(blocks, evidence(d)...)
		} else if a.Cause != "" {
			blocks = append(blocks, block{code: []string{cut(a.Cause)}, label: "The error"})
		}
		if p := a.Place; p != nil && p.Excerpt != "" {
			blocks = append(blocks, block{code: strings.Split(p.Excerpt, "\n"), label: fmt.Sprintf("%s, line %d", p.File, p.Line)})
		}
		if len(a.Log) > 0 {
			blocks = append(blocks, block{code: a.Log, label: "The last lines of the step that failed"})
		}
	}
	return blocks
}

func verdictOf(a record.Attempt) string {
	d := a.Diagnosis
	if d == nil {
		return string(a.Kind)
	}
	return blame(a) + ": " + remedy(d)
}

func evidence(d *diagnose.Diagnosis) []block {
	var blocks []block
	if d.Evidence.Text != "" {
		label := "The evidence"
		if d.Evidence.Line > 0 {
			label = fmt.Sprintf("The evidence, line %d of the step's output", d.Evidence.Line)
		}
		blocks = append(blocks, block{code: []string{d.Evidence.Text}, label: label})
	}
	if d.Hint != "" {
		blocks = append(blocks, block{text: "What to do: " + d.Hint})
	}
	return blocks
}

func strategy(r record.Run) []block {
	if len(r.Why) == 0 {
		return nil
	}
	return []block{{list: r.Why}}
}

// asked has a row for each service: what it was asked, what it answered, and
// what was done about it.
func asked(r record.Run) []block {
	t := &table{heads: []head{{"service", false}, {"serves", false}, {"asked", true}, {"failed", true}, {"given up", true}, {"bytes", true}, {"what it did", false}, {"what was done", false}}}
	for _, s := range r.Services {
		did, what, tone := "answered", "", good
		if s.Silent() || s.Worst() != fault.None && s.Worst() != fault.NotFound {
			did, what, tone = kinds(s), r.Instead(s), warn
			if s.Asked == s.Failures()+s.GivenUp {
				tone = bad
			}
		} else if s.Failures() > 0 {
			did = kinds(s)
		}
		t.rows = append(t.rows, []cell{{text: s.Endpoint, code: true}, {text: s.Serves}, {text: fmt.Sprint(s.Asked)}, {text: fmt.Sprint(s.Failures())},
			{text: fmt.Sprint(s.GivenUp)}, {text: bytes(s.Bytes)}, {text: did, tone: tone}, {text: what}})
	}
	if len(t.rows) == 0 {
		return nil
	}
	blocks := []block{{table: t.bounded(), label: "What each service answered"}}
	var last []string
	for _, s := range r.Services {
		if s.Last != "" && len(last) < maxRows {
			last = append(last, s.Endpoint+": "+cut(s.Last))
		}
	}
	if len(last) > 0 {
		blocks = append(blocks, block{code: last, label: "The last error of each"})
	}
	return blocks
}

// kinds says how a service failed, the kinds in the order of fault's table.
func kinds(s record.Service) string {
	var parts []string
	for _, k := range fault.Kinds() {
		if n := s.Failed[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s (%d)", k.Verb(), n))
		}
	}
	if len(parts) == 0 {
		return "does not answer in time"
	}
	return strings.Join(parts, ", ")
}

// done is what was done about failures, a line each.
func done(r record.Run) []block {
	lines := append(StandIns(r), stale(r)...)
	for _, n := range r.Notes {
		if len(lines) < maxRows {
			lines = append(lines, n)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []block{{list: lines}}
}

// scorecard has a row for each check.
func scorecard(r record.Run) []block {
	if len(r.Card.Categories) == 0 {
		return nil
	}
	t := &table{heads: []head{{"service", false}, {"category", false}, {"took", true}, {"needed", false}, {"what was seen", false}}}
	for _, c := range r.Card.Categories {
		if !c.Applicable() {
			t.rows = append(t.rows, []cell{{text: c.Name}, {text: c.Name}, {}, {}, {text: "not applicable", tone: muted}})
		}
		for _, k := range c.Checks {
			needed := "no"
			if k.Needed {
				needed = "yes"
			}
			t.rows = append(t.rows, []cell{{text: k.Name, code: true}, {text: c.Name}, {text: milliseconds(k.Took)}, {text: needed}, {text: verdict(r.Card, k), tone: toneOf(r.Card, k)}})
		}
	}
	score := fmt.Sprintf("The services earned %d of 100 points", r.Card.Percent())
	if r.Card.Known {
		score += fmt.Sprintf("; what this build needs, %d %%", r.Card.Deciding())
	}
	blocks := []block{{text: score + "."}, {table: t.bounded(), label: "Checks"}}
	if r.After != nil {
		blocks = append(blocks, afterwards(*r.After)...)
	}
	return blocks
}

// afterwards tells how the services were when the build had failed.
func afterwards(s health.Scorecard) []block {
	text := fmt.Sprintf("After the build they earned %d of 100 points", s.Percent())
	var lines []string
	for _, k := range s.Failed() {
		lines = append(lines, k.Name+" "+k.Kind.Verb())
	}
	if len(lines) == 0 {
		return []block{{text: text + ": all that was asked is well again."}}
	}
	return []block{{text: text + "."}, {list: lines}}
}

func toneOf(s health.Scorecard, k health.Check) tone {
	switch markOf(s, k) {
	case Well:
		return good
	case Down:
		return bad
	}
	return warn
}

// caches tell what did not have to be made again.
func caches(r record.Run) []block {
	t := &table{heads: []head{{"attempt", true}, {"steps", true}, {"from the builder's cache", true}, {"external caches", false}}}
	for i, a := range r.Attempts {
		t.rows = append(t.rows, []cell{{text: fmt.Sprint(i + 1)}, {text: fmt.Sprint(a.Steps)}, {text: fmt.Sprint(a.Cached)}, {text: cmp.Or(strings.Join(a.Caches, ", "), "none")}})
	}
	if len(t.rows) == 0 {
		return nil
	}
	return []block{{table: t.bounded(), label: "What came from caches"}}
}

func needs(r record.Run) []block {
	t := &table{heads: []head{{"line", true}, {"kind", false}, {"what", false}, {"platform", false}}}
	for _, n := range r.Needs {
		line := ""
		if n.Line > 0 {
			line = fmt.Sprint(n.Line)
		}
		t.rows = append(t.rows, []cell{{text: line}, {text: n.Kind}, {text: n.Ref, code: true}, {text: n.Platform}})
	}
	if len(t.rows) == 0 {
		return nil
	}
	return []block{{table: t.bounded(), label: "What the Dockerfile names"}}
}
