package dockerfile

import (
	"path"
	"strings"
)

// A call is one simple command of a shell script: its words without quotes,
// variables left as they are.
type call []string

// name returns the base name of the program.
func (c call) name() string { return path.Base(strings.ReplaceAll(c[0], `\`, "/")) }

// maxNesting bounds how deep scripts within scripts are followed:
// sh -c '… $( … ) …'.
const maxNesting = 8

// calls splits a shell script into its simple commands: those of lists, pipes,
// groups, loops, substitutions and of sh -c. It is no interpreter: what a
// script computes, it does not see. It takes time linear in the script, times
// the depth of nesting.
func calls(script string) []call {
	var all []call
	s := scanner{text: script}
	s.scan(0, &all, 0)
	return all
}

// scanner goes through a script once. Words collect in words until a command
// ends.
type scanner struct {
	text  string
	at    int
	words []string
	word  strings.Builder
	open  bool     // a word has begun, even if it is empty so far: ""
	docs  []string // delimiters of here-documents whose bodies follow the line

	// What follows is for those who want to know where commands stand.
	starts []int       // of words
	begun  int         // where the open word begins
	joint  joint       // how the command is joined to others
	inner  bool        // of a substitution
	spot   func(*spot) // told each command; nil: nobody is
}

// scan reads commands up to the end, or past closer if that is not 0. A
// closing bracket of a group within does not count.
func (s *scanner) scan(closer byte, all *[]call, depth int) {
	groups := 0
	for s.at < len(s.text) {
		c := s.text[s.at]
		if c == closer && closer != 0 && groups == 0 {
			s.at++
			break
		}
		switch c {
		case '\\':
			s.escape()
		case '\'':
			s.single()
		case '"':
			s.double(all, depth)
		case '`':
			s.at++
			s.nested('`', all, depth)
		case '$':
			s.dollar(all, depth)
		case ' ', '\t', '\r':
			s.at++
			s.endWord()
		case '\n':
			s.at++
			s.endCommand(all, depth)
			s.skipDocs()
		case '(':
			s.at++
			groups++
			s.endCommand(all, depth)
		case ')':
			s.at++
			groups = max(0, groups-1)
			s.endCommand(all, depth)
		case ';', '&', '|':
			s.operator()
			s.endCommand(all, depth)
		case '#':
			if s.open {
				s.put(c)
				continue
			}
			s.skipLine()
		case '<', '>':
			s.redirect()
		default:
			s.put(c)
		}
	}
	s.endCommand(all, depth)
}

func (s *scanner) put(c byte) {
	s.begin(s.at)
	s.word.WriteByte(c)
	s.at++
}

// begin opens a word, if none is open, at a place.
func (s *scanner) begin(at int) {
	if !s.open {
		s.begun = at
	}
	s.open = true
}

// escape takes the byte after a backslash as it is; a line end vanishes.
func (s *scanner) escape() {
	s.at++
	if s.at >= len(s.text) {
		return
	}
	if s.text[s.at] == '\n' {
		s.at++
		return
	}
	s.put(s.text[s.at])
}

func (s *scanner) single() {
	s.begin(s.at)
	s.at++
	end := strings.IndexByte(s.text[s.at:], '\'')
	if end < 0 {
		end = len(s.text) - s.at
	}
	s.word.WriteString(s.text[s.at : s.at+end])
	s.at = min(s.at+end+1, len(s.text))
}

func (s *scanner) double(all *[]call, depth int) {
	s.begin(s.at)
	s.at++
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			s.at++
			return
		case '\\':
			s.escape()
		case '`':
			s.at++
			s.nested('`', all, depth)
		case '$':
			s.dollar(all, depth)
		default:
			s.put(s.text[s.at])
		}
	}
}

// dollar reads $( … ) as a script of its own, and everything else as text.
func (s *scanner) dollar(all *[]call, depth int) {
	if !strings.HasPrefix(s.text[s.at:], "$(") || strings.HasPrefix(s.text[s.at:], "$((") {
		s.put('$')
		return
	}
	s.at += len("$(")
	s.nested(')', all, depth)
}

// nested reads a substitution. It leaves a mark in the word that holds it, so
// that nobody takes the rest of the word for the whole.
func (s *scanner) nested(closer byte, all *[]call, depth int) {
	s.begin(s.at)
	s.word.WriteByte('$')
	if depth >= maxNesting {
		end := strings.IndexByte(s.text[s.at:], closer)
		if end < 0 {
			end = len(s.text) - s.at - 1
		}
		s.at += end + 1
		return
	}
	inner := scanner{text: s.text, at: s.at, inner: true, spot: s.spot}
	inner.scan(closer, all, depth+1)
	s.at = inner.at
}

// redirect drops redirections and their targets, and notes here-documents.
func (s *scanner) redirect() {
	if w := s.word.String(); s.open && strings.Trim(w, "0123456789") == "" {
		s.word.Reset() // 2>
		s.open = false
	}
	s.endWord()
	start := s.at
	for s.at < len(s.text) && strings.IndexByte("<>&|-", s.text[s.at]) >= 0 {
		s.at++
	}
	operator := s.text[start:s.at]
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
	if strings.HasSuffix(operator, "&-") || operator == "<(" || s.at < len(s.text) && s.text[s.at] == '(' {
		return // closed, or a process substitution that is read as a group
	}
	target := s.text[s.at:]
	if end := strings.IndexAny(target, " \t\r\n;|)`"); end >= 0 {
		target = target[:end]
	}
	if strings.HasPrefix(operator, "<<") && operator != "<<<" {
		s.docs = append(s.docs, strings.Trim(target, `'"\`))
	}
	s.redirected(operator, target)
	s.at += len(target)
}

// skipDocs goes past the bodies of the here-documents of the line before.
func (s *scanner) skipDocs() {
	for _, delimiter := range s.docs {
		for s.at < len(s.text) {
			line, _, _ := strings.Cut(s.text[s.at:], "\n")
			s.at = min(s.at+len(line)+1, len(s.text))
			if strings.TrimSpace(line) == delimiter {
				break
			}
		}
	}
	s.docs = nil
}

func (s *scanner) skipLine() {
	end := strings.IndexByte(s.text[s.at:], '\n')
	if end < 0 {
		s.at = len(s.text)
		return
	}
	s.at += end
}

func (s *scanner) endWord() {
	if s.open {
		s.words = append(s.words, s.word.String())
		s.starts = append(s.starts, s.begun)
	}
	s.word.Reset()
	s.open = false
}

func (s *scanner) endCommand(all *[]call, depth int) {
	s.endWord()
	c := strip(s.words)
	s.tell(c)
	if len(c) > 0 {
		s.words = nil
		if script, ok := c.script(); ok && depth < maxNesting {
			inner := scanner{text: script}
			inner.scan(0, all, depth+1)
			return
		}
		*all = append(*all, c)
	}
	s.words = nil
}

// keywords may stand before a command; wrappers run the command that stands
// somewhere behind them.
var (
	keywords = words("if then elif else do while until ! { } time exec command builtin eval")
	wrappers = words("sudo doas env nice nohup timeout gosu su-exec setpriv runuser xargs retry eatmydata stdbuf unbuffer chroot faketime")
	shells   = words("sh bash ash dash zsh ksh busybox su")
)

func words(s string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// strip takes keywords, assignments and wrappers from the front of a command.
func strip(argv []string) call {
	for len(argv) > 0 {
		w := argv[0]
		switch {
		case keywords[w], isAssignment(w):
			argv = argv[1:]
		case w == "for" || w == "case" || w == "in" || w == "function":
			return nil // words, not a command
		case wrappers[path.Base(w)]:
			inner := wrapped(argv[1:])
			if inner == nil {
				return call(argv)
			}
			argv = inner
		default:
			return call(argv)
		}
	}
	return nil
}

// wrapped finds the command behind a wrapper: the first word that is a known
// program. What wrappers take as options is not worth knowing.
func wrapped(argv []string) []string {
	for i, w := range argv {
		name := path.Base(w)
		if wrappers[name] || shells[name] || managers[name] != nil || keywords[name] {
			return argv[i:]
		}
	}
	return nil
}

func isAssignment(w string) bool {
	name, _, ok := strings.Cut(w, "=")
	if !ok || name == "" {
		return false
	}
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// script returns the script of sh -c.
func (c call) script() (string, bool) {
	if !shells[c.name()] {
		return "", false
	}
	for i, w := range c[1:] {
		if strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.HasSuffix(w, "c") && i+2 < len(c) {
			return c[i+2], true
		}
	}
	return "", false
}
