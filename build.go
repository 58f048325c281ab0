package outlast

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
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
	Offline  bool            // nothing is asked for anywhere: the local store has it, or nobody
	Debug    bool            // say why everything is done as it is
	Kill     <-chan struct{} // when closed, what does not stop is killed

	// Survey measures the services first. Nil means that nothing is measured,
	// and all counts as well.
	Survey func(context.Context, SurveyOptions) health.Scorecard

	// Confirm asks a service that a failure is blamed on whether it is well. Nil
	// means that nobody is asked. Nor is anybody where the build is Offline.
	Confirm func(context.Context, SurveyOptions, diagnose.Diagnosis) (diagnose.Answer, bool)

	// Jitter returns a number in [0, 1). Nil means chance.
	Jitter func() float64

	// Tried is told of each request to an upstream, at once from many places.
	// Nil: nobody is.
	Tried func(fetch.Try)

	// Progress is kept up to date for whoever looks on. Nil: nobody does.
	Progress *Progress

	// Engine builds. Nil means buildx, with the builder that it chooses. One
	// that is given may also be a Reacher, a Healer, a Holder, a
	// Grounder and a Returner.
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

// A Returner is an engine whose builder can go away and come back.
type Returner interface {
	// Returned looks for that builder, and starts nothing. It returns the
	// engine to go on with, where the builder is there.
	Returned(context.Context) (engine.Engine, bool)
}

// A Holder is an engine with images of its own, such as those of a Docker
// Engine, that builds on it take in place of the registry's. Of the references,
// all in full, it returns those that it holds for all of the platforms.
type Holder interface {
	Local(ctx context.Context, refs, platforms []string) ([]string, error)
}

// A build is one run of Build.
type build struct {
	Options
	run       *record.Run
	ledger    *record.Ledger
	recipe    recipe  // of the Dockerfile that the user means
	resilient *recipe // of the Dockerfile.resilient beside it; nil where there is none
	lock      Lock    // of the Dockerfile; empty where there is none
	engine    engine.Engine
	mirror    *serving // nil where there is no gateway
	packages  PackageSources
	projects  node
	opened    map[string]bool // whether the gateway goes to a host of an ADD, where that was asked
	board     *health.Board
	watch     atomic.Pointer[watch] // of the attempt under way
	waits     backoff.Budget        // between attempts

	coming <-chan health.Scorecard // nil once it came
	card   health.Scorecard        // without checks where it has not come yet
	absent []string                // references with substitutes that no source has
	past   []plan.Past

	ghaCaches ghaCaches
	broken    []imported      // caches that made the last attempt fail
	dropped   map[string]bool // caches that stay out of the rest of the build, by where they are
}

// Build builds an image, through outages where it must. The record is filled
// in as far as the build came. The error is nil exactly where the Outcome is
// record.Built.
func Build(ctx context.Context, o Options) (record.Run, error) {
	b := newBuild(o)
	b.Progress.show(b.run, b.ledger)
	err := b.do(ctx)
	b.run.Ended = time.Now()
	b.ledger.Write(b.run)
	b.run.Outcome = outcomeOf(ctx, err)
	if err != nil {
		b.run.Error = err.Error()
	}
	return b.run.Redacted(redact.ForBuild(b.Args, b.environ()).Text), err
}

// projectOf is the folder that a build is of: its context where that is on
// this disk, else where it was started.
func projectOf(o Options) string {
	if context, _ := buildx.ReadArgs(o.Args).Context(); context != "" && context != "-" && !remote(context) {
		return against(o.Dir, context)
	}
	return o.Dir
}

func (b *build) environ() []string {
	if b.Env == nil {
		return os.Environ()
	}
	return b.Env
}

func newBuild(o Options) *build {
	if o.Offline {
		o.Survey, o.Confirm = nil, nil // nobody is asked whether he is well
		o.Settings.Build.Strategy = string(plan.Emergency)
	}
	return &build{Options: o, ledger: new(record.Ledger), board: new(health.Board),
		waits: backoff.Budget{Left: o.Settings.Build.Wait},
		run:   &record.Run{ID: rand.Text(), Kind: record.KindBuild, Version: o.Version, Started: time.Now(), Context: Surroundings(o.Env, projectOf(o))}}
}

func (b *build) do(ctx context.Context) error {
	if err := b.read(); err != nil {
		return err
	}
	// The services are measured while the builder is looked for: each takes
	// its time without the other.
	surveying, stop := context.WithCancel(ctx)
	defer stop()
	b.coming = b.assess(surveying, false)
	if err := b.chooseEngine(ctx, false); err != nil {
		return err
	}
	if err := b.openGateway(ctx); err != nil {
		return err
	}
	defer b.closeGateway()
	defer b.closeGHA(ctx)
	if err := b.takeCard(ctx); err != nil {
		return err
	}
	b.findAbsent(ctx)
	err := b.attempts(ctx)
	b.lateCard()
	b.lookAgain(ctx, err)
	if err == nil && b.mirror != nil {
		b.mirror.wants.keep(b.mirror.store, b.recipe.path, time.Now())
	}
	return err
}

// openGateway starts the gateway of the build, unless the user wants none.
func (b *build) openGateway(ctx context.Context) error {
	if b.Direct {
		return nil
	}
	var err error
	b.packages = FindPackages(ctx, b.Settings, b.Env, b.managers())
	b.projects = readNode(b.contextDir())
	b.packages.NPM.Others = b.projects.scopes
	b.mirror, err = serve(ctx, GatewayOptions{Settings: b.Settings, Hosts: b.hosts(), Files: b.webHosts(), Board: b.board,
		Packages: b.packages,
		Offline:  b.Offline, OnTry: b.answered, OnServe: b.served, OnBytes: b.alive, Once: true, Warn: b.note})
	return err
}

func (b *build) closeGateway() {
	if b.mirror != nil {
		b.mirror.close()
	}
}

// read reads the Dockerfile, and the Dockerfile.resilient beside it.
func (b *build) read() error {
	var err error
	if b.recipe, err = readRecipe(b.args(), b.Dir, b.Stdin, b.getenv); err != nil {
		return err
	}
	b.run.Needs = needsOf(b.recipe.needs)
	if b.lock, err = readLock(lockPath(b.recipe.path)); err != nil {
		return err
	}
	for i, n := range b.run.Needs {
		_, b.run.Needs[i].Locked = b.lock.Images[n.Ref]
	}
	if open := b.lock.open(b.recipe); len(open) > 0 {
		b.note(fmt.Sprintf("%s does not lock %s: outlast lock adds it", LockName, strings.Join(open, ", ")))
	}
	if b.resilient, err = readResilient(b.recipe.path, b.args(), b.getenv); err != nil {
		b.note(fmt.Sprintf("Dockerfile.resilient is not used: %v", err))
	}
	return nil
}

func (b *build) args() buildx.Args { return buildx.ReadArgs(b.Args) }

// alive tells the attempt under way that bytes arrive.
func (b *build) alive() {
	if w := b.watch.Load(); w != nil {
		w.alive()
	}
}

func (b *build) getenv(name string) (string, bool) { return lookupIn(b.Env, name) }

// chooseEngine looks for a builder, and starts Outlast's own where there is no
// other and it may.
func (b *build) chooseEngine(ctx context.Context, idle bool) error {
	if b.engine = b.Engine; b.engine != nil {
		return nil
	}
	chosen, err := buildx.Choose(ctx, buildx.Search{Args: b.args(), Env: b.Env, Idle: idle})
	if err != nil {
		return err
	}
	b.use(chosen)
	return nil
}

// use builds on a builder from now on.
func (b *build) use(chosen buildx.Builder) {
	b.engine = onBuilder{&buildx.Engine{Builder: chosen}, b.Env, b.args()}
	passed := slices.DeleteFunc(slices.Clone(chosen.Passed), func(why string) bool { return strings.HasSuffix(why, ": not set") })
	if len(passed) > 0 {
		b.note(fmt.Sprintf("building on %s; passed over: %s", chosen.Origin, strings.Join(passed, "; ")))
	}
	if b.Chosen != nil {
		b.Chosen(chosen.Name, chosen.Driver)
	}
	b.run.Builder = fmt.Sprintf("%s (%s, %s)", chosen.Name, chosen.Driver, chosen.Origin)
	b.Progress.show(b.run, b.ledger)
}

// onBuilder is buildx with a builder, and what can be asked of that.
type onBuilder struct {
	*buildx.Engine
	env  []string
	args buildx.Args
}

func (o onBuilder) Reaches() (bool, string) { return o.Builder.Reaches() }

func (o onBuilder) Shares(network string) (bool, string) { return o.Builder.Shares(network) }

func (o onBuilder) Layouts(ctx context.Context) bool { return o.Builder.Layouts(ctx, o.env) }

func (o onBuilder) Returned(ctx context.Context) (engine.Engine, bool) {
	found, err := buildx.Choose(ctx, buildx.Search{Args: o.args, Env: o.env, Idle: true})
	if err != nil || found.Name != o.Builder.Name {
		return nil, false
	}
	return onBuilder{&buildx.Engine{Builder: found}, o.env, o.args}, true
}

func (o onBuilder) Heal(ctx context.Context) error { return o.Builder.Heal(ctx, o.env) }

func (o onBuilder) Ground(ctx context.Context) engine.Ground { return o.Builder.Ground(ctx) }

func (o onBuilder) Local(ctx context.Context, refs, platforms []string) ([]string, error) {
	return o.Builder.Local(ctx, o.env, refs, platforms)
}

func (b *build) answered(t fetch.Try) {
	if b.Tried != nil {
		b.Tried(t)
	}
	b.tell(b.ledger.Answered(t.Endpoint, t.Serves, t.Kind, t.Bytes, t.Err))
	b.ledger.Took(t.Endpoint, t.Serves, t.Origin, t.Kind, t.Took)
}

func (b *build) served(s gateway.Served) {
	if !s.Stale.IsZero() {
		b.tell(b.ledger.Stale(s.Asset.Name, s.Stale))
	}
}

func (b *build) emit(e engine.Event) {
	b.Progress.add(e)
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
