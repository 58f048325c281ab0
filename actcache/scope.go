package actcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Permission says what may be done with the entries of a scope.
type Permission int

// Permissions as GitHub's tokens have them; they add up.
const (
	Read  Permission = 1
	Write Permission = 2
)

// A Scope is a branch, or what stands for one, such as refs/pull/7/merge, and
// what may be done there.
type Scope struct {
	Name       string `json:"Scope"`
	Permission Permission
}

// A Grant is what a token allows.
type Grant struct {
	Repository string    // whose entries these are; others' are not seen
	Scopes     []Scope   // in the order in which they are searched
	Expires    time.Time // whole seconds
}

// check fails for what no entry could be kept under.
func (g Grant) check() error {
	if len(g.Scopes) == 0 || len(g.Scopes) > maxScopes {
		return fmt.Errorf("%d scopes: want 1 to %d", len(g.Scopes), maxScopes)
	}
	names := []string{g.Repository}
	for _, s := range g.Scopes {
		if s.Name == "" || s.Permission&^(Read|Write) != 0 {
			return fmt.Errorf("scope %.100q with permission %d", s.Name, s.Permission)
		}
		names = append(names, s.Name)
	}
	for _, n := range names {
		if err := word("scope", n, maxScope); err != nil {
			return err
		}
	}
	return nil
}

// readable lists the scopes whose entries may be read.
func (g Grant) readable() []string {
	var all []string
	for _, s := range g.Scopes {
		if s.Permission&Read != 0 && !slices.Contains(all, s.Name) {
			all = append(all, s.Name)
		}
	}
	return all
}

// writable returns the scope that new entries belong to: the last one that may
// be written, as go-actions-cache has it, or "".
func (g Grant) writable() string {
	for _, s := range slices.Backward(g.Scopes) {
		if s.Permission&Write != 0 {
			return s.Name
		}
	}
	return ""
}

// readScopes reads the claim "ac" of a token: JSON in a string.
func readScopes(claim string) ([]Scope, error) {
	var all []Scope
	if err := json.Unmarshal([]byte(claim), &all); err != nil {
		return nil, fmt.Errorf("scopes: %w", err)
	}
	return all, nil
}

// word fails for a name that is too long, or holds what could be mistaken for
// the end of one.
func word(what, s string, most int) error {
	switch {
	case len(s) > most:
		return fmt.Errorf("%s has %d bytes, more than %d", what, len(s), most)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return errors.New(what + " holds a control character, or is no UTF-8")
	}
	return nil
}
