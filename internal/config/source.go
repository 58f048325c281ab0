package config

import (
	"fmt"
	"strings"
)

// A Kind says what set a value.
type Kind string

// The kinds of sources, from weakest to strongest.
const (
	Default     Kind = "default"
	UserFile    Kind = "user"        // outlast.yaml in the user's configuration folder
	ProjectFile Kind = "project"     // outlast.yaml beside the Dockerfile, which may be anybody's
	NamedFile   Kind = "file"        // by --config or OUTLAST_CONFIG, in place of the two above
	Environment Kind = "environment" // OUTLAST_…
	CommandLine Kind = "flag"
)

// A Source is where a value came from.
type Source struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"` // path, variable or flag; empty for a default
	Line int    `json:"line,omitempty"` // in the file, from 1; 0 where there is none
}

// String returns s as messages name it: outlast.yaml:7, OUTLAST_STORE_SIZE,
// --listen, default.
func (s Source) String() string {
	switch {
	case s.Kind == Default:
		return "default"
	case s.Line > 0:
		return fmt.Sprintf("%s:%d", s.Name, s.Line)
	}
	return s.Name
}

// at returns s at a line of its text. A variable or a flag of one line needs
// none.
func (s Source) at(line int) Source {
	if s.Kind == Environment || s.Kind == CommandLine {
		return s
	}
	s.Line = line
	return s
}

// A Value is one setting in force.
type Value struct {
	Key    string // store.size, registries.docker.io.mirrors
	Value  any    // a string, a bool, []string, or []Mirror, as a settings file has it
	Source Source
}

// A Problem is one thing that is wrong with the settings.
type Problem struct {
	Source Source
	Key    string // empty where the text could not be read as YAML
	Text   string // what is wrong, and what is allowed
}

// Error returns "outlast.yaml:7: store.size: …".
func (p Problem) Error() string {
	parts := make([]string, 0, 3)
	if s := p.Source.String(); s != "" {
		parts = append(parts, s)
	}
	if p.Key != "" {
		parts = append(parts, p.Key)
	}
	return strings.Join(append(parts, p.Text), ": ")
}

// An Error is all that is wrong with the settings, never empty, in the order
// of the sources.
type Error struct{ Problems []Problem }

// Error returns a line for each problem, and counts what is beyond the first
// twenty.
func (e *Error) Error() string {
	const most = 20
	var lines []string
	for i, p := range e.Problems {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Problems)-most))
			break
		}
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}
