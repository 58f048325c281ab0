// Package enginetest has what tests of builds need: an engine that plays a
// script, and the tests that every engine passes. The product never uses it.
package enginetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
)

// A Script is one build: what is told, and how it ends.
type Script struct {
	Events []engine.Event
	Stdout string

	// Hang makes the build wait, after its events, for the end of its context.
	Hang bool

	// Run, where it is set, is called after the events, with the request, and
	// may do what a real engine would: ask the gateway.
	Run func(ctx context.Context, req engine.Request) error

	// Result is what the build comes to. The steps and lines that the events
	// tell of are filled in where it has none. An empty Outcome means Built,
	// or Failed where Err or a Failure says so.
	Result engine.Result

	// Err is what Build returns; nil beside an Outcome other than Built means
	// an error of the kind that goes with it.
	Err error
}

// An Engine plays scripts: the first build the first one, and so on, and the
// last one ever after. Without a script every build succeeds at once. It is
// safe for concurrent use.
type Engine struct {
	Scripts []Script

	mu       sync.Mutex
	requests []engine.Request
}

// Requests returns the requests of all builds so far.
func (e *Engine) Requests() []engine.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]engine.Request(nil), e.requests...)
}

func (e *Engine) next(req engine.Request) Script {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.requests)
	e.requests = append(e.requests, req)
	if len(e.Scripts) == 0 {
		return Script{}
	}
	return e.Scripts[min(n, len(e.Scripts)-1)]
}

// Build plays the next script.
func (e *Engine) Build(ctx context.Context, req engine.Request, emit func(engine.Event)) (engine.Result, error) {
	s := e.next(req)
	var story engine.Story
	for _, ev := range s.Events {
		if ctx.Err() != nil {
			break
		}
		story.Add(ev)
		if emit != nil {
			emit(ev)
		}
	}
	var err error
	if s.Run != nil && ctx.Err() == nil {
		err = s.Run(ctx, req)
	}
	if s.Hang {
		select {
		case <-ctx.Done():
		case <-req.Kill:
		}
	}
	r := s.Result
	if r.Steps == nil {
		r.Steps = story.Steps()
	}
	if r.Lines == nil {
		r.Lines = story.Lines()
	}
	if ctx.Err() != nil {
		r.Outcome, r.Exit = engine.Interrupted, 130
		return r, &fault.Error{Op: "build", Kind: fault.Canceled, Err: context.Cause(ctx)}
	}
	if s.Err != nil {
		err = s.Err
	}
	return end(r, err, s.Stdout, req.Stdout)
}

// end fills in what goes with the outcome.
func end(r engine.Result, err error, text string, stdout io.Writer) (engine.Result, error) {
	if r.Outcome == "" {
		r.Outcome = engine.Built
		if err != nil || r.Failure != nil {
			r.Outcome = engine.Failed
		}
	}
	if r.Outcome == engine.Built {
		if stdout != nil {
			_, err = io.WriteString(stdout, text)
		}
		return r, err
	}
	if r.Exit == 0 {
		r.Exit = 1
	}
	if r.Failure == nil {
		r.Failure = &engine.Failure{Message: string(r.Outcome), Step: -1}
		if err != nil {
			r.Failure.Message = err.Error()
		}
	}
	if err == nil {
		err = &fault.Error{Op: "build", Kind: kinds[r.Outcome], Err: errors.New(r.Failure.Message)}
	}
	return r, err
}

var kinds = map[engine.Outcome]fault.Kind{
	engine.Failed:      fault.Unknown,
	engine.Refused:     fault.Config,
	engine.Unavailable: fault.Engine,
	engine.Interrupted: fault.Canceled,
}

// Vertex is an event about a step, whose digest is made from its name.
func Vertex(name string, change func(*client.Vertex)) engine.Event {
	v := &client.Vertex{Digest: digest.FromString(name), Name: name}
	if change != nil {
		change(v)
	}
	return engine.Event{Status: &client.SolveStatus{Vertexes: []*client.Vertex{v}}}
}

// Log is an event with output of the step of that name.
func Log(name, text string) engine.Event {
	l := &client.VertexLog{Vertex: digest.FromString(name), Stream: 1, Data: []byte(text)}
	return engine.Event{Status: &client.SolveStatus{Logs: []*client.VertexLog{l}}}
}

// Lines are events of plain text.
func Lines(text string) []engine.Event {
	var events []engine.Event
	for l := range strings.Lines(text) {
		events = append(events, engine.Event{Line: strings.TrimSuffix(l, "\n")})
	}
	return events
}
