package diagnose

import (
	"regexp"
	"sync"
)

// An Expression is a regular expression that is compiled when it is first
// used. The hundreds of them together take 15 ms and 9 MB, which a program
// that has nothing to diagnose would pay at each start. It is safe for
// concurrent use; one that is no regular expression panics.
type Expression struct {
	text string
	get  func() *regexp.Regexp
}

func re(text string) *Expression {
	return &Expression{text, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
}

// String returns the expression as it was written.
func (e *Expression) String() string { return e.text }

// MatchString reports whether s has a match.
func (e *Expression) MatchString(s string) bool { return e.get().MatchString(s) }

// FindStringSubmatch is as in package regexp.
func (e *Expression) FindStringSubmatch(s string) []string { return e.get().FindStringSubmatch(s) }

// FindAllStringSubmatch is as in package regexp.
func (e *Expression) FindAllStringSubmatch(s string, n int) [][]string {
	return e.get().FindAllStringSubmatch(s, n)
}

// FindStringIndex is as in package regexp.
func (e *Expression) FindStringIndex(s string) []int { return e.get().FindStringIndex(s) }

// ReplaceAllString is as in package regexp.
func (e *Expression) ReplaceAllString(s, by string) string { return e.get().ReplaceAllString(s, by) }
