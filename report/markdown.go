package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// writeMarkdown writes a report as GitHub and GitLab read it. Values are code,
// in which nothing has a meaning; in sentences, whatever has one is escaped.
func writeMarkdown(w io.Writer, p Page) error {
	_, err := io.WriteString(w, page(p).markdown())
	return err
}

func (d doc) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s%s\n\n%s\n", sign(d.tone), escaped(d.title), escaped(d.lead))
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n### %s\n", s.title)
		for _, k := range s.blocks {
			b.WriteString("\n")
			k.markdown(&b)
		}
	}
	return b.String()
}

func (k block) markdown(b *strings.Builder) {
	switch {
	case k.text != "":
		fmt.Fprintf(b, "%s\n", escaped(k.text))
	case len(k.facts) > 0:
		t := new(table)
		var row []cell
		for _, f := range k.facts {
			t.heads = append(t.heads, head{f.name, false})
			row = append(row, cell{text: f.value, tone: f.tone})
		}
		t.rows = [][]cell{row}
		t.markdown(b)
	case len(k.list) > 0:
		for _, l := range k.list {
			fmt.Fprintf(b, "- %s\n", escaped(l))
		}
	case len(k.code) > 0:
		fmt.Fprintf(b, "%s:\n\n%s", escaped(k.label), fenced(k.code))
	case k.chart != nil:
		b.WriteString(fenced(k.chart.lines()))
	case k.table != nil:
		k.table.markdown(b)
	}
}

func (t *table) markdown(b *strings.Builder) {
	for _, h := range t.heads {
		fmt.Fprintf(b, "| %s ", h.name)
	}
	b.WriteString("|\n")
	for _, h := range t.heads {
		if h.number {
			b.WriteString("| ---: ")
		} else {
			b.WriteString("| --- ")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		for _, c := range row {
			text := escaped(c.text)
			if c.code {
				text = spanned(c.text)
			}
			fmt.Fprintf(b, "| %s%s ", sign(c.tone), text)
		}
		b.WriteString("|\n")
	}
	if t.more != "" {
		fmt.Fprintf(b, "\n%s\n", t.more)
	}
}

// meaning is what Markdown, GitHub's or GitLab's, reads as more than text.
var meaning = regexp.MustCompile("[\\\\`*_{}\\[\\]<>|~#$!@&^=]")

// leads are what makes the beginning of a line a list, a heading, a rule.
var leads = regexp.MustCompile(`^(?:[-+:]|\d+[.)](?:\s|$))`)

// links are what becomes a link by its look alone.
var links = regexp.MustCompile(`(?i)(://|www\.)`)

// escaped makes a text one line of Markdown that reads as the text.
func escaped(s string) string {
	s = strings.TrimSpace(flat(s))
	s = meaning.ReplaceAllStringFunc(s, func(m string) string {
		switch m {
		case "<", ">", "&", "@", "|":
			return fmt.Sprintf("&#%d;", m[0])
		}
		return `\` + m
	})
	s = links.ReplaceAllStringFunc(s, func(m string) string {
		if m == "://" {
			return `:\/\/`
		}
		return m[:3] + `\.`
	})
	if m := leads.FindString(s); m != "" {
		at := len(strings.TrimSpace(m)) - 1
		s = s[:at] + `\` + s[at:]
	}
	return s
}

// spanned makes a text a span of code in a cell of a table.
func spanned(s string) string {
	s = strings.TrimSpace(flat(s))
	if s == "" {
		return ""
	}
	// A pipe ends a cell in code as well; its own escape stands for it there.
	if strings.ContainsAny(s, "|\\") {
		return escaped(s)
	}
	fence := strings.Repeat("`", longest(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

// fenced makes lines a block of code.
func fenced(lines []string) string {
	n := 2
	for _, l := range lines {
		n = max(n, longest(l))
	}
	fence := strings.Repeat("`", n+1)
	var b strings.Builder
	fmt.Fprintf(&b, "%stext\n", fence)
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\n", Visible(l))
	}
	fmt.Fprintf(&b, "%s\n", fence)
	return b.String()
}

// longest is the length of the longest run of backquotes.
func longest(s string) int {
	n, run := 0, 0
	for _, r := range s {
		if r != '`' {
			run = 0
			continue
		}
		run++
		n = max(n, run)
	}
	return n
}
