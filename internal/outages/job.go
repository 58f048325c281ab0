package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/outlast-build/outlast/internal/testenv/trial"
)

// A job is a line, a tale or a trip.
type job interface {
	run(context.Context, *trial.Bench, options) error
	entry() entry // what it came to
}

// runAll runs jobs, some at a time, and enters each in the book. The first error
// ends it.
func runAll(ctx context.Context, b *trial.Bench, o options, book *results, jobs []job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan job)
	var workers sync.WaitGroup
	for range o.workers {
		workers.Go(func() {
			for j := range next {
				err := j.run(ctx, b, o)
				if err == nil {
					e := j.entry()
					e.Workers = o.workers
					err = book.add(e)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for i, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		next <- j
		if i%20 == 19 {
			fmt.Fprintf(os.Stderr, "%d of %d begun\n", i+1, len(jobs))
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// A line is a row with what it came to.
type line struct {
	trial.Row
	Stock, Outlast trial.Result
}

func (l *line) entry() entry {
	return entry{Name: l.Row.String(), Stock: l.Stock, Outlast: l.Outlast}
}

func (l *line) run(ctx context.Context, b *trial.Bench, o options) error {
	var err error
	if o.only != "stock" {
		if l.Outlast, err = b.Outlast(ctx, l.Row, o.limit); err != nil {
			return fmt.Errorf("%s: %w", l.Row, err)
		}
	}
	if o.logs && o.only != "stock" {
		fmt.Fprintf(os.Stderr, "%-70s outlast %s %.1f s\n", l.Row, l.Outlast.Outcome, l.Outlast.Took.Seconds())
		if !l.good() || l.Outlast.Took > 10*time.Second {
			fmt.Fprintf(os.Stderr, "--- the log of this:\n%s---\n", l.Outlast.Log)
		}
	}
	if o.only != "outlast" {
		if l.Stock, err = b.Stock(ctx, l.Row, o.cut); err != nil {
			return fmt.Errorf("%s: %w", l.Row, err)
		}
	}
	return nil
}

// well reports whether nothing fails in this row.
func (l *line) well() bool { return l.Row.String() == trial.Well().String() }

// good reports whether Outlast did what it should.
func (l *line) good() bool {
	if l.No {
		return l.Outlast.Outcome == trial.Failed && l.Outlast.Code == 1
	}
	return l.Outlast.Outcome == trial.Built
}

// A tale is a story with what it came to.
type tale struct {
	trial.Story
	Steps []trial.Step
	Err   error // why its promise was not kept
}

func (t *tale) name() string { return "story: " + t.Title }

func (t *tale) entry() entry {
	e := entry{Name: t.name(), Steps: t.Steps}
	if t.Err != nil {
		e.Broken = t.Err.Error()
	}
	return e
}

func (t *tale) run(ctx context.Context, b *trial.Bench, o options) error {
	t.Steps, t.Err = t.Run(ctx, b)
	if t.Err != nil {
		fmt.Fprintf(os.Stderr, "--- %s: %v\n", t.name(), t.Err)
	}
	return context.Cause(ctx)
}
