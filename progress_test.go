package outlast_test

import (
	"context"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/record"
)

// A build that runs shows the attempts that are past, and the steps of the one
// under way.
func TestProgress(t *testing.T) {
	s := newStage(t)
	p := new(outlast.Progress)
	var seen record.Run
	outage := fails("[build 2/3] RUN go mod download", "go: reading https://goproxy.example.com/a.zip: 503 Service Unavailable\n", exit1)
	second := enginetest.Script{
		Events: []engine.Event{enginetest.Vertex("[2/2] RUN true", func(v *client.Vertex) { v.Cached = true })},
		Run:    func(context.Context, engine.Request) error { seen = p.Snapshot(); return nil },
	}
	s.settings.Build.Wait = 1 << 40
	run, err := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{"A=b"}, Settings: s.settings, Progress: p,
		Engine: &enginetest.Engine{Scripts: []enginetest.Script{outage, second}}, Jitter: func() float64 { return 0 }})
	if err != nil || len(run.Attempts) != 2 {
		t.Fatalf("got %v and %d attempts", err, len(run.Attempts))
	}
	if seen.ID != run.ID || seen.Outcome != "" || len(seen.Attempts) != 2 || seen.Attempts[0].Kind == "" || seen.Took() <= 0 {
		t.Fatalf("got while it ran %+v", seen)
	}
	if a := seen.Attempts[1]; a.Strategy != "resilient" || a.Cached != 1 || len(a.Ran) != 1 || a.Ran[0].Name != "[2/2] RUN true" {
		t.Errorf("got the attempt under way as %+v", a)
	}
}
