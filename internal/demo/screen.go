package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A screen shows what a build prints, by the lines that matter: each step
// once, errors, and what outlast says. Full shows all of it.
type screen struct {
	paper *paper
	net   *network
	full  bool
	seen  map[string]bool
	ended bool // a step has failed: those that follow are listed and do not run
	left  int  // lines left out
}

func newScreen(p *paper, n *network, full bool) *screen {
	return &screen{paper: p, net: n, full: full, seen: make(map[string]bool)}
}

var (
	stepLine = regexp.MustCompile(`^#\d+ (\[.*)`)
	failLine = regexp.MustCompile(`^ERROR: `)
	brokeOff = regexp.MustCompile(`^#\d+ ERROR: `)
	digests  = regexp.MustCompile(`sha256:([0-9a-f]{6})[0-9a-f]{58}`)
)

// show writes a line that came after some time, if it matters.
func (s *screen) show(at time.Duration, line string) {
	text, color := s.matters(line)
	if text == "" && !s.full {
		s.left++
		return
	}
	if text == "" {
		text = line
	}
	stamp := fmt.Sprintf("%5.1fs ", at.Seconds())
	for i, part := range wrapOrCut(text, columns-3-len(stamp), color != "") {
		if i > 0 {
			stamp = strings.Repeat(" ", len(stamp))
		}
		fmt.Fprintf(s.paper.w, "   %s%s\n", s.paper.paint(dim, stamp), s.paper.paint(color, part))
	}
}

// matters returns what to show of a line, with its colour, or "".
func (s *screen) matters(line string) (text, color string) {
	switch {
	case strings.HasPrefix(line, "outlast: "):
		text, color = s.named(line), good
		if strings.Contains(line, "error") {
			color = bad
		}
	case failLine.MatchString(line):
		text, color = line, bad
	case brokeOff.MatchString(line):
		s.ended = true
		return "", ""
	case stepLine.MatchString(line) && !s.ended:
		text = stepLine.FindStringSubmatch(line)[1]
		if strings.HasPrefix(text, "[internal]") {
			return "", ""
		}
		if strings.HasPrefix(text, "[outlast]") {
			text, color = s.named(text), good
		}
	default:
		return "", ""
	}
	text = digests.ReplaceAllString(text, "sha256:$1...")
	if s.seen[text] {
		return "", ""
	}
	s.seen[text] = true
	return text, color
}

// named says whose address stands in a line. The lines of the summary name who
// served instead, and say enough.
func (s *screen) named(text string) string {
	if names := s.net.who(text); len(names) == 1 && !strings.Contains(text, " requests)") {
		return text + " (" + names[0] + ")"
	}
	return text
}

// wrapOrCut makes lines of text: what is said in colour is said whole.
func wrapOrCut(text string, width int, whole bool) []string {
	if whole {
		return wrap(text, width)
	}
	return []string{cut(strings.ReplaceAll(text, "\t", " "), width)}
}

// end says how much was left out.
func (s *screen) end() {
	if s.left > 0 {
		s.paper.lines(fmt.Sprintf("(%d lines of progress left out: make demo FULL=1 shows all)", s.left))
	}
}
