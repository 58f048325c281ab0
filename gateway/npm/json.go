package npm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A value is the place of a JSON value in a document: data[from:to].
type value struct{ from, to int }

// A scanner walks over valid JSON without taking it apart: documents have tens
// of megabytes, of which a few strings matter.
type scanner struct {
	data []byte
	at   int
}

var errBroken = errors.New("broken JSON")

// scan returns a scanner over data, which has to be JSON.
func scan(data []byte) (*scanner, error) {
	if !json.Valid(data) {
		return nil, errBroken
	}
	return &scanner{data: data}, nil
}

// members calls each for the members of the object at v, in their order. What
// is no object has none.
func (s *scanner) members(v value, each func(key string, v value) error) error {
	s.at = v.from
	if s.peek() != '{' {
		return nil
	}
	s.at++
	for {
		switch s.peek() {
		case '}':
			return nil
		case ',':
			s.at++
			continue
		}
		key, err := s.text(s.skip())
		if err != nil {
			return err
		}
		s.peek()
		s.at++ // the colon
		member := s.skip()
		next := s.at
		if err := each(key, member); err != nil {
			return err
		}
		s.at = next
	}
}

// root is the whole document.
func (s *scanner) root() value {
	s.at = 0
	return s.skip()
}

// peek skips white space and returns what follows.
func (s *scanner) peek() byte {
	for s.data[s.at] == ' ' || s.data[s.at] == '\n' || s.data[s.at] == '\t' || s.data[s.at] == '\r' {
		s.at++
	}
	return s.data[s.at]
}

// skip goes behind the next value and returns its place.
func (s *scanner) skip() value {
	first := s.peek()
	v := value{from: s.at}
	switch first {
	case '"':
		s.skipString()
	case '{', '[':
		depth := 0
		for {
			switch s.data[s.at] {
			case '"':
				s.skipString()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			s.at++
			if depth == 0 {
				break
			}
		}
	default:
		for s.at < len(s.data) && !ends(s.data[s.at]) {
			s.at++
		}
	}
	v.to = s.at
	return v
}

func ends(b byte) bool {
	return b == ',' || b == '}' || b == ']' || b == ' ' || b == '\n' || b == '\t' || b == '\r'
}

func (s *scanner) skipString() {
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// text returns the string at v.
func (s *scanner) text(v value) (string, error) {
	raw := s.data[v.from:v.to]
	if len(raw) < 2 || raw[0] != '"' {
		return "", fmt.Errorf("%.40q is no string", raw)
	}
	if plain := raw[1 : len(raw)-1]; !slices.ContainsFunc(plain, func(b byte) bool { return b == '\\' || b >= utf8.RuneSelf }) {
		return string(plain), nil
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}
