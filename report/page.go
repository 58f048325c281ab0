package report

import (
	"time"

	"github.com/outlast-build/outlast/record"
)

// A Page is what a report tells: a run, and what is known beside its record.
type Page struct {
	Run    record.Run
	Advice []Advice
}

// An Advice is a change that the history speaks for.
type Advice struct {
	Title  string `json:"title"`  // what is wrong, in a clause
	Why    string `json:"why"`    // the evidence, in numbers
	Change string `json:"change"` // what to do, as it is typed
}

// A doc is what every format for people says of a run: sections of blocks. It
// holds texts as they came; each format makes them harmless in its own way.
type doc struct {
	title    string
	tone     tone
	lead     string
	sections []section
}

// A section has an id that is a word, and a title.
type section struct {
	id, title string
	blocks    []block
}

// A block is one of these; the others are empty.
type block struct {
	text  string    // a paragraph
	facts []fact    // a few words each, to be seen at a glance
	list  []string  // a line each
	table *table    // with at least one row
	code  []string  // lines as a program wrote them
	chart *timeline // a picture
	label string    // says what a table, a picture or lines are
}

// A fact is a value with its name.
type fact struct {
	name, value string
	tone        tone
}

// A table has as many cells in each row as heads.
type table struct {
	heads []head
	rows  [][]cell
	more  string // what was left out; empty where nothing was
}

// A head says what stands below it.
type head struct {
	name   string
	number bool // to the right
}

// A cell is a text with how it does.
type cell struct {
	text string
	tone tone
	code bool // a name for machines
}

// A tone says how something does.
type tone string

// The tones. Each has a sign, as colours alone tell nobody everything.
const (
	plain tone = ""
	good  tone = "good"
	warn  tone = "warn"
	bad   tone = "bad"
	muted tone = "muted"
)

// signs stand before what has a tone.
var signs = map[tone]string{good: "✓", warn: "!", bad: "✗"}

// tones say how a run ended.
var tones = map[record.Outcome]tone{
	record.Built: good, record.Failed: bad, record.NoSource: bad, record.NoEngine: bad, record.BadUsage: bad, record.Interrupted: warn,
}

// maxRows bounds the tables of a report: GitHub takes 1 MiB of a summary, and
// nobody reads more.
const maxRows = 100

// bounded cuts a table.
func (t *table) bounded() *table {
	if over := len(t.rows) - maxRows; over > 0 {
		t.rows, t.more = t.rows[:maxRows], count(over, "row")+" more"
	}
	return t
}

// page makes the doc of a run.
func page(p Page) doc {
	r := p.Run
	d := doc{title: title(r), tone: tones[r.Outcome], lead: headline(r)}
	why := "Why it failed"
	if r.Outcome == record.Built {
		why = "What failed on the way"
	}
	for _, s := range []section{
		{"result", "Result", result(r)},
		{"advice", "What to change", advice(p.Advice)},
		{"failures", why, failures(r)},
		{"timeline", "Where the time went", times(r)},
		{"strategy", "Strategy", strategy(r)},
		{"services", "Services", asked(r)},
		{"detours", "What was done about it", done(r)},
		{"health", "Services before the build", scorecard(r)},
		{"caches", "Caches", caches(r)},
		{"needs", "What the build needs", needs(r)},
	} {
		if len(s.blocks) > 0 {
			d.sections = append(d.sections, s)
		}
	}
	return d
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
