package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// writeText writes a report for terminals and logs: no line of it obeys what
// the build said.
func writeText(w io.Writer, p Page) error {
	_, err := io.WriteString(w, page(p).text())
	return err
}

func (d doc) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n%s\n", sign(d.tone), flat(d.title), flat(d.lead))
	for _, s := range d.sections {
		fmt.Fprintf(&b, "\n%s\n%s\n", s.title, strings.Repeat("─", utf8.RuneCountInString(s.title)))
		for i, block := range s.blocks {
			if i > 0 {
				b.WriteString("\n")
			}
			block.writeText(&b)
		}
	}
	return b.String()
}

// sign is what stands before something with a tone.
func sign(t tone) string {
	if s := signs[t]; s != "" {
		return s + " "
	}
	return ""
}

// flat makes a text one line in which all is seen.
func flat(s string) string { return strings.ReplaceAll(Visible(s), "\t", " ") }

func (k block) writeText(b *strings.Builder) {
	switch {
	case k.text != "":
		fmt.Fprintf(b, "%s\n", flat(k.text))
	case len(k.facts) > 0:
		for _, f := range k.facts {
			fmt.Fprintf(b, "%-24s%s%s\n", f.name, sign(f.tone), flat(f.value))
		}
	case len(k.list) > 0:
		for _, l := range k.list {
			fmt.Fprintf(b, "- %s\n", flat(l))
		}
	case len(k.code) > 0:
		fmt.Fprintf(b, "%s:\n", flat(k.label))
		for _, l := range k.code {
			fmt.Fprintf(b, "  │ %s\n", Visible(l))
		}
	case k.chart != nil:
		for _, l := range k.chart.lines() {
			fmt.Fprintf(b, "%s\n", l)
		}
	case k.table != nil:
		k.table.text(b)
	}
}

// maxColumn bounds the width of a column; what is longer moves the rest on.
const maxColumn = 48

// text writes the table in columns.
func (t *table) text(b *strings.Builder) {
	rows := [][]string{nil}
	for _, h := range t.heads {
		rows[0] = append(rows[0], h.name)
	}
	for _, r := range t.rows {
		var row []string
		for _, c := range r {
			row = append(row, sign(c.tone)+flat(c.text))
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(t.heads))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], min(utf8.RuneCountInString(c), maxColumn))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			gap := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c)))
			if t.heads[i].number {
				c = gap + c
			} else {
				c += gap
			}
			line.WriteString(c + "  ")
		}
		if text := strings.TrimRight(line.String(), " "); text != "" {
			b.WriteString(text + "\n")
		}
	}
	if t.more != "" {
		fmt.Fprintf(b, "%s\n", t.more)
	}
}
