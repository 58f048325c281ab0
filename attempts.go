package outlast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
)

// attempts builds until it succeeds or nothing is left that could help.
func (b *build) attempts(ctx context.Context) error {
	within, cancel := context.WithTimeoutCause(ctx, b.Settings.Build.Deadline, &LimitError{Took: b.Settings.Build.Deadline, What: "build.deadline"})
	defer cancel()
	var last error
	for {
		p := plan.Choose(b.input(within))
		if p.None() || len(b.past) > 0 && b.spent() {
			return last
		}
		b.tellPlan(p)
		waited, err := b.ready(within, p)
		if errors.Is(err, errSpent) {
			b.note(fmt.Sprintf("no further attempt: build.wait, the time for waiting, is %s", b.Settings.Build.Wait))
			return last
		}
		if err != nil {
			return b.given(ctx, within, errors.Join(last, err))
		}
		result, err := b.attempt(within, p, waited)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if within.Err() != nil {
			return b.given(ctx, within, err)
		}
		past, told := b.learn(within, p, result, err)
		last = told
		b.past = append(b.past, past)
		if err := b.takeCard(within); err != nil {
			return b.given(ctx, within, last)
		}
	}
}

// given is the error of a build that was given up: by the user, or by the
// deadline.
func (b *build) given(ctx, within context.Context, err error) error {
	var over *LimitError
	if ctx.Err() == nil && errors.As(context.Cause(within), &over) {
		return &fault.Error{Op: "build", Kind: fault.Timeout, Err: over}
	}
	return err
}

// input is all that the next plan depends on.
func (b *build) input(ctx context.Context) plan.Input {
	reach := b.reaches()
	in := plan.Input{
		Needs: b.recipe.needs, Card: b.card, Health: b.board.Snapshot(time.Now()),
		Sources: b.sources(), Cached: b.cached(),
		Levels: Levels(b.Settings), Resilient: b.resilient != nil, Caches: b.caches(ctx),
		Reach: reach, Off: b.Direct, Sealed: (!reach || len(b.past) > 0) && b.sealed(ctx),
		Absent: b.absent, Past: b.past, Limit: b.Settings.Build.Attempts,
	}
	if s := b.Settings.Build.Strategy; s != "auto" && s != "" {
		in.Forced = plan.Strategy(s)
	}
	return in
}

// tellPlan says what is done, and why: of the first attempt the strategy, of
// later ones what is done about the failure; all where the user debugs.
func (b *build) tellPlan(p plan.Plan) {
	b.run.Strategy, b.run.Why, b.run.Substitutes = string(p.Strategy), p.Why, p.Substitutes
	b.Progress.show(b.run, b.ledger)
	told := p.Why[:1]
	switch {
	case b.Debug:
		told = p.Why
	case len(b.past) == 0 && len(b.card.Categories) == 0 && p.Strategy == plan.Optimal:
		told = nil // nothing was measured, and nothing is out of the way
	}
	for _, why := range told {
		b.note(why)
	}
	if p.Road == plan.Direct && !b.Direct {
		b.note("the builder neither reaches the gateway nor takes OCI layouts: it asks the registries itself")
	}
	if p.Dockerfile == plan.Prepared {
		b.note(b.resilient.path + " is built, as the strategy is " + string(p.Strategy))
	}
	for ref, s := range p.Substitutes {
		b.note(fmt.Sprintf("%s stands in for %s, which no source has", s, ref))
	}
}

// errSpent means that the budget of waiting does not hold another wait.
var errSpent = errors.New("the time for waiting is up")

// ready does what the plan wants before the attempt, and says how long was
// waited.
func (b *build) ready(ctx context.Context, p plan.Plan) (time.Duration, error) {
	var waited time.Duration
	if p.Pause.Failures > 0 {
		wait, ok := b.waits.Take(backoff.Policy{}.Wait(p.Pause.Failures, b.jitter(), p.Pause.After))
		if !ok {
			return 0, errSpent
		}
		b.tell(fmt.Sprintf("attempt %d begins in %s", len(b.past)+1, wait.Round(100*time.Millisecond)))
		if err := sleep(ctx, wait); err != nil {
			return 0, err
		}
		waited = wait
	}
	if p.Heal {
		return waited, b.heal(ctx)
	}
	if n := len(b.past); n > 0 && b.past[n-1].Diagnosis.Kind == fault.Engine {
		return waited, b.reconnect(ctx)
	}
	return waited, nil
}

func (b *build) jitter() float64 {
	if b.Jitter != nil {
		return b.Jitter()
	}
	return rand.Float64()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &fault.Error{Op: "wait", Kind: fault.Canceled, Err: context.Cause(ctx)}
	}
}

// stdin is what the engine reads. A Dockerfile that came this way was read
// here already.
func (b *build) stdin() io.Reader {
	if b.recipe.stdin != nil {
		return bytes.NewReader(b.recipe.stdin)
	}
	return b.Stdin
}

// spent reports whether the context came by standard input, which an attempt
// has read and no other can read again.
func (b *build) spent() bool {
	context, _ := b.args().Context()
	return context == "-"
}

// heal makes the builder collect what it holds on to for nothing: spoiled
// bytes, and what a step left on a full disk.
func (b *build) heal(ctx context.Context) error {
	spoiled := b.past[len(b.past)-1].Spoiled != ""
	h, ok := b.engine.(Healer)
	switch {
	case !ok && spoiled:
		return errors.New("this engine cannot let go of spoiled bytes")
	case !ok:
		return nil
	case spoiled:
		b.note("the builder kept a spoiled download: it was made to let go of it, and the build is tried once more")
	}
	return h.Heal(ctx)
}

// attempt runs the engine once.
func (b *build) attempt(ctx context.Context, p plan.Plan, waited time.Duration) (engine.Result, error) {
	started := time.Now()
	b.Progress.begin(p, started, waited)
	if b.mirror != nil {
		b.mirror.begin()
	}
	var shelf shelf
	defer shelf.close()
	result, err := b.limited(ctx, b.limits(p), func(ctx context.Context, emit func(engine.Event)) (engine.Result, error) {
		req, err := b.request(ctx, p, &shelf)
		if err != nil {
			return engine.Result{}, err
		}
		return b.engine.Build(ctx, req, emit)
	})
	a := record.Attempt{Started: started, Ended: time.Now(), Strategy: string(p.Strategy), Kind: fault.Of(err), Steps: len(result.Steps), Waited: waited,
		Ran: recorded(result.Steps), Caches: tiers(p.Caches)}
	var over *LimitError
	if errors.As(err, &over) {
		a.Limit = over.What
	}
	if err != nil {
		a.Cause, a.Place, a.Log = err.Error(), b.place(p, result), lastLines(result)
	}
	for _, s := range result.Steps {
		if s.Cached {
			a.Cached++
		}
	}
	b.run.Attempts = append(b.run.Attempts, a)
	b.Progress.show(b.run, b.ledger)
	if d := result.Image(); d != "" && err == nil {
		b.run.Images = append(b.run.Images, record.Image{Digest: d.String(), Tags: b.args().All("tag"), Platforms: platformsOf(result, b.args(), b.Dir, b.getenv)})
	}
	b.tellUnread(&shelf)
	if err != nil {
		b.broken = b.broke(&shelf, result, err)
	} else {
		b.tellUnwritten(result)
		b.sendCaches(ctx, b.putAway(ctx, &shelf))
	}
	return result, err
}

func needsOf(needs []dockerfile.Need) []record.Need {
	var all []record.Need
	for _, n := range needs {
		all = append(all, record.Need{Kind: string(n.Kind), Ref: n.Ref, Platform: n.Platform, Line: n.Line})
	}
	return all
}
