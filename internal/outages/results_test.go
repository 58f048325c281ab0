package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv/trial"
)

// A table that was run in pieces: the last entry of a row counts, and the page
// says what it lacks.
func TestATableInPieces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	all, stories := chosen(anything)
	enter := func(jobs ...job) *results {
		t.Helper()
		b, err := openResults(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		for _, j := range jobs {
			if err := b.add(j.entry()); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	row := func(i int, outcome trial.Outcome) job {
		return &line{Row: all[i].Row, Outlast: trial.Result{Outcome: outcome, Log: "long"}}
	}
	enter(row(0, trial.Failed), row(1, trial.Built))
	enter(row(0, trial.Built))
	b := enter(&tale{Story: stories[0].Story, Err: errors.New("no build")})

	lines := b.lines()
	if len(lines) != 2 || lines[0].Outlast.Outcome != trial.Built || lines[0].Outlast.Log != "" {
		t.Errorf("got %d rows, the first %+v; want two, and the later entry of the first without its log", len(lines), lines[0].Outlast)
	}
	if got := b.tales(); len(got) != 1 || got[0].Err == nil {
		t.Errorf("got stories %v, want the one whose promise was not kept", got)
	}
	rest, tales := b.missing(all, stories)
	if len(rest) != len(all)-2 || len(tales) != len(stories)-1 || b.lacks() != len(rest)+len(tales) || b.pieces() != 3 {
		t.Errorf("got %d rows and %d stories missing and %d pieces, want %d, %d and 3", len(rest), len(tales), b.pieces(), len(all)-2, len(stories)-1)
	}
	p := newPaper(options{}, lines)
	p.Missing, p.Pieces = b.lacks(), b.pieces()
	var page bytes.Buffer
	if err := p.write(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"holds a part of the table", "run in 3 pieces"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("got no %q on the page", want)
		}
	}
}
