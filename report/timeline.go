package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// A timeline is a picture of a run: a lane for each attempt, and below it one
// for each of its steps. Times count from the beginning of the run.
type timeline struct {
	span  time.Duration // never 0
	lanes []lane
}

// A lane has bars beside a name.
type lane struct {
	name    string
	attempt bool // of an attempt, else of a step
	bars    []bar
	note    string // how long it took, or how it ended
	tone    tone
}

// A bar is a time in a lane.
type bar struct {
	from, to time.Duration
	kind     barKind
}

// A barKind says what happened in the time of a bar.
type barKind string

const (
	barPrepare barKind = "prepare" // the services are measured, a builder is found
	barWait    barKind = "wait"    // before another attempt
	barAttempt barKind = "attempt"
	barRun     barKind = "run"
	barCached  barKind = "cached"
	barFailed  barKind = "failed"
)

// maxLanes bounds the steps of an attempt that are drawn: the longest, and
// those that failed.
const maxLanes = 40

// maxAttempts bounds the attempts that are drawn.
const maxAttempts = 20

func times(r record.Run) []block {
	t := timelineOf(r)
	if len(t.lanes) == 0 {
		return nil
	}
	return []block{{chart: &t, label: "Attempts and steps over time"}}
}

// timelineOf places what a record tells in time.
func timelineOf(r record.Run) timeline {
	t := timeline{span: max(r.Took(), time.Millisecond)}
	if len(r.Attempts) == 0 {
		return t
	}
	if before := r.Attempts[0].Started.Sub(r.Started); before > t.span/200 {
		t.lanes = append(t.lanes, lane{name: "measuring the services, finding a builder", attempt: true, note: took(before),
			bars: []bar{{0, t.within(before), barPrepare}}})
	}
	for i, a := range r.Attempts[:min(len(r.Attempts), maxAttempts)] {
		t.attempt(r, i, a)
	}
	return t
}

func (t *timeline) within(d time.Duration) time.Duration { return min(max(d, 0), t.span) }

func (t *timeline) attempt(r record.Run, i int, a record.Attempt) {
	from, to := a.Started.Sub(r.Started), a.Ended.Sub(r.Started)
	l := lane{name: fmt.Sprintf("attempt %d, %s", i+1, a.Strategy), attempt: true, note: took(a.Ended.Sub(a.Started)), tone: good}
	if a.Waited > 0 {
		l.bars = append(l.bars, bar{t.within(from - a.Waited), t.within(from), barWait})
	}
	kind := barAttempt
	if a.Kind != fault.None {
		kind, l.tone = barFailed, bad
		l.note += ", " + string(kindOf(a))
	}
	l.bars = append(l.bars, bar{t.within(from), t.within(to), kind})
	t.lanes = append(t.lanes, l)
	shift := from - skew(a)
	chosen := choose(a.Ran)
	for _, s := range chosen {
		t.lanes = append(t.lanes, t.step(s, a, shift, t.within(to)))
	}
	if left := len(a.Ran) - len(chosen); left > 0 {
		t.lanes = append(t.lanes, lane{name: fmt.Sprintf("and %s more, shorter than these", count(left, "step")), tone: muted})
	}
}

// skew is what has to be taken from the steps' times, counted from the
// attempt's beginning: 0, unless the engine's clock is another than ours.
func skew(a record.Attempt) time.Duration {
	first := time.Duration(0)
	for i, s := range a.Ran {
		if d := s.Started.Sub(a.Started); !s.Started.IsZero() && (i == 0 || d < first) {
			first = d
		}
	}
	if first < -time.Second || first > a.Ended.Sub(a.Started) {
		return first
	}
	return 0
}

// step is the lane of a step. One that did not end was stopped with its
// attempt.
func (t *timeline) step(s record.Step, a record.Attempt, shift, end time.Duration) lane {
	l := lane{name: s.Name, note: took(s.Took())}
	if s.Started.IsZero() {
		l.note, l.tone = "not begun", muted
		if s.Cached {
			l.note = "cached"
		}
		return l
	}
	from := t.within(s.Started.Sub(a.Started) + shift)
	b := bar{from, end, barRun}
	if !s.Ended.IsZero() {
		b.to = min(max(t.within(s.Ended.Sub(a.Started)+shift), from), end)
	} else {
		l.note = "stopped"
	}
	switch {
	case s.Error != "":
		b.kind, l.tone = barFailed, bad
		l.note += ", failed"
	case s.Cached:
		b.kind, l.tone, l.note = barCached, muted, "cached"
	}
	l.bars = []bar{b}
	return l
}

// choose picks the steps to draw, in their order: all of them where there is
// room, else those that failed and the longest.
func choose(all []record.Step) []record.Step {
	if len(all) <= maxLanes {
		return all
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if f := failedFirst(all[a]) - failedFirst(all[b]); f != 0 {
			return f
		}
		return int(all[b].Took().Milliseconds() - all[a].Took().Milliseconds())
	})
	order = order[:maxLanes]
	slices.Sort(order)
	var some []record.Step
	for _, i := range order {
		some = append(some, all[i])
	}
	return some
}

func failedFirst(s record.Step) int {
	if s.Error != "" {
		return 0
	}
	return 1
}

// tells says in a sentence what the picture shows, for who cannot see it.
func (t timeline) tells() string {
	n, steps, bads := 0, 0, 0
	for _, l := range t.lanes {
		switch {
		case !l.attempt && len(l.bars) > 0:
			steps++
		case l.attempt && l.bars[len(l.bars)-1].kind != barPrepare:
			n++
			if l.tone == bad {
				bads++
			}
		}
	}
	return fmt.Sprintf("%s in %s, of which %d failed, with %s; the table below has the same in words.", count(n, "attempt"), took(t.span), bads, count(steps, "step"))
}

// table has the same as the picture.
func (t timeline) table() *table {
	out := &table{heads: []head{{"what", false}, {"began after", true}, {"took", false}}}
	for _, l := range t.lanes {
		began := ""
		if len(l.bars) > 0 {
			began = took(l.bars[len(l.bars)-1].from)
		}
		out.rows = append(out.rows, []cell{{text: l.name, code: !l.attempt}, {text: began}, {text: l.note, tone: l.tone}})
	}
	return out
}

// What a timeline takes where only letters can be drawn.
const (
	nameColumns = 42
	barColumns  = 30
)

// letters are what stands for the time of a bar.
var letters = map[barKind]rune{barPrepare: '·', barWait: '·', barAttempt: '━', barRun: '█', barCached: '▒', barFailed: '█'}

// lines draws the timeline in letters.
func (t timeline) lines() []string {
	var lines []string
	for _, l := range t.lanes {
		row := []rune(strings.Repeat(" ", barColumns))
		for _, b := range l.bars {
			from := min(int(int64(barColumns)*int64(b.from)/int64(t.span)), barColumns-1)
			to := min(max(int(int64(barColumns)*int64(b.to)/int64(t.span)), from+1), barColumns)
			for i := from; i < to; i++ {
				row[i] = letters[b.kind]
			}
		}
		name := Visible(l.name)
		if !l.attempt {
			name = "  " + name
		}
		sign := signs[l.tone]
		if sign == "" {
			sign = " "
		}
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s %s ▏%s▕ %s", sign, padded(clip(name, nameColumns), nameColumns), string(row), l.note), " "))
	}
	return lines
}

// clip leaves out the middle of what is longer than n letters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-n/3-1]) + "…" + string(r[len(r)-n/3:])
}

func padded(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}
