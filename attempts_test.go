package outlast_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// fails is a build in which the step fails with this output.
func fails(step, output, err string) enginetest.Script {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return enginetest.Script{
		Events: []engine.Event{
			enginetest.Vertex(step, func(v *client.Vertex) { v.Started = &at }),
			enginetest.Log(step, output),
			enginetest.Vertex(step, func(v *client.Vertex) { v.Started, v.Completed, v.Error = &at, &at, err }),
		},
		Result: engine.Result{Outcome: engine.Failed, Failure: &engine.Failure{Message: err, Step: 0}},
	}
}

const exit1 = `process "/bin/sh -c x" did not complete successfully: exit code: 1`

func TestTryingAgain(t *testing.T) {
	outage := fails("[build 2/3] RUN go mod download", "go: github.com/a/b@v1.0.0: reading https://goproxy.example.com/github.com/a/b/@v/v1.0.0.zip: 503 Service Unavailable\n", exit1)
	tests := fails("[2/2] RUN go test ./...", "=== RUN TestX\n    x_test.go:9: dial tcp 192.0.2.1:443: connect: connection refused, 503 Service Unavailable, timeout\n--- FAIL: TestX (0.00s)\nFAIL\nFAIL\texample.com/x\t0.1s\n", exit1)
	compile := fails("[2/2] RUN go build .", "warning: the cache service is not available: 503\n# example.com/x\n./main.go:7:2: undefined: y\n", exit1)
	export := fails("exporting cache to registry", "", "error writing layer blob: failed to do request: Put \"https://cache.example.com/v2/x/blobs/uploads/1\": EOF")
	lost := enginetest.Script{Result: engine.Result{Outcome: engine.Unavailable}}
	push := fails("exporting to image", "", "failed to push r.example.com/x:1: unexpected status from PUT request to https://r.example.com/v2/x/manifests/1: 503 Service Unavailable")
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stuck := enginetest.Script{Hang: true, Events: []engine.Event{
		enginetest.Vertex("exporting cache to registry", func(v *client.Vertex) { v.Started = &began })}}
	hang := enginetest.Script{Hang: true}
	silent := enginetest.Script{Hang: true, Events: []engine.Event{
		enginetest.Vertex("exporting to image", func(v *client.Vertex) { v.Started = &began }),
		{Status: &client.SolveStatus{Statuses: []*client.VertexStatus{{ID: "pushing layers", Name: "pushing layers"}}}}}}
	good := enginetest.Script{}
	for _, tt := range []struct {
		name     string
		scripts  []enginetest.Script
		args     []string
		set      func(*config.Settings)
		want     record.Outcome
		attempts int
		least    time.Duration // of fake time
		most     time.Duration
		check    func(engine.Request) bool // of the last request
	}{
		{"a test that fails, in words of the network", []enginetest.Script{tests, good}, nil, nil, record.Failed, 1, 0, 0, nil},
		{"a compile error beside a warning of a cache", []enginetest.Script{compile, good}, nil, nil, record.Failed, 1, 0, 0, nil},
		{"a service that fails once", []enginetest.Script{outage, good}, nil, nil, record.Built, 2, time.Second / 2, time.Second, nil},
		{"a service that fails on and on", []enginetest.Script{outage}, nil, nil, record.NoSource, 3, 3 * time.Second / 2, 3 * time.Second, nil},
		{"no retry", []enginetest.Script{outage, good}, nil, func(s *config.Settings) { s.Build.Attempts = 1 }, record.NoSource, 1, 0, 0, nil},
		{"the time for waiting is up", []enginetest.Script{outage, good}, nil, func(s *config.Settings) { s.Build.Wait = time.Millisecond }, record.NoSource, 1, 0, 0, nil},
		{"the user's cache cannot be written", []enginetest.Script{export, good}, []string{"--cache-to", "type=registry,ref=cache.example.com/x"}, nil, record.Built, 2, 0, 0,
			func(r engine.Request) bool { return slices.Equal(r.Args, []string{"."}) && len(r.Flags) == 0 }},
		{"the user's cache does not take an end", []enginetest.Script{stuck, good}, []string{"--cache-to=type=registry,ref=cache.example.com/x", "--no-cache"}, nil, record.Built, 2, 3 * time.Minute, 3 * time.Minute,
			func(r engine.Request) bool { return slices.Equal(r.Args, []string{"."}) && len(r.Flags) == 0 }},
		{"the export of a cache may not fail the build", []enginetest.Script{good}, []string{"--cache-to", "cache.example.com/x", "--cache-to=type=inline"}, nil, record.Built, 1, 0, 0,
			func(r engine.Request) bool {
				return slices.Equal(r.Args, []string{"."}) &&
					slices.Equal(r.Flags, []string{"--cache-to=type=registry,ignore-error=true,ref=cache.example.com/x", "--cache-to=type=inline"})
			}},
		{"the push fails: no step runs again", []enginetest.Script{push, good}, []string{"--push", "--no-cache", "-t", "r.example.com/x:1", "--pull"}, nil, record.Built, 2, time.Second / 2, time.Second,
			func(r engine.Request) bool {
				return slices.Equal(r.Args, []string{"--push", "-t", "r.example.com/x:1", "."})
			}},
		{"the push hangs when only that is left", []enginetest.Script{push, hang}, []string{"--push"}, func(s *config.Settings) { s.Build.Idle = time.Hour }, record.NoSource, 2, 10 * time.Minute, 11 * time.Minute, nil},
		{"a push without a sign of life: no step runs again", []enginetest.Script{silent, good}, []string{"--push", "--no-cache", "-t", "r.example.com/x:1"}, nil, record.Built, 2, 10 * time.Minute, 11 * time.Minute,
			func(r engine.Request) bool {
				return slices.Equal(r.Args, []string{"--push", "-t", "r.example.com/x:1", "."})
			}},
		{"the builder goes away and comes back", []enginetest.Script{lost, good}, nil, nil, record.Built, 2, time.Second / 2, time.Second, nil},
		{"the builder stays away", []enginetest.Script{lost}, nil, nil, record.NoEngine, 3, time.Second, 3 * time.Second, nil},
		{"no sign of life, once", []enginetest.Script{hang, good}, nil, nil, record.Built, 2, 10 * time.Minute, 11 * time.Minute, nil},
		{"no sign of life, ever", []enginetest.Script{hang}, nil, nil, record.NoSource, 3, 30 * time.Minute, 31 * time.Minute, nil},
		{"the time of the strategy is up", []enginetest.Script{hang}, nil, func(s *config.Settings) { s.Build.Idle = time.Hour }, record.NoSource, 1, 40 * time.Minute, 40 * time.Minute, nil},
		{"the deadline of the build", []enginetest.Script{hang}, nil, func(s *config.Settings) { s.Build.Deadline = 15 * time.Minute }, record.NoSource, 2, 15 * time.Minute, 15 * time.Minute, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := config.Load(config.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if tt.set != nil {
				tt.set(&loaded.Settings)
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				e := &enginetest.Engine{Scripts: tt.scripts}
				run, err := outlast.Build(context.Background(), outlast.Options{Args: append(tt.args, "."), Dir: dir, Env: []string{}, Settings: loaded.Settings,
					Engine: e, Direct: true, Jitter: func() float64 { return 0.75 }})
				if run.Outcome != tt.want || (err == nil) != (tt.want == record.Built) || len(run.Attempts) != tt.attempts {
					t.Errorf("got %s after %d attempts, %v, want %s after %d", run.Outcome, len(run.Attempts), err, tt.want, tt.attempts)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("took %v, want %v to %v", took, tt.least, tt.most)
				}
				requests := e.Requests()
				if tt.check != nil && !tt.check(requests[len(requests)-1]) {
					t.Errorf("got the request %+v", requests[len(requests)-1])
				}
			})
		})
	}
}

func TestASubstituteIsNeverSilent(t *testing.T) {
	s := newStage(t)
	s.write(t, "Dockerfile", "# outlast: or "+s.host+"/base:1\nFROM "+s.host+"/gone:1\nRUN true\n")
	e := &enginetest.Engine{}
	var told []string
	run, err := outlast.Build(context.Background(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{}, Settings: s.settings, Engine: e,
		Note: func(line string) { told = append(told, line) }})
	if err != nil || run.Substitutes[s.host+"/gone:1"] != s.host+"/base:1" || len(run.Attempts) != 1 {
		t.Fatalf("got %v, substitutes %v after %d attempts", err, run.Substitutes, len(run.Attempts))
	}
	req := e.Requests()[0]
	if req.Contexts[s.host+"/gone:1"] != "docker-image://"+s.host+"/base:1" {
		t.Errorf("got contexts %v", req.Contexts)
	}
	if want := "--label=build.outlast.substitutes=" + s.host + "/gone:1=" + s.host + "/base:1"; !slices.Contains(req.Flags, want) {
		t.Errorf("got flags %q, want %q", req.Flags, want)
	}
	if !strings.Contains(strings.Join(told, "\n"), s.host+"/base:1 stands in for "+s.host+"/gone:1") {
		t.Errorf("got told %q", told)
	}
	s.write(t, "Dockerfile", "# outlast: or "+s.host+"/other:1\nFROM "+s.host+"/base:1\nRUN true\n")
	if run, err := s.build(e); err != nil || len(run.Substitutes) > 0 {
		t.Errorf("got %v, substitutes %v, want none where the image is there", err, run.Substitutes)
	}
}
