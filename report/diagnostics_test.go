package report_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
)

func TestDiagnosticsTellEverything(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var l record.Ledger
	l.Answered("mirror.example.com", "docker.io", fault.None, 100, nil)
	l.Answered("mirror.example.com", "docker.io", fault.Timeout, 0, errors.New("no answer within 5s"))
	r := record.Run{
		ID: "run-1", Outcome: record.Failed, Started: start, Ended: start.Add(9 * time.Second), Builder: "box (remote)", Strategy: "resilient",
		Why: []string{"the needed services have 70 %"}, Error: "exit code: 1",
		Attempts: []record.Attempt{
			{Started: start, Ended: start.Add(3 * time.Second), Strategy: "optimal", Kind: fault.Timeout, Cause: "no answer", Steps: 4, Cached: 1,
				Diagnosis: &diagnose.Diagnosis{Kind: fault.Timeout, Service: "registry", Endpoint: "mirror.example.com", Retryable: true, FallbackHelps: true, Evidence: diagnose.Evidence{Line: 3, Text: "dial tcp: i/o timeout"},
					Answer: &diagnose.Answer{Endpoint: "mirror.example.com", Kind: fault.Timeout, Detail: "no answer within 2s"}}},
			{Started: start.Add(3 * time.Second), Ended: start.Add(9 * time.Second), Strategy: "resilient", Kind: fault.Build, Cause: "exit code: 1", Steps: 5, Cached: 4, Waited: 2500 * time.Millisecond,
				Diagnosis: &diagnose.Diagnosis{Kind: fault.Compile, Service: "compile", UserError: true, Evidence: diagnose.Evidence{Line: 9, Text: "./a.go:1:1: undefined: x"}}},
		},
	}
	l.Write(&r)
	r.Card = health.Scorecard{Categories: []health.Category{{Name: "DNS", Points: 15, Checks: []health.Check{{Name: "a", OK: true}, {Name: "gcr.io", Kind: fault.Timeout, Detail: "no answer within 2s"}}}}}
	r.After = &health.Scorecard{Categories: []health.Category{{Name: "DNS", Points: 15, Checks: []health.Check{{Name: "a", OK: true}}}}}
	got := report.Diagnostics(r, report.Details{Versions: map[string]string{"outlast": "v1", "docker client": "29"}, Step: "[2/2] RUN make", Log: strings.Split(strings.Repeat("more\n", 50)+"the end", "\n")})
	want := `the build failed in 9s; strategy resilient, 5 steps, 4 cached, 2 attempts
attempt 1: optimal, took 3s, 4 steps, 1 cached: timeout (mirror.example.com): dial tcp: i/o timeout
attempt 2: resilient, waited 2.5s, took 6s, 5 steps, 4 cached: user-compile (compile): ./a.go:1:1: undefined: x
mirror.example.com does not answer (1 of 2 requests): asked again

Run
  id: run-1
  started: 2026-01-02T03:04:05Z
  took: 9s
  builder: box (remote)
  strategy: resilient
  why: the needed services have 70 %
  error: exit code: 1

Services before the build
  score: 50 %
  gcr.io does not answer: no answer within 2s

Services after the build
  score: 100 %

Attempts
  1: optimal, took 3s, 4 steps, 1 cached: timeout (mirror.example.com): dial tcp: i/o timeout
  2: resilient, waited 2.5s, took 6s, 5 steps, 4 cached: user-compile (compile): ./a.go:1:1: undefined: x

Why they failed
  1: registry, timeout: another try or another route can help
     dial tcp: i/o timeout
     asked again after the failure, mirror.example.com does not answer: no answer within 2s
  2: compile, user-compile: your own to mend, another try would not help
     ./a.go:1:1: undefined: x

Services
  mirror.example.com for docker.io: asked 2, 100 bytes, timeout 1; last: no answer within 5s

Notes
  mirror.example.com does not answer

The step that failed: [2/2] RUN make
` + strings.Repeat("  more\n", 39) + `  the end

Versions
  docker client: 29
  outlast: v1
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
