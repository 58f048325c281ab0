package outlast

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
)

// Options are what one build is made from. The zero value of a field means
// what its comment says.
type Options struct {
	Args     []string        // those of `docker buildx build`, the context among them
	Dir      string          // the working directory; empty means the process's own
	Env      []string        // the environment; nil means the process's own
	Stdin    io.Reader       // nil: empty
	Stdout   io.Writer       // what the build prints as its result; nil: dropped
	Settings config.Settings // what is in force
	Version  string          // of this program, for the record
	Direct   bool            // no gateway: the builder asks the registries itself
	Kill     <-chan struct{} // when closed, what does not stop is killed

	// Engine builds. Nil means buildx, with the builder that it chooses. One
	// that is given may also be a Reacher, a Healer and a Holder.
	Engine engine.Engine

	// Chosen is told of the builder, before anything else; Emit, what happens
	// in the engine; Note, in a line, what was done about a failure. Nil:
	// nobody is.
	Chosen func(name, driver string)
	Emit   func(engine.Event)
	Note   func(string)
}

// A Reacher is an engine that knows whether its builder reaches a gateway on
// this machine's loopback address, and if not, why. Others do.
type Reacher interface{ Reaches() (ok bool, why string) }

// A Taker is an engine that knows whether its builder takes images from OCI
// layouts. Others do.
type Taker interface{ Layouts(context.Context) bool }

// A Healer is an engine that can make its builder let go of spoiled bytes,
// without touching what the user has.
type Healer interface{ Heal(context.Context) error }

// A Holder is an engine with images of its own, such as those of a Docker
// Engine, that builds on it take in place of the registry's. Of the references,
// all in full, it returns those that it holds for all of the platforms.
type Holder interface {
	Local(ctx context.Context, refs, platforms []string) ([]string, error)
}

// A build is one run of Build.
type build struct {
	Options
	run    *record.Run
	ledger *record.Ledger
	recipe recipe
	engine engine.Engine
	mirror *serving // nil where there is no gateway
	past   []plan.Past
}

// Build builds an image, through outages where it must. The record is filled
// in as far as the build came. The error is nil exactly where the Outcome is
// record.Built.
func Build(ctx context.Context, o Options) (record.Run, error) {
	b := &build{Options: o, ledger: new(record.Ledger), run: &record.Run{
		ID: rand.Text(), Version: o.Version, Started: time.Now(),
	}}
	err := b.do(ctx)
	b.run.Ended = time.Now()
	b.ledger.Write(b.run)
	b.run.Outcome = outcomeOf(ctx, err)
	if err != nil {
		b.run.Error = err.Error()
	}
	return *b.run, err
}

func (b *build) do(ctx context.Context) error {
	args := buildx.ReadArgs(b.Args)
	var err error
	if b.recipe, err = readRecipe(args, b.Dir, b.Stdin, b.getenv); err != nil {
		return err
	}
	if err := b.chooseEngine(ctx, args); err != nil {
		return err
	}
	if !b.Direct {
		b.mirror, err = serve(ctx, GatewayOptions{Settings: b.Settings, Hosts: b.recipe.registries(),
			OnTry: b.answered, OnServe: b.served, Once: true, Warn: b.note})
		if err != nil {
			return err
		}
		defer b.mirror.close()
	}
	return b.attempts(ctx)
}

func (b *build) getenv(name string) (string, bool) { return lookupIn(b.Env, name) }

func (b *build) chooseEngine(ctx context.Context, args buildx.Args) error {
	if b.engine = b.Engine; b.engine != nil {
		return nil
	}
	chosen, err := buildx.Choose(ctx, buildx.Search{Args: args, Env: b.Env})
	if err != nil {
		return err
	}
	b.engine = onBuilder{&buildx.Engine{Builder: chosen}, b.Env}
	passed := slices.DeleteFunc(slices.Clone(chosen.Passed), func(why string) bool { return strings.HasSuffix(why, ": not set") })
	if len(passed) > 0 {
		b.note(fmt.Sprintf("building on %s; passed over: %s", chosen.Origin, strings.Join(passed, "; ")))
	}
	if b.Chosen != nil {
		b.Chosen(chosen.Name, chosen.Driver)
	}
	b.run.Builder = fmt.Sprintf("%s (%s, %s)", chosen.Name, chosen.Driver, chosen.Origin)
	return nil
}

// onBuilder is buildx with a builder, and what can be asked of that.
type onBuilder struct {
	*buildx.Engine
	env []string
}

func (o onBuilder) Reaches() (bool, string) { return o.Builder.Reaches() }

func (o onBuilder) Layouts(ctx context.Context) bool { return o.Builder.Layouts(ctx, o.env) }

func (o onBuilder) Heal(ctx context.Context) error { return o.Builder.Heal(ctx, o.env) }

func (o onBuilder) Local(ctx context.Context, refs, platforms []string) ([]string, error) {
	return o.Builder.Local(ctx, o.env, refs, platforms)
}

// attempts builds until it succeeds or nothing is left that could help.
func (b *build) attempts(ctx context.Context) error {
	var last error
	for {
		reach := b.reaches()
		p := plan.Choose(plan.Input{Percent: 100, Reach: reach, Off: b.Direct, Past: b.past,
			Sealed: (!reach || len(b.past) > 0) && b.sealed(ctx)})
		if p.None() || len(b.past) > 0 && b.spent() {
			return last
		}
		b.run.Strategy, b.run.Why = string(p.Strategy), p.Why
		if p.Road == plan.Direct && !b.Direct {
			b.note(p.Why[0])
		}
		if p.Heal {
			if err := b.heal(ctx); err != nil {
				return errors.Join(last, err)
			}
		}
		result, err := b.attempt(ctx, p)
		if err == nil || ctx.Err() != nil {
			return err
		}
		last = b.explain(err)
		b.past = append(b.past, plan.Past{Road: p.Road, Kind: fault.Of(err), Poisoned: result.Poisoned, Unreachable: result.GatewayUnreachable})
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
	context, _ := buildx.ReadArgs(b.Args).Context()
	return context == "-"
}

func (b *build) reaches() bool {
	r, ok := b.engine.(Reacher)
	if !ok {
		return true
	}
	ok, _ = r.Reaches()
	return ok
}

// sealed is asked only where the answer may matter: it costs a question to the
// engine.
func (b *build) sealed(ctx context.Context) bool {
	t, ok := b.engine.(Taker)
	return ok && !t.Layouts(ctx)
}

func (b *build) heal(ctx context.Context) error {
	h, ok := b.engine.(Healer)
	if !ok {
		return errors.New("this engine cannot let go of spoiled bytes")
	}
	b.note("the builder kept a spoiled download: it was made to let go of it, and the build is tried once more")
	return h.Heal(ctx)
}

// attempt runs the engine once.
func (b *build) attempt(ctx context.Context, p plan.Plan) (engine.Result, error) {
	started := time.Now()
	req := engine.Request{Args: b.Args, Dir: b.Dir, Env: b.Env, Stdin: b.stdin(), Stdout: b.Stdout, Kill: b.Kill}
	err := b.route(ctx, p.Road, &req)
	var result engine.Result
	if err == nil {
		result, err = b.engine.Build(ctx, req, b.emit)
	}
	a := record.Attempt{Started: started, Ended: time.Now(), Strategy: string(p.Strategy), Kind: fault.Of(err), Steps: len(result.Steps)}
	if err != nil {
		a.Cause = err.Error()
	}
	for _, s := range result.Steps {
		if s.Cached {
			a.Cached++
		}
	}
	b.run.Attempts = append(b.run.Attempts, a)
	if d := result.Image(); d != "" && err == nil {
		b.run.Images = append(b.run.Images, record.Image{Digest: d.String(), Tags: buildx.ReadArgs(b.Args).All("tag")})
	}
	return result, err
}

// route puts the gateway in the way, by the road of the plan.
func (b *build) route(ctx context.Context, road plan.Road, req *engine.Request) error {
	if road == plan.Direct || b.mirror == nil {
		return nil
	}
	held := b.held(ctx)
	if road == plan.Contexts {
		var err error
		req.Contexts, err = b.mirror.export(ctx, slices.DeleteFunc(b.recipe.images(), func(im image) bool { return slices.Contains(held, im.ref) }))
		return err
	}
	for _, host := range b.mirror.Registries.Hosts() {
		req.Routes = append(req.Routes, engine.Route{Host: host, Prefix: b.mirror.prefix(host)})
	}
	req.Keep = held
	return nil
}

// held returns the needed images that the engine itself has and would take,
// which no registry may know. Who says --pull wants the registry's.
func (b *build) held(ctx context.Context) []string {
	args := buildx.ReadArgs(b.Args)
	h, ok := b.engine.(Holder)
	if !ok || args.Bool("pull") {
		return nil
	}
	var refs []string
	for _, im := range b.recipe.images() {
		refs = append(refs, im.ref)
	}
	held, err := h.Local(ctx, refs, args.Platforms(b.getenv))
	if err != nil {
		b.note(fmt.Sprintf("the engine's own images could not be listed: %v", err))
	}
	return held
}

// explain puts what could not be had from anywhere in the place of what the
// engine made of it.
func (b *build) explain(err error) error {
	if b.mirror == nil {
		return err
	}
	if missing := b.mirror.missing(); len(missing) > 0 {
		return &NoSourceError{Missing: missing, Err: err}
	}
	return err
}

func (b *build) answered(t fetch.Try) {
	b.tell(b.ledger.Answered(t.Endpoint, registryOf(t.Name), t.Kind, t.Bytes, t.Err))
}

func (b *build) served(s gateway.Served) {
	if !s.Stale.IsZero() {
		b.tell(b.ledger.Stale(s.Asset.Name, s.Stale))
	}
}

func (b *build) emit(e engine.Event) {
	if b.Emit != nil {
		b.Emit(e)
	}
}

func (b *build) note(line string) {
	b.tell(b.ledger.Note(line, line))
}

// tell passes on a line that is new; others are empty.
func (b *build) tell(line string) {
	if line != "" && b.Note != nil {
		b.Note(line)
	}
}
