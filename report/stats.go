package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/outlast-build/outlast/advise"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

// Numbers are what a history tells of a span of days, and what it speaks for.
// As JSON they are the interface for programs.
type Numbers struct {
	stats.Summary
	Advice advise.Result `json:"advice"`
}

// numbers is every format of Numbers.
var numbers = []struct {
	name  string
	write func(io.Writer, Numbers) error
}{
	{"text", func(w io.Writer, n Numbers) error { _, err := io.WriteString(w, n.doc().text()); return err }},
	{"json", func(w io.Writer, n Numbers) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(n)
	}},
	{"md", func(w io.Writer, n Numbers) error { _, err := io.WriteString(w, n.doc().markdown()); return err }},
}

// NumberFormats lists the names of the formats of Numbers.
func NumberFormats() []string {
	var names []string
	for _, f := range numbers {
		names = append(names, f.name)
	}
	return names
}

// Write writes n in one of the NumberFormats.
func (n Numbers) Write(w io.Writer, format string) error {
	for _, f := range numbers {
		if f.name == format {
			return f.write(w, n)
		}
	}
	return fmt.Errorf("format %s: known are %s", format, strings.Join(NumberFormats(), ", "))
}

func (n Numbers) doc() doc {
	d := doc{title: "No builds yet", lead: "outlast build and outlast check keep a record of each run."}
	if n.Since != "" {
		d.title = fmt.Sprintf("%s, %s", count(n.Builds, "build"), count(n.Checks, "check"))
		d.lead = fmt.Sprintf("%s to %s (days of UTC)", n.Since, n.Until)
	}
	for _, s := range []section{
		{"outcomes", "How builds ended", n.outcomes()},
		{"strategies", "Strategies", n.strategies()},
		{"outages", "Outages", n.outages()},
		{"retries", "Further attempts", n.retries()},
		{"caches", "Caches", n.caches()},
		{"services", "Services and mirrors", n.services()},
		{"trend", "Health of the services", n.trend()},
		{"advice", "What to change", adviceBlocks(n.Advice)},
	} {
		if len(s.blocks) > 0 {
			d.sections = append(d.sections, s)
		}
	}
	return d
}

func (n Numbers) outcomes() []block {
	var facts []fact
	for _, o := range []record.Outcome{record.Built, record.Failed, record.NoSource, record.NoEngine, record.BadUsage, record.Interrupted} {
		if c := n.Outcomes[o]; c > 0 {
			facts = append(facts, fact{string(o), strconv.Itoa(c), tones[o]})
		}
	}
	if len(facts) == 0 {
		return nil
	}
	return []block{{facts: facts}}
}

func (n Numbers) strategies() []block {
	t := &table{heads: []head{{"strategy", false}, {"builds", true}, {"built", true}, {"lost", true}, {"user's", true}, {"success", true}, {"median", true}, {"p90", true}}}
	for _, s := range n.Strategies {
		success := "-"
		if s.Built+s.Lost > 0 {
			success = share(s.Success)
		}
		t.rows = append(t.rows, []cell{{text: s.Strategy}, number(s.Builds), number(s.Built), number(s.Lost), number(s.Users), {text: success}, {text: ms(s.Median)}, {text: ms(s.P90)}})
	}
	return tabled(t, "Builds by the strategy of their last attempt; success is of those that were not ended by a mistake in them")
}

func (n Numbers) outages() []block {
	o := n.Outages
	if o.Met == 0 {
		return nil
	}
	return []block{
		{facts: []fact{{"builds that met one", strconv.Itoa(o.Met), plain}, {"built all the same", strconv.Itoa(o.Survived), plain}, {"builds saved", strconv.Itoa(o.Saved), good},
			{"attempts saved", strconv.Itoa(o.AttemptsSaved), good}, {"attempts lost", strconv.Itoa(o.AttemptsLost), plain}}},
		{text: "Saved are builds that were built although an origin answered nothing, a tag could not be confirmed, or an attempt was lost to a service."},
	}
}

func (n Numbers) retries() []block {
	t := &table{heads: []head{{"after", false}, {"tried", true}, {"helped", true}, {"share", true}, {"spent in vain", true}}}
	for _, r := range n.Retries {
		t.rows = append(t.rows, []cell{{text: string(r.After)}, number(r.Tried), number(r.Helped), {text: share(float64(r.Helped) / float64(max(1, r.Tried)))}, {text: ms(r.Spent)}})
	}
	return tabled(t, "Further attempts, by what failed before")
}

func (n Numbers) caches() []block {
	t := &table{heads: []head{{"tier", false}, {"attempts", true}, {"steps found", true}, {"median", true}, {"saves", true}}}
	for _, c := range n.Caches {
		saves := "-"
		if c.Saves != 0 {
			saves = ms(c.Saves)
		}
		t.rows = append(t.rows, []cell{{text: c.Tier}, number(c.Attempts), {text: share(c.Hits)}, {text: ms(c.Median)}, {text: saves}})
	}
	return tabled(t, "Attempts that succeeded, by the external caches that they used; saved is of the median, against those without")
}

func (n Numbers) services() []block {
	t := &table{heads: []head{{"service", false}, {"for", false}, {"builds", true}, {"requests", true}, {"failed", true}, {"available", true}, {"median", true}, {"p90", true}, {"bytes", true}}}
	for _, s := range n.Services {
		failed := 0
		for k, c := range s.Failed {
			if k.Blames() {
				failed += c
			}
		}
		name := s.Endpoint
		if s.Origin {
			name += " (origin)"
		}
		t.rows = append(t.rows, []cell{{text: name}, {text: s.Serves}, number(s.Builds), number(s.Asked), number(failed), {text: share(s.Availability), tone: availability(s.Availability)},
			{text: ms(s.Median)}, {text: ms(s.P90)}, {text: bytes(s.Bytes)}})
	}
	return tabled(t, "What each answered, in builds and checks; times are until the head of an answer")
}

func availability(a float64) tone {
	switch {
	case a >= 0.99:
		return plain
	case a >= 0.8:
		return warn
	}
	return bad
}

func (n Numbers) trend() []block {
	t := &table{heads: []head{{"day", false}, {"builds", true}, {"built", true}, {"lost", true}, {"score", true}, {"least", true}}}
	for _, d := range n.Trend {
		score, least := "-", "-"
		if d.Scored > 0 {
			score, least = fmt.Sprintf("%.0f%%", d.Mean), fmt.Sprintf("%d%%", d.Least)
		}
		t.rows = append(t.rows, []cell{{text: d.Day}, number(d.Builds), number(d.Built), number(d.Lost), {text: score}, {text: least}})
	}
	if over := len(t.rows) - maxRows; over > 0 {
		t.rows, t.more = t.rows[over:], count(over, "earlier day")+" more"
	}
	return tabled(t, "The mean and the least score, day by day")
}

// adviceBlocks are what a history speaks for, or how much is missing.
func adviceBlocks(r advise.Result) []block {
	switch {
	case r.Thin() != "":
		return []block{{text: r.Thin() + "."}}
	case len(r.Advice) == 0:
		return []block{{text: fmt.Sprintf("Nothing: %s speak for no change.", count(r.Builds, "build"))}}
	}
	return advice(AdviceOf(r))
}

// AdviceOf is the advice of a history, for a page.
func AdviceOf(r advise.Result) []Advice {
	var all []Advice
	for _, a := range r.Advice {
		all = append(all, Advice{Title: a.Title, Why: a.Why, Change: a.Change})
	}
	return all
}

// WriteAdvice writes advice alone, as text.
func WriteAdvice(w io.Writer, r advise.Result) error {
	for i, a := range r.Advice {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := fmt.Fprintf(w, "%s\n  why:    %s\n  change: %s\n", flat(a.Title), flat(a.Why), flat(a.Change)); err != nil {
			return err
		}
	}
	if len(r.Advice) > 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, strings.TrimSuffix(adviceBlocks(r)[0].text, "."))
	return err
}

func tabled(t *table, label string) []block {
	if len(t.rows) == 0 {
		return nil
	}
	return []block{{table: t.bounded(), label: label}}
}

func number(n int) cell { return cell{text: strconv.Itoa(n)} }

func share(of float64) string { return fmt.Sprintf("%.1f%%", 100*of) }

func ms(n int64) string { return took(time.Duration(n) * time.Millisecond) }
