package outlast

import (
	"context"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/plan"
)

// A Preview is what a build would do, and why.
type Preview struct {
	Dockerfile string // that would be built; empty where it is not at hand
	Needs      []dockerfile.Need
	Card       health.Scorecard
	Plan       plan.Plan
	Builder    string   // its name and driver; empty where there is none
	Command    []string // what would run, apart from files and addresses that only a build has; nil where there is no builder
}

// PreviewBuild says what a build of these options would do first. It reads,
// measures, asks for a builder and for the images that others may stand in
// for, and builds nothing. No builder is no error:
// the Preview is then that of a builder which reaches the gateway.
func PreviewBuild(ctx context.Context, o Options) (Preview, error) {
	b := newBuild(o)
	if err := b.read(); err != nil {
		return Preview{}, err
	}
	card := b.assess(ctx, true)
	err := b.chooseEngine(ctx, true)
	if err := b.openGateway(ctx); err != nil {
		return Preview{}, err
	}
	defer b.closeGateway()
	b.card = <-card
	b.findAbsent(ctx)
	if ctx.Err() != nil {
		return Preview{}, &fault.Error{Op: "measure the services", Kind: fault.Canceled, Err: context.Cause(ctx)}
	}
	p := Preview{Card: b.card, Plan: plan.Choose(b.input(ctx))}
	rec := b.recipeOf(p.Plan)
	p.Dockerfile, p.Needs = rec.path, rec.needs
	if err != nil {
		p.Plan.Why = append(p.Plan.Why, "there is no builder: "+err.Error())
		return p, nil
	}
	p.Builder = b.run.Builder
	p.Command = b.command(p)
	return p, nil
}

// command is what would run, as far as it is known before the gateway has its
// address and the local cache was proved.
func (b *build) command(p Preview) []string {
	e, ok := b.engine.(onBuilder)
	if !ok {
		return nil
	}
	var add []string
	if p.Plan.Dockerfile == plan.Prepared {
		add = append(add, "--file="+p.Dockerfile)
	}
	for _, tier := range p.Plan.Caches {
		for _, entry := range b.entriesOf(tier) {
			add = append(add, "--cache-from="+entry.With("dest", "").With("mode", "").String())
			if tier != plan.Registry || b.Settings.Cache.Write {
				add = append(add, "--cache-to="+entry.With("src", "").With("ignore-error", "true").String())
			}
		}
	}
	return e.Builder.Command(buildx.ReadArgs(b.arguments(p.Plan)), append(add, flags(p.Plan)...))
}
