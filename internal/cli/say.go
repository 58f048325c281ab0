package cli

import (
	"fmt"
	"io"

	"github.com/containerd/console"

	"github.com/outlast-build/outlast/report"
)

// A speaker writes lines for people: what happened, then hints.
type speaker struct {
	w     io.Writer
	color bool
}

// The colours of the words that begin a line.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

func (s speaker) err(text string)     { s.line(red, "error", text) }
func (s speaker) warning(text string) { s.line(yellow, "warning", text) }
func (s speaker) hint(text string)    { s.line(cyan, "hint", text) }
func (s speaker) plain(text string)   { fmt.Fprintf(s.w, "outlast: %s\n", clean(text)) }

func (s speaker) line(color, word, text string) {
	if s.color {
		word = color + word + reset
	}
	fmt.Fprintf(s.w, "outlast: %s: %s\n", word, clean(text))
}

// clean makes what services and files say harmless to a terminal.
func clean(text string) string { return report.Visible(text) }

// terminal reports whether w is a terminal, as BuildKit's display judges.
func terminal(w io.Writer) bool {
	f, ok := w.(console.File)
	if !ok {
		return false
	}
	_, err := console.ConsoleFromFile(f)
	return err == nil
}

// colored reports whether colours may be written to w: a terminal that can,
// whose user did not say no (no-color.org).
func colored(w io.Writer, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && terminal(w)
}
