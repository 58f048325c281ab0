package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/outlast-build/outlast/internal/testenv/trial"
)

// An entry is what one row, one story or one errand came to.
type entry struct {
	Name           string
	Piece          int // which run it was
	Workers        int // how many rows ran at once then
	Stock, Outlast trial.Result
	Steps          []trial.Step `json:",omitempty"` // of a story
	Broken         string       `json:",omitempty"` // why a story's promise was not kept
}

// results is the book of what rows came to, in a file of JSON lines where there
// is one: so a table that takes an hour can be run in pieces, and rows can be
// run again. The last entry of a name counts.
type results struct {
	mu    sync.Mutex
	file  *os.File // nil where nothing is kept
	piece int
	all   map[string]entry
}

// openResults reads what path holds, and adds to it. An empty path keeps
// nothing. The caller closes it.
func openResults(path string) (*results, error) {
	b := &results{piece: 1, all: make(map[string]entry)}
	if path == "" {
		return b, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	b.file = f
	for d := json.NewDecoder(f); ; {
		var e entry
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		b.all[e.Name] = e
		b.piece = max(b.piece, e.Piece+1)
	}
}

// Close closes the file.
func (b *results) Close() {
	if b.file != nil {
		b.file.Close()
	}
}

func (b *results) add(e entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.Piece = b.piece
	e.Stock.Log, e.Outlast.Log = "", ""
	for i := range e.Steps {
		e.Steps[i].Result.Log = ""
	}
	b.all[e.Name] = e
	if b.file == nil {
		return nil
	}
	text, err := json.Marshal(e)
	if err == nil {
		_, err = b.file.Write(append(text, '\n'))
	}
	return err
}

// missing keeps what has no entry.
func (b *results) missing(jobs []job) (some []job) {
	for _, j := range jobs {
		if _, ok := b.all[j.entry().Name]; !ok {
			some = append(some, j)
		}
	}
	return some
}

// fill puts what the entries say into p: the rows, stories and errands that
// have one, in the order of the table.
func (b *results) fill(p *paper) {
	var lines []*line
	for _, j := range chosen(anything) {
		e, ok := b.all[j.entry().Name]
		if !ok {
			p.Missing++
			continue
		}
		switch j := j.(type) {
		case *line:
			j.Stock, j.Outlast = e.Stock, e.Outlast
			lines = append(lines, j)
		case *trip:
			j.Stock, j.Outlast = e.Stock, e.Outlast
			p.Trips = append(p.Trips, j)
		case *tale:
			j.Steps = e.Steps
			if e.Broken != "" {
				j.Err = errors.New(e.Broken)
			}
			p.Tales = append(p.Tales, j)
		}
	}
	p.fill(lines)
	p.Workers, p.Pieces = b.workers(), b.pieces()
}

// workers is the most rows that ran at once.
func (b *results) workers() int {
	most := 0
	for _, e := range b.all {
		most = max(most, e.Workers)
	}
	return most
}

// pieces counts the runs that the entries come from.
func (b *results) pieces() int {
	runs := make(map[int]bool)
	for _, e := range b.all {
		runs[e.Piece] = true
	}
	return len(runs)
}
