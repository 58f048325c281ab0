package report

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/record"
)

// A Format is a way to write a report into a file.
type Format struct {
	Name    string   // "html"
	Endings []string // of files in this format, the usual one first
	Write   func(io.Writer, Page) error
}

// formats is every format of a report.
var formats = []Format{
	{"text", []string{".txt", ".text", ".log"}, writeText},
	{"markdown", []string{".md", ".markdown"}, writeMarkdown},
	{"json", []string{".json"}, writeJSON},
	{"html", []string{".html", ".htm"}, writeHTML},
	{"env", []string{".env"}, writeEnv},
}

// Formats lists every format of a report.
func Formats() []Format { return slices.Clone(formats) }

// FormatOf returns the format of a file, by the ending of its name.
func FormatOf(file string) (Format, error) {
	ending := strings.ToLower(filepath.Ext(file))
	var known []string
	for _, f := range formats {
		if slices.Contains(f.Endings, ending) {
			return f, nil
		}
		known = append(known, f.Endings[0])
	}
	return Format{}, fmt.Errorf("the ending names the format: %s", strings.Join(known, ", "))
}

// A RunJSON is a run for programs. Its names are part of the interface: those
// of the record, and these.
type RunJSON struct {
	record.Run
	Card    ScorecardJSON `json:"card"`
	Took    int64         `json:"took_ms"`
	Summary []string      `json:"summary"`
	Advice  []Advice      `json:"advice"`
}

func writeJSON(w io.Writer, p Page) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(RunJSON{p.Run, ScorecardOf(p.Run.Card, p.Run.Strategy), p.Run.Took().Milliseconds(), Summary(p.Run), append([]Advice{}, p.Advice...)})
}
