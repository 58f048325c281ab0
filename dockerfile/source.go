package dockerfile

import (
	"bytes"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// source is a file whose instructions are looked at byte by byte.
type source struct {
	text   []byte
	lines  []int // where each begins
	escape byte
}

func newSource(text []byte, escape rune) source {
	s := source{text: text, lines: []int{0}, escape: byte(escape)}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// start is where a line begins, from 1.
func (s source) start(line int) int {
	if line > len(s.lines) {
		return len(s.text)
	}
	return s.lines[line-1]
}

// line is the text of a line without its end.
func (s source) line(n int) []byte {
	return bytes.TrimRight(s.text[s.start(n):s.start(n+1)], "\r\n")
}

// A piece is text of the file with the place of each byte.
type piece struct {
	text []byte
	at   []int
}

func (p *piece) add(text []byte, at int) {
	for i, c := range text {
		p.text = append(p.text, c)
		p.at = append(p.at, at+i)
	}
}

// from is what is left behind the first n bytes.
func (p piece) from(n int) piece { return piece{p.text[n:], p.at[n:]} }

// instruction returns an instruction as the parser puts it together from its
// lines, and the line behind it, where here-documents begin. Whoever edits
// compares it with what the parser says.
func (s source) instruction(n *parser.Node) (piece, int) {
	var p piece
	for l := n.StartLine; l <= max(n.EndLine, n.StartLine); l++ {
		text, at := s.line(l), s.start(l)
		trimmed := bytes.TrimLeft(text, " \t\xef\xbb\xbf")
		if l > n.StartLine && (len(bytes.TrimSpace(trimmed)) == 0 || trimmed[0] == '#') {
			continue
		}
		if l == n.StartLine {
			at += len(text) - len(trimmed)
			text = trimmed
		}
		end := bytes.TrimRight(text, " \t\r")
		goesOn := len(end) > 0 && end[len(end)-1] == s.escape && (len(end) < 2 || end[len(end)-2] != s.escape)
		if !goesOn {
			p.add(text, at)
			return p, l + 1
		}
		p.add(end[:len(end)-1], at)
	}
	return p, n.EndLine + 1
}

// body is the text of lines, each with its end.
func (s source) body(first, last int) piece {
	var p piece
	if first <= last {
		p.add(s.text[s.start(first):s.start(last+1)], s.start(first))
	}
	return p
}

// arguments goes past the instruction's name and its flags.
func (p piece) arguments() piece {
	p = p.word()
	for bytes.HasPrefix(p.text, []byte("--")) {
		p = p.word()
	}
	return p
}

// word goes past the first word, in which blanks may be quoted, and the blanks
// behind it.
func (p piece) word() piece {
	i, quote := 0, byte(0)
	for ; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' || c == '\t':
			for i < len(p.text) && (p.text[i] == ' ' || p.text[i] == '\t') {
				i++
			}
			return p.from(i)
		}
	}
	return p.from(i)
}

// same reports whether two texts are the same but for blanks.
func same(a, b []byte) bool {
	return bytes.Equal(bytes.Join(bytes.Fields(a), nil), bytes.Join(bytes.Fields(b), nil))
}
