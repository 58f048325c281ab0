package engine

import (
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// What is kept of the output of a build, at most. A step's last lines say why
// it failed; a diagnosis never needs more than that.
const (
	StepLog  = 64 << 10 // bytes of one step's output
	TotalLog = 4 << 20  // bytes of all steps' output
	TextLog  = 64 << 10 // bytes of plain text

	maxSteps = 10_000 // steps of one build; what comes beyond is not kept
)

// A Step is one step of a build: an instruction, or work of the engine's own.
type Step struct {
	Digest    digest.Digest
	Name      string
	Started   time.Time // zero: not started
	Completed time.Time // zero: not completed
	Cached    bool
	Error     string
	Log       []byte // the end of its output, at most StepLog bytes
	Cut       bool   // the beginning of Log is missing
}

// A Story collects what is told of a build and keeps the end of it within
// bounds. Its zero value is an empty story. It is not safe for concurrent use.
type Story struct {
	steps  []Step
	index  map[digest.Digest]int
	logged int
	lines  []string
	text   int
}

// Add takes the event into the story. It keeps nothing of the event itself.
func (s *Story) Add(e Event) {
	if e.Status == nil {
		s.line(e.Line)
		return
	}
	for _, v := range e.Status.Vertexes {
		s.vertex(v)
	}
	for _, l := range e.Status.Logs {
		s.log(l)
	}
}

// Steps returns the steps so far, in the order in which they were first heard
// of. The story must not be added to afterwards.
func (s *Story) Steps() []Step { return s.steps }

// Lines returns the last lines of plain text.
func (s *Story) Lines() []string { return s.lines }

// Failing returns the index of the step that made the build fail, or -1. Of
// several with an error it is the one that completed first, for what follows a
// failure is cancelled; a step that says itself that it was cancelled is taken
// only where there is no other.
func (s *Story) Failing() int {
	found := -1
	for i, step := range s.steps {
		if step.Error == "" {
			continue
		}
		if found < 0 || before(step, s.steps[found]) {
			found = i
		}
	}
	return found
}

func before(a, b Step) bool {
	if ac, bc := canceled(a), canceled(b); ac != bc {
		return bc
	}
	return !a.Completed.IsZero() && (b.Completed.IsZero() || a.Completed.Before(b.Completed))
}

func canceled(s Step) bool {
	return strings.HasSuffix(s.Error, "context canceled") || strings.HasPrefix(s.Error, "Canceled:")
}

func (s *Story) step(d digest.Digest) *Step {
	if i, ok := s.index[d]; ok {
		return &s.steps[i]
	}
	if d == "" || len(s.steps) == maxSteps {
		return nil
	}
	if s.index == nil {
		s.index = make(map[digest.Digest]int)
	}
	s.index[d] = len(s.steps)
	s.steps = append(s.steps, Step{Digest: d})
	return &s.steps[len(s.steps)-1]
}

// vertex takes a record of a step. The last one wins, but what was known and
// is not repeated stays: BuildKit sends a step's records whole, a step that
// goes on after it was completed (a lazy layer) comes without its end.
func (s *Story) vertex(v *client.Vertex) {
	if v == nil {
		return
	}
	step := s.step(v.Digest)
	if step == nil {
		return
	}
	if v.Name != "" {
		step.Name = v.Name
	}
	if v.Started != nil && (step.Started.IsZero() || v.Started.Before(step.Started)) {
		step.Started = *v.Started
	}
	step.Completed = time.Time{}
	if v.Completed != nil {
		step.Completed = *v.Completed
	}
	step.Cached = step.Cached || v.Cached
	if v.Error != "" {
		step.Error = v.Error
	}
}

func (s *Story) log(l *client.VertexLog) {
	if l == nil {
		return
	}
	step := s.step(l.Vertex)
	if step == nil {
		return
	}
	data := l.Data
	if len(data) > StepLog {
		data, step.Cut = data[len(data)-StepLog:], true
	}
	s.logged -= len(step.Log)
	step.Log = append(step.Log, data...)
	if over := len(step.Log) - StepLog; over > 0 {
		step.Log, step.Cut = append(step.Log[:0], step.Log[over:]...), true
	}
	s.logged += len(step.Log)
	s.trim(step)
}

// trim makes room where all steps together said too much. The steps that
// completed well give first, for nobody will ask why they failed.
func (s *Story) trim(keep *Step) {
	for _, done := range []bool{true, false} {
		for i := range s.steps {
			if s.logged <= TotalLog {
				return
			}
			step := &s.steps[i]
			if step == keep || len(step.Log) == 0 || done && (step.Completed.IsZero() || step.Error != "") {
				continue
			}
			s.logged -= len(step.Log)
			step.Log, step.Cut = nil, true
		}
	}
}

func (s *Story) line(l string) {
	if len(l) > TextLog {
		l = l[:TextLog]
	}
	s.lines = append(s.lines, strings.Clone(l))
	s.text += len(l) + 1
	for s.text > TextLog && len(s.lines) > 1 {
		s.text -= len(s.lines[0]) + 1
		s.lines = s.lines[1:]
	}
}
