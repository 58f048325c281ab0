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

// An entry is what one row, or one story, came to.
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
func (b *results) missing(lines []*line, tales []*tale) (someLines []*line, someTales []*tale) {
	for _, l := range lines {
		if _, ok := b.all[l.Row.String()]; !ok {
			someLines = append(someLines, l)
		}
	}
	for _, t := range tales {
		if _, ok := b.all[t.name()]; !ok {
			someTales = append(someTales, t)
		}
	}
	return someLines, someTales
}

// lines are the rows of the table that have an entry, in its order.
func (b *results) lines() []*line {
	lines, _ := chosen(anything)
	var all []*line
	for _, l := range lines {
		if e, ok := b.all[l.Row.String()]; ok {
			l.Stock, l.Outlast = e.Stock, e.Outlast
			all = append(all, l)
		}
	}
	return all
}

// tales are the stories that have an entry.
func (b *results) tales() []*tale {
	_, tales := chosen(anything)
	var all []*tale
	for _, t := range tales {
		e, ok := b.all[t.name()]
		if !ok {
			continue
		}
		t.Steps = e.Steps
		if e.Broken != "" {
			t.Err = errors.New(e.Broken)
		}
		all = append(all, t)
	}
	return all
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

// lacks counts the rows and stories of the table that have no entry.
func (b *results) lacks() int {
	lines, tales := b.missing(chosen(anything))
	return len(lines) + len(tales)
}
