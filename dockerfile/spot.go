package dockerfile

import "strings"

// A spot is where a command stands in a script.
type spot struct {
	call  call     // its words, from the program on
	at    int      // where the program's word begins
	words []string // all of its words, with those before the program
	joint joint
	inner bool // it is in a substitution, and its output is a word of another
}

// A joint is how a command is joined to what is around it.
type joint struct {
	in, out bool // by a pipe
	reads   bool // a file or a here-document is its input
	writes  bool // its output goes to a file
}

// spots lists the commands of a script that stand in its own text: not those of
// sh -c. Whole is false where groups or loops are joined to something, so that
// nobody can say how their commands are.
func spots(script string) (all []spot, whole bool) {
	whole = true
	s := scanner{text: script, spot: func(sp *spot) {
		if len(sp.call) > 0 {
			all = append(all, *sp)
		}
		if sp.joint != (joint{}) && len(sp.words) > 0 && closes[sp.words[len(sp.words)-1]] || len(sp.words) == 0 && sp.joint != (joint{}) {
			whole = false
		}
	}}
	var calls []call
	s.scan(0, &calls, 0)
	return all, whole
}

// closes are the words that end a group, a loop or a choice.
var closes = words("} done fi esac")

// tell hands out the command that ends here. A pipe leads into the next one.
func (s *scanner) tell(c call) {
	if s.spot != nil && (len(s.words) > 0 || s.joint != joint{in: s.joint.in}) {
		sp := spot{call: c, words: s.words, joint: s.joint, inner: s.inner}
		if len(c) > 0 {
			sp.at = s.starts[len(s.words)-len(c)]
		}
		s.spot(&sp)
	}
	// Lines may lie between a pipe and what it leads into.
	s.joint = joint{in: s.joint.out || s.joint.in && len(s.words) == 0}
	s.starts = nil
}

// operator goes past what separates two commands.
func (s *scanner) operator() {
	c := s.text[s.at]
	s.at++
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return
	}
	s.joint.out = c == '|'
	if c == '|' && s.at < len(s.text) && s.text[s.at] == '&' {
		s.at++
	}
}

// redirected notes where input comes from and output goes. What goes to
// /dev/null or to another output is not missed.
func (s *scanner) redirected(operator, target string) {
	switch {
	case strings.HasPrefix(operator, "<"):
		s.joint.reads = s.joint.reads || target != "/dev/null"
	case strings.HasSuffix(operator, "&"), target == "/dev/null":
	default:
		s.joint.writes = true
	}
}
