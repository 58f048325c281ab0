// Package probe asks services for what a build would ask them for: a manifest
// of a registry, a version of a Go proxy, an entry of the Actions cache, the
// addresses of a name. It is a table of checks that are asked all at once,
// under one budget. It holds no credentials: they are in the transport that
// each question is given. It chooses nothing and retries nothing.
package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// DefaultBudget is how long all checks together may take where nothing else is
// said.
const DefaultBudget = 2 * time.Second

// grace is how long a question that was just told to stop may take to say what
// it saw. What has not answered by then is left alone.
const grace = 50 * time.Millisecond

// A Question is what a service is asked. It ends soon after ctx does; one that
// does not is left behind.
type Question interface {
	// Ask returns what was seen, for people, in a line. The error says why
	// the service is not well. A *No says that it is well, and answers no.
	Ask(ctx context.Context) (seen string, err error)
}

// A No is a definite answer of a service that is well: what was asked for does
// not exist, or is not for everybody.
type No struct{ Err error }

// Error is the cause's.
func (n *No) Error() string { return n.Err.Error() }

// Unwrap returns the cause.
func (n *No) Unwrap() error { return n.Err }

// A Category is a row of the scorecard with the checks that share its points.
type Category struct {
	Name   string
	Points float64
	Checks []Check
}

// A Check is a question with its place on the scorecard.
type Check struct {
	Name     string
	Target   string  // what is asked, for people; no secrets
	For      string  // as in health.Check
	Host     string  // as in health.Check
	Needed   bool    // as in health.Check
	Weight   float64 // as in health.Check
	Question Question
}

// A Round asks every question once.
type Round struct {
	Categories []Category
	Budget     time.Duration // of all together; zero means DefaultBudget
	Began      time.Time     // when the budget began to run: the table took time as well; zero means now
	Board      *health.Board // is told of each check that has a Host; nil: nobody is
}

// Ask asks all questions at once and returns when all have answered, or when
// the budget is spent or ctx has ended, whatever the questions do.
func (r Round) Ask(ctx context.Context) health.Scorecard {
	if r.Budget <= 0 {
		r.Budget = DefaultBudget
	}
	if r.Began.IsZero() {
		r.Began = time.Now()
	}
	card := health.Scorecard{Taken: r.Began, Categories: make([]health.Category, len(r.Categories))}
	ctx, cancel := context.WithDeadlineCause(ctx, r.Began.Add(r.Budget), &overBudget{r.Budget})
	defer cancel()
	var all sync.WaitGroup
	for i, c := range r.Categories {
		card.Categories[i] = health.Category{Name: c.Name, Points: c.Points, Checks: make([]health.Check, len(c.Checks))}
		for j, k := range c.Checks {
			all.Go(func() { card.Categories[i].Checks[j] = k.ask(ctx) })
		}
	}
	all.Wait()
	card.Took = time.Since(card.Taken)
	if r.Board != nil {
		for _, o := range card.Observations() {
			r.Board.Record(o)
		}
	}
	return card
}

// answer is what came of a question.
type answer struct {
	seen string
	err  error
}

func (k Check) ask(ctx context.Context) health.Check {
	start := time.Now()
	got := wait(ctx, k.Question)
	h := health.Check{Name: k.Name, Target: k.Target, Host: k.Host, For: k.For, Needed: k.Needed, Weight: k.Weight, Took: time.Since(start), Detail: got.seen}
	if got.err != nil {
		h.Kind, h.Detail = kindOf(got.err), line(got.err)
	}
	var no *No
	h.OK = got.err == nil || errors.As(got.err, &no)
	return h
}

// wait asks q, and stops waiting soon after ctx has ended.
func wait(ctx context.Context, q Question) answer {
	done := make(chan answer, 1)
	go func() { done <- ask(ctx, q) }()
	select {
	case got := <-done:
		return got.within(ctx)
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case got := <-done:
		return got.within(ctx)
	case <-timer.C:
		return answer{err: context.Cause(ctx)}
	}
}

// ask turns a panic into a failure.
func ask(ctx context.Context, q Question) (a answer) {
	defer func() {
		if v := recover(); v != nil {
			a = answer{err: &panicked{v, debug.Stack()}}
		}
	}()
	a.seen, a.err = q.Ask(ctx)
	return a
}

// within puts the budget in the place of an error that its end brought about,
// however a library words it.
func (a answer) within(ctx context.Context) answer {
	cause := context.Cause(ctx)
	if a.err == nil || cause == nil {
		return a
	}
	if k := fault.Of(a.err); k == fault.Canceled || k == fault.Timeout || k == fault.DNS {
		a.err = cause
	}
	return a
}

// overBudget is the end of the budget. Its kind is fault.Timeout.
type overBudget struct{ budget time.Duration }

func (e *overBudget) Error() string { return "no answer within " + e.budget.String() }
func (e *overBudget) Timeout() bool { return true }

// panicked is a defect of a question.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("the check itself broke down: %v", p.value) }

func kindOf(err error) fault.Kind {
	if k := fault.Of(err); k != fault.None {
		return k
	}
	return fault.Unknown
}

// line is an error in a line. The endpoint and its kind stand beside it.
func line(err error) string {
	var own *fault.Error
	if errors.As(err, &own) && own.Err != nil && own.Op == "" {
		err = own.Err
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}
