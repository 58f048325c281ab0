// Package engine says what a build engine must do: run one build of the user's
// arguments, tell what happens while it happens, and keep what later stages
// need to know of it: each step with its output and its error. It never runs
// anything itself, never decides whether to try again and prints nothing.
package engine

import (
	"context"
	"encoding/json"
	"io"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// An Engine builds images.
type Engine interface {
	// Build runs one build to its end. It calls emit from one goroutine at a
	// time, and never after it returned. The error is nil exactly where the
	// Result's Outcome is Built; else it is a *fault.Error. The Result is
	// filled in as far as the build came, also beside an error. When ctx
	// ends, Build asks the engine to stop, waits for it within a bound of its
	// own, and returns with nothing left running; the Outcome is Interrupted.
	// Several Builds may run at once.
	Build(ctx context.Context, req Request, emit func(Event)) (Result, error)
}

// A Request is one build.
type Request struct {
	// Args are the user's arguments of `docker buildx build`, the context
	// among them, handed on byte for byte and in their order.
	Args []string

	// Dir is the working directory; empty means the process's own.
	Dir string

	// Env is the environment; nil means the process's own.
	Env []string

	Stdin  io.Reader // nil: empty
	Stdout io.Writer // what the engine prints as its result; nil: dropped

	// Routes send each registry host through the gateway.
	Routes []Route

	// Detours send what ADD asks for through the gateway: files by their
	// addresses, and git repositories.
	Detours []Detour

	// Pins give the digest that a reference must have. The reference is
	// normalised (docker.io/library/golang:1.26) and goes by its host's route
	// if there is one.
	Pins map[string]digest.Digest

	// Keep are references, normalised, that no route applies to: images that
	// the engine holds itself.
	Keep []string

	// Flags are flags of `docker buildx build` to add to Args, each in one
	// piece ("--label=a=b"). Of a flag whose last use wins they win.
	Flags []string

	// Contexts are build contexts to add, by the reference that they stand
	// for, as the Dockerfile writes it. Where the user named a context for the
	// same reference, that one stays.
	Contexts map[string]string

	// Dockerfile is the path of the file to build in place of the one that
	// Args name; empty means that one. The ignore file and the policy beside
	// it hold if there are any, else those beside the user's own. It does not
	// go with a context from standard input or from a remote address, nor do
	// the two below.
	Dockerfile string

	// Text, where it is not nil, is what is built as that Dockerfile: what
	// the file, or standard input, says, and something more. All that goes by
	// the file's name stays.
	Text []byte

	// Added are the pieces that only Text has. They are taken out of
	// whatever is shown.
	Added []string

	// Secrets are the build's secrets by their id, for the mounts of a
	// Dockerfile. Where the user gave one of the same id, that one stays.
	// The engine shows them to nobody else and keeps nothing of them.
	Secrets map[string][]byte

	// Kill, when closed, ends the build at once: what was asked to stop by
	// the end of ctx and has not is killed. Nil: only the bound ends the wait.
	Kill <-chan struct{}
}

// A Route sends the images of a registry host elsewhere.
type Route struct {
	// Host is a registry as references name it: docker.io, or with a port.
	Host string

	// Prefix stands in place of Host: "127.0.0.1:5100/docker.io".
	Prefix string
}

// A Detour sends what an ADD asks a web server for elsewhere.
type Detour struct {
	// Address is the file's, with variables put in, or that of a git
	// repository: "https://git.example.com/o/r.git".
	Address string

	// Checksum is that of the ADD, if it has one. It tells uses of the same
	// address apart.
	Checksum string

	// Git says that Address is a repository, of which Point is meant: a branch,
	// a tag, a commit, or, where it is empty, the default branch.
	Git   bool
	Point string

	// At is the address on the gateway that stands in its place.
	At string
}

// An Event is one piece of news of a running build: a status, or a line of
// plain text without its end.
type Event struct {
	Status *client.SolveStatus
	Line   string
}

// An Outcome says how a build ended.
type Outcome string

// The ways in which a build can end.
const (
	Built       Outcome = "built"
	Failed      Outcome = "failed"      // the engine ran it, and it failed
	Refused     Outcome = "refused"     // the arguments were not taken; nothing ran
	Unavailable Outcome = "unavailable" // there was no engine to run it, or it went away
	Interrupted Outcome = "interrupted" // by the end of ctx, or by a signal
)

// A Result is what is known of a build when it ended.
type Result struct {
	Outcome Outcome

	// Exit is the exit code of the engine's process: 0 is success, -1 means
	// that it had none (it was killed, or never started).
	Exit int

	// Steps are all steps, in the order in which they were first heard of.
	Steps []Step

	// Failure tells of what went wrong; nil where Outcome is Built.
	Failure *Failure

	// Lines are the last lines of plain text, up to 64 KiB of them.
	Lines []string

	// Metadata is what the engine wrote of the finished build, as its
	// `--metadata-file` has it. It is nil where there is none.
	Metadata map[string]json.RawMessage

	// GatewayUnreachable is set where the build failed since the engine
	// could not connect to the address that the Routes lead to.
	GatewayUnreachable bool

	// Spoiled names content of which the engine holds on to spoiled bytes, by
	// its digest or the engine's own name for it: it fails for as long as it
	// does. Empty where there is none.
	Spoiled string

	// Notes are for the user: what was not done, and why.
	Notes []string
}

// Image returns the digest of the image that was built, or "" where it is not
// known.
func (r Result) Image() digest.Digest { return r.digest("containerimage.digest") }

// ID returns what the engine calls the image ID: the digest of its
// configuration where that is known, else of the image.
func (r Result) ID() digest.Digest {
	if d := r.digest("containerimage.config.digest"); d != "" {
		return d
	}
	return r.Image()
}

// Ref returns the engine's own name for this build, builder/node/id, or "".
func (r Result) Ref() string { return r.text("buildx.build.ref") }

func (r Result) text(key string) string {
	var s string
	if json.Unmarshal(r.Metadata[key], &s) != nil {
		return ""
	}
	return s
}

func (r Result) digest(key string) digest.Digest {
	d, err := digest.Parse(r.text(key))
	if err != nil {
		return ""
	}
	return d
}

// A Failure says what went wrong in a build.
type Failure struct {
	// Message is the engine's own, without decoration.
	Message string

	// Step is the step that failed: an index into the Result's Steps, or -1
	// where the build failed outside of any step.
	Step int

	// Source is the place in the Dockerfile, where the engine named it.
	Source *Source
}

// A Source is an excerpt of a file with the lines that an error is about.
type Source struct {
	File    string
	Line    int    // the first of the lines that are marked, from 1
	Excerpt string // as the engine draws it
}

// FailedStep returns the step that failed, or nil.
func (r *Result) FailedStep() *Step {
	if r.Failure == nil || r.Failure.Step < 0 || r.Failure.Step >= len(r.Steps) {
		return nil
	}
	return &r.Steps[r.Failure.Step]
}
