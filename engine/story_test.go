package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/engine"
)

func at(second int) *time.Time {
	t := time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)
	return &t
}

func vertexes(vs ...*client.Vertex) engine.Event {
	return engine.Event{Status: &client.SolveStatus{Vertexes: vs}}
}

func log(d digest.Digest, data string) engine.Event {
	return engine.Event{Status: &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: d, Data: []byte(data)}}}}
}

func TestStory(t *testing.T) {
	var s engine.Story
	for _, e := range []engine.Event{
		vertexes(&client.Vertex{Digest: "a", Name: "FROM x"}, &client.Vertex{Digest: "b", Name: "RUN y"}),
		vertexes(&client.Vertex{Digest: "a", Name: "FROM x", Started: at(1), Completed: at(2)}),
		vertexes(&client.Vertex{Digest: "a", Name: "FROM x", Started: at(3)}),
		log("b", "one\n"), log("b", "two\n"),
		{Line: "a line"},
		vertexes(&client.Vertex{Digest: "c", Name: "COPY z", Started: at(4), Completed: at(4), Cached: true}),
		vertexes(&client.Vertex{Digest: "b", Name: "RUN y", Started: at(4), Completed: at(5), Error: "exit code: 7"}),
		vertexes(nil, &client.Vertex{Name: "no digest"}),
	} {
		s.Add(e)
	}
	want := []engine.Step{
		{Digest: "a", Name: "FROM x", Started: *at(1)},
		{Digest: "b", Name: "RUN y", Started: *at(4), Completed: *at(5), Error: "exit code: 7", Log: []byte("one\ntwo\n")},
		{Digest: "c", Name: "COPY z", Started: *at(4), Completed: *at(4), Cached: true},
	}
	if d := cmp.Diff(want, s.Steps()); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if d := cmp.Diff([]string{"a line"}, s.Lines()); d != "" {
		t.Errorf("lines: want -, got +:\n%s", d)
	}
	if got := s.Failing(); got != 1 {
		t.Errorf("failing: got %d, want 1", got)
	}
}

func TestTheFailingStep(t *testing.T) {
	const canceled = "process \"/bin/sh -c x\" did not complete successfully: context canceled"
	for _, tt := range []struct {
		name string
		vs   []*client.Vertex
		want int
	}{
		{"none", []*client.Vertex{{Digest: "a"}}, -1},
		{"the first of two to end", []*client.Vertex{{Digest: "a", Completed: at(5), Error: "late"}, {Digest: "b", Completed: at(4), Error: "early"}}, 1},
		{"not one that was cancelled, though it ended first", []*client.Vertex{{Digest: "a", Completed: at(4), Error: canceled}, {Digest: "b", Completed: at(5), Error: "exit code: 1"}}, 1},
		{"one that was cancelled, where there is no other", []*client.Vertex{{Digest: "a"}, {Digest: "b", Completed: at(4), Error: canceled}}, 1},
		{"one that never completed", []*client.Vertex{{Digest: "a", Error: "broken"}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s engine.Story
			s.Add(vertexes(tt.vs...))
			if got := s.Failing(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAStoryIsBounded(t *testing.T) {
	var s engine.Story
	const steps = 200
	chunk := strings.Repeat("x", 10_000) + "\n"
	for i := range steps {
		d := digest.Digest(fmt.Sprint("step ", i))
		s.Add(vertexes(&client.Vertex{Digest: d, Started: at(1)}))
		for range 10 {
			s.Add(log(d, chunk))
		}
		s.Add(log(d, fmt.Sprint("end of ", i)))
		if i != 3 {
			s.Add(vertexes(&client.Vertex{Digest: d, Started: at(1), Completed: at(2)}))
		}
		s.Add(engine.Event{Line: chunk})
	}
	total := 0
	for i, step := range s.Steps() {
		total += len(step.Log)
		if len(step.Log) > engine.StepLog {
			t.Errorf("step %d keeps %d bytes", i, len(step.Log))
		}
		if !step.Cut {
			t.Errorf("step %d does not say that its log was cut", i)
		}
	}
	if total > engine.TotalLog {
		t.Errorf("got %d bytes in all, want at most %d", total, engine.TotalLog)
	}
	for _, i := range []int{3, steps - 1} {
		if want := fmt.Sprint("end of ", i); !bytes.HasSuffix(s.Steps()[i].Log, []byte(want)) {
			t.Errorf("step %d lost the end of its log", i)
		}
	}
	text := 0
	for _, l := range s.Lines() {
		text += len(l)
	}
	if text > engine.TextLog || text < engine.TextLog/2 {
		t.Errorf("got %d bytes of text, want about %d", text, engine.TextLog)
	}
}

func TestAStoryKeepsNothingOfTheEvent(t *testing.T) {
	var s engine.Story
	e := log("a", "good")
	s.Add(e)
	copy(e.Status.Logs[0].Data, "evil")
	if got := string(s.Steps()[0].Log); got != "good" {
		t.Errorf("got %q, want good", got)
	}
}
