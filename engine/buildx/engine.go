// Package buildx runs builds by `docker buildx build`, or by buildx alone. It
// reads the user's arguments without changing them, chooses the builder where
// the user did not, starts one of its own where there is none, puts the gateway
// in the way by a source policy, and reads the progress. It never draws
// anything, never decides whether to try again, and changes neither the user's
// files nor the state of the user's buildx.
package buildx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
)

// An Engine builds on a Builder. It is safe for concurrent use.
type Engine struct {
	Builder Builder

	// Grace is how long buildx may take to stop after an interrupt before it
	// is killed. Zero means 10 s.
	Grace time.Duration
}

// metadataLimit bounds the metadata that buildx writes; a provenance with all
// its materials has a few hundred kB.
const metadataLimit = 64 << 20

// Build runs one build, as engine.Engine says.
func (e *Engine) Build(ctx context.Context, req engine.Request, emit func(engine.Event)) (engine.Result, error) {
	args := ReadArgs(req.Args)
	dir, err := os.MkdirTemp("", "outlast-build-")
	if err != nil {
		return none(engine.Unavailable), &fault.Error{Op: "make a folder for the build", Kind: fault.Resource, Err: err}
	}
	defer os.RemoveAll(dir)

	job, err := e.prepare(args, req, dir)
	if err != nil {
		return none(engine.Refused), &fault.Error{Op: "prepare the build", Kind: fault.Config, Err: err}
	}
	var story engine.Story
	job.shown = append(job.shown, shownFor(req.Detours)...)
	names := engine.NamesOf(req.Routes, job.shown...)
	notice := func(ev engine.Event) {
		ev = names.Event(ev)
		story.Add(ev)
		if emit != nil {
			emit(ev)
		}
	}
	for _, n := range job.notes {
		notice(engine.Event{Line: "outlast: " + n})
	}
	code, err := job.run(ctx, req.Kill, notice)
	r := engine.Result{
		Exit: code, Steps: story.Steps(), Lines: story.Lines(), Notes: job.notes,
	}
	if err != nil && ctx.Err() == nil {
		r.Outcome = engine.Unavailable
		return r, &fault.Error{Op: "start " + e.Builder.CLI.String(), Kind: fault.Engine, Err: err}
	}
	if ctx.Err() != nil && code != 0 {
		r.Outcome = engine.Interrupted
		return r, &fault.Error{Op: "build", Kind: fault.Canceled, Err: context.Cause(ctx)}
	}
	classify(&r, &story)
	if r.Outcome == engine.Built {
		r.Metadata = readMetadata(job.metadata)
		return r, job.finish(r, req.Stdout)
	}
	r.GatewayUnreachable = witnessOf(req.Routes).convicts(r)
	r.Spoiled = spoiled(r)
	return r, errorOf(r)
}

func none(o engine.Outcome) engine.Result { return engine.Result{Outcome: o, Exit: -1} }

// A job is one run of buildx, all prepared.
type job struct {
	process
	metadata string // where buildx writes it
	quiet    bool
	reads    bool // standard input
	notes    []string
	shown    []string // pairs for engine.NamesOf
}

// prepare turns the request into a command line, an environment and files in
// dir. It starts nothing.
func (e *Engine) prepare(args Args, req engine.Request, dir string) (*job, error) {
	j := &job{quiet: args.Quiet()}
	env := environ(req.Env, e.Builder.Env...)
	add := []string{"--progress=rawjson"}
	if args.Bool("quiet") {
		// buildx takes -q together with no other display. What -q prints in
		// the end is printed by finish.
		add = append(add, "--quiet=false")
	}
	if j.metadata = args.Last("metadata-file"); j.metadata == "" {
		j.metadata = filepath.Join(dir, "metadata.json")
		add = append(add, "--metadata-file="+j.metadata)
		// It would be a further question to the daemon, and a further step
		// in the display, for a file that the user knows nothing of.
		env = append(env, "BUILDX_METADATA_PROVENANCE=disabled")
	} else {
		j.metadata = within(req.Dir, j.metadata)
	}
	if e.Builder.Flag {
		add = append(add, "--builder="+e.Builder.Name)
	}
	add = append(add, req.Flags...)
	add = append(add, contextFlags(req.Contexts, args.Contexts())...)
	file, err := standIn(req, args, dir)
	if err != nil {
		return nil, fmt.Errorf("put a Dockerfile in place: %w", err)
	}
	add, j.shown = append(add, file.flags...), file.shown
	secrets, err := secretFlags(req.Secrets, args, dir)
	if err != nil {
		return nil, fmt.Errorf("write secrets: %w", err)
	}
	add = append(add, secrets...)

	user, err := readPolicy(within(req.Dir, getenv(env, policyEnv)))
	if err != nil {
		return nil, err
	}
	p := policyOf(req, user)
	j.notes = append(j.notes, p.notes...)
	if p.file != nil {
		file := filepath.Join(dir, "policy.json")
		if err := p.write(file); err != nil {
			return nil, fmt.Errorf("write source policy: %w", err)
		}
		env = append(env, policyEnv+"="+file)
	}
	cli := e.Builder.Runs
	if cli.Path == "" {
		cli = e.Builder.CLI
	}
	grace := e.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	j.process = process{
		Path: cli.Path, Args: append(append(append([]string(nil), cli.Args...), "build"), args.With(add...)...),
		Dir: req.Dir, Env: env, Stdout: req.Stdout, Grace: grace,
	}
	j.Stdin, j.reads = req.Stdin, readsStdin(args)
	return j, nil
}

func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// run runs buildx and hands on what it says. No event comes after it returned.
func (j *job) run(ctx context.Context, kill <-chan struct{}, emit func(engine.Event)) (int, error) {
	stdin, release, err := detach(j.Stdin, j.reads)
	if err != nil {
		return -1, err
	}
	defer release()
	pr, pw := io.Pipe()
	j.Stdin, j.Stderr = stdin, pw
	read := make(chan error, 1)
	go func() { read <- decode(pr, lineLimit, emit) }()
	code, err := j.process.run(ctx, kill)
	pw.Close()
	<-read
	return code, err
}

// finish prints what `buildx build -q` prints in the end, where that was asked
// for: with any other display it does not.
func (j *job) finish(r engine.Result, stdout io.Writer) error {
	if !j.quiet || stdout == nil {
		return nil
	}
	if _, err := fmt.Fprintln(stdout, r.ID()); err != nil {
		return fmt.Errorf("print the image ID: %w", err)
	}
	return nil
}

func readMetadata(path string) map[string]json.RawMessage {
	data, err := readBounded(path, metadataLimit)
	if err != nil {
		return nil // buildx writes it only for a build that succeeded
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(data, &m) != nil {
		return nil
	}
	return m
}

// errorOf makes a result that is not Built into an error.
func errorOf(r engine.Result) error {
	kind := kinds[r.Outcome]
	msg := fmt.Sprintf("exit code %d", r.Exit)
	if r.Failure != nil && r.Failure.Message != "" {
		msg = r.Failure.Message
	}
	return &fault.Error{Op: "build", Kind: kind, Err: errors.New(strings.TrimSpace(msg))}
}

// kinds are the kinds of failure that an outcome alone can name. Why a build
// failed is for a diagnosis to say.
var kinds = map[engine.Outcome]fault.Kind{
	engine.Failed:      fault.Unknown,
	engine.Refused:     fault.Config,
	engine.Unavailable: fault.Engine,
	engine.Interrupted: fault.Canceled,
}
