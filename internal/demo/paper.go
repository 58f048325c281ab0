package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// columns are what the narrowest terminal has.
const columns = 80

// The colours, by what they say.
const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	good  = "\x1b[32m"
	bad   = "\x1b[31m"
	plain = "\x1b[0m"
)

// A paper is what the demo writes on, at most columns wide.
type paper struct {
	w     io.Writer
	color bool
	acts  int
}

func newPaper(w io.Writer, color bool) *paper { return &paper{w: w, color: color} }

func (p *paper) paint(color, text string) string {
	if !p.color || color == "" || text == "" {
		return text
	}
	return color + text + plain
}

func (p *paper) title(text string) {
	fmt.Fprintf(p.w, "%s\n", p.paint(bold, text))
}

// act begins a part of the story.
func (p *paper) act(title string) {
	p.acts++
	fmt.Fprintf(p.w, "\n%s\n\n", p.paint(bold, fmt.Sprintf("%d. %s", p.acts, title)))
}

// text writes a paragraph.
func (p *paper) text(format string, args ...any) {
	for _, line := range wrap(fmt.Sprintf(format, args...), columns-3) {
		fmt.Fprintf(p.w, "   %s\n", line)
	}
}

func (p *paper) gap() { fmt.Fprintln(p.w) }

// lines writes what stands in a file, or a table, as it is.
func (p *paper) lines(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(p.w, "     %s\n", p.paint(dim, cut(strings.TrimRight(line, "\n"), columns-5)))
	}
}

// command writes a command as it is run, broken before its flags where it is
// long.
func (p *paper) command(words ...string) {
	line, begun := "   $", false
	for i := 0; i < len(words); i++ {
		word := words[i]
		if i+1 < len(words) && strings.HasPrefix(word, "-") && !strings.HasPrefix(words[i+1], "-") {
			i++
			word += " " + words[i]
		}
		if begun && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns-2 {
			fmt.Fprintln(p.w, p.paint(bold, line+" \\"))
			line = "      "
		}
		line, begun = line+" "+word, true
	}
	fmt.Fprintln(p.w, p.paint(bold, line))
}

// verdict writes how something ended.
func (p *paper) verdict(ok bool, format string, args ...any) {
	mark, color := "x", bad
	if ok {
		mark, color = "+", good
	}
	for i, line := range wrap(fmt.Sprintf(format, args...), columns-5) {
		if i > 0 {
			mark = " "
		}
		fmt.Fprintf(p.w, "   %s\n", p.paint(color, mark+" "+line))
	}
}

// result writes a line of a table, with a mark.
func (p *paper) result(ok bool, what, how string) {
	mark, color := "x", bad
	if ok {
		mark, color = "+", good
	}
	fmt.Fprintf(p.w, "   %s\n", p.paint(color, cut(fmt.Sprintf("%s %-32s %s", mark, what, how), columns-3)))
}

// wrap breaks text into lines of at most width characters: at spaces, and in a
// word where that alone is longer.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for utf8.RuneCountInString(line) > width {
			runes := []rune(line)
			lines, line = append(lines, string(runes[:width])), string(runes[width:])
		}
	}
	return append(lines, line)
}

// cut ends what is too long with dots.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-3]) + "..."
}
