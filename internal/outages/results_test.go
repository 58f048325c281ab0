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
	rows := trial.Rows()
	row := func(i int, outcome trial.Outcome) job {
		return &line{Row: rows[i], Outlast: trial.Result{Outcome: outcome, Log: "long"}}
	}
	errand := trial.Errands()[1]
	enter(row(0, trial.Failed), row(1, trial.Built))
	enter(row(0, trial.Built), &trip{Errand: errand, Outlast: trial.Result{Outcome: trial.Built, Noticed: "a failure"}})
	b := enter(&tale{Story: trial.Stories()[0], Err: errors.New("no build")})

	p := newPaper(options{})
	b.fill(p)
	if got := p.Total; got.Rows != 2 || got.OBuilt != 2 {
		t.Errorf("got %d rows, %d of them built; want two, and the later entry of the first", got.Rows, got.OBuilt)
	}
	if len(p.Tales) != 1 || p.Tales[0].Err == nil {
		t.Errorf("got stories %v, want the one whose promise was not kept", p.Tales)
	}
	if err := p.verdict(); err == nil || !strings.Contains(err.Error(), errand.String()) {
		t.Errorf("got the verdict %v, want one on the errand whose failure was noticed", err)
	}
	all := chosen(anything)
	if rest := b.missing(all); len(rest) != len(all)-4 || p.Missing != len(rest) || p.Pieces != 3 {
		t.Errorf("got %d missing, %d on the page, and %d pieces; want %d, the same and 3", len(rest), p.Missing, p.Pieces, len(all)-4)
	}
	var page bytes.Buffer
	if err := p.write(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"holds a part of the table", "run in 3 pieces", "noticed"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("got no %q on the page", want)
		}
	}
}
