package diagnose

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"strings"
)

// A need is what a line must hold so that an expression can match it: a word in
// lower case, all of some needs, or any of some. The zero need is always met.
type need struct {
	word     string
	all, any []need
}

func (n need) none() bool { return n.word == "" && n.all == nil && n.any == nil }

// met reports whether a line in lower case has what is needed.
func (n need) met(lower string) bool {
	if n.word != "" {
		return strings.Contains(lower, n.word)
	}
	for _, m := range n.all {
		if !m.met(lower) {
			return false
		}
	}
	return n.any == nil || slices.ContainsFunc(n.any, func(m need) bool { return m.met(lower) })
}

// needOf returns what every line that e matches has.
func needOf(e *Expression) need {
	parsed, err := syntax.Parse(e.String(), syntax.Perl)
	if err != nil {
		return need{}
	}
	return needOfPart(parsed.Simplify())
}

func needOfPart(re *syntax.Regexp) need {
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) < 2 || slices.ContainsFunc(re.Rune, func(r rune) bool { return r > 127 }) {
			return need{} // too common; or lower case may differ from what the expression folds
		}
		return need{word: strings.ToLower(string(re.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return needOfPart(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return needOfPart(re.Sub[0])
		}
	case syntax.OpConcat:
		var n need
		for _, sub := range re.Sub {
			if m := needOfPart(sub); !m.none() {
				n.all = append(n.all, m)
			}
		}
		// Long words are rare ones: with them in front, most lines are done at once.
		slices.SortStableFunc(n.all, func(a, b need) int { return cmp.Compare(len(b.word), len(a.word)) })
		return n
	case syntax.OpAlternate:
		var n need
		for _, sub := range re.Sub {
			m := needOfPart(sub)
			if m.none() {
				return need{}
			}
			n.any = append(n.any, m)
		}
		return n
	}
	return need{}
}
