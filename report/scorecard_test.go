package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/report"
)

const ms = time.Millisecond

// card is an assessment with a check of every sort.
func card(known bool) health.Scorecard {
	return health.Scorecard{Known: known, Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 2 * time.Second, Categories: []health.Category{
		{Name: health.ActionsCache, Points: 20},
		{Name: health.Registries, Points: 30, Checks: []health.Check{
			{Name: "gcr.io", Target: "gcr.io", OK: true, Took: 12 * ms, Detail: "manifest of 9 bytes"},
			{Name: "docker.io", Target: "registry-1.docker.io", For: "docker.io", Needed: true, Took: 2 * time.Second, Kind: fault.Timeout, Detail: "no answer within 2s"},
			{Name: "ghcr.io", Target: "ghcr.io", Kind: fault.HTML, Detail: "a web page with status 200"},
		}},
		{Name: health.OtherRegistries, Points: 10, Checks: []health.Check{
			{Name: "r.example.com", OK: true, Needed: true, Took: 3 * ms, Kind: fault.Auth, Detail: "team/app:1: status 401"}}},
		{Name: health.GoProxies, Points: 25, Checks: []health.Check{{Name: "goproxy.example.com", OK: true, Took: 34 * ms}}},
		{Name: health.Names, Points: 15, Checks: []health.Check{
			{Name: "a.example.com", OK: true}, {Name: "b.example.com", OK: true},
			{Name: "c.example.com", Kind: fault.DNS, Detail: "no such host"}, {Name: "d.example.com", Kind: fault.DNS, Detail: "no such host"},
			{Name: "e.example.com", Kind: fault.DNS, Detail: "no such host", Needed: true},
		}},
		{Name: health.Internet, Points: 10, Checks: []health.Check{{Name: "Internet", For: "apt, github.com", OK: true, Took: 1 * ms}}},
		{Name: health.Mirrors, Checks: []health.Check{{Name: "mirror.example.com", For: "docker.io", OK: true, Took: 5 * ms}}},
	}}
}

func TestScorecardLines(t *testing.T) {
	for _, tt := range []struct {
		name  string
		known bool
		want  []report.Line
		score []string
	}{
		{"without a Dockerfile", false, []report.Line{
			{report.Unasked, "GitHub Actions cache: not applicable"},
			{report.Well, "gcr.io responsive (12ms)"},
			{report.Uneasy, "docker.io may be experiencing issues: does not answer: no answer within 2s"},
			{report.Uneasy, "ghcr.io may be experiencing issues: answers with an HTML page: a web page with status 200"},
			{report.Uneasy, "r.example.com responsive (3ms), and refuses access: team/app:1: status 401"},
			{report.Well, "Go proxy goproxy.example.com responsive (34ms)"},
			{report.Uneasy, "DNS does not resolve c.example.com, d.example.com, e.example.com: no such host"},
			{report.Well, "DNS resolves the other 2 of 5 names"},
			{report.Well, "Internet (for apt, github.com) responsive (1ms)"},
			{report.Well, "mirror mirror.example.com of docker.io responsive (5ms)"},
		}, []string{"Infrastructure health score: 67/100 (67%)", "Using RESILIENT strategy (health: 67%)"}},
		{"with one", true, []report.Line{
			{report.Unasked, "GitHub Actions cache: not applicable"},
			{report.Well, "gcr.io responsive (12ms)"},
			{report.Down, "docker.io does not answer, and the build needs it: no answer within 2s"},
			{report.Uneasy, "ghcr.io may be experiencing issues: answers with an HTML page: a web page with status 200"},
			{report.Uneasy, "r.example.com responsive (3ms), and refuses access: team/app:1: status 401"},
			{report.Well, "Go proxy goproxy.example.com responsive (34ms)"},
			{report.Down, "DNS does not resolve e.example.com: no such host"},
			{report.Uneasy, "DNS does not resolve c.example.com, d.example.com: no such host"},
			{report.Well, "DNS resolves the other 2 of 5 names"},
			{report.Well, "Internet (for apt, github.com) responsive (1ms)"},
			{report.Well, "mirror mirror.example.com of docker.io responsive (5ms)"},
		}, []string{"Infrastructure health score: 67/100 (67%)", "Using RESILIENT strategy (health of what the build needs: 43%)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, report.Scorecard(card(tt.known))); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.score, report.Score(card(tt.known), "resilient")); diff != "" {
				t.Errorf("score (-want +got):\n%s", diff)
			}
		})
	}
}

// The names in the JSON are what programs read: they stay.
func TestScorecardJSON(t *testing.T) {
	small := card(true)
	small.Categories = small.Categories[:2]
	small.Categories[1].Checks = small.Categories[1].Checks[:2]
	got, err := json.MarshalIndent(report.ScorecardOf(small, "resilient"), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "score": 50,
  "max": 100,
  "percent": 50,
  "needed_percent": 0,
  "strategy": "resilient",
  "taken": "2026-01-02T03:04:05Z",
  "took_ms": 2000,
  "categories": [
    {
      "name": "GitHub Actions cache",
      "points": 0,
      "max": 20,
      "applicable": false,
      "checks": []
    },
    {
      "name": "primary registries",
      "points": 15,
      "max": 30,
      "applicable": true,
      "checks": [
        {
          "name": "gcr.io",
          "target": "gcr.io",
          "ok": true,
          "needed": false,
          "took_ms": 12,
          "kind": "",
          "detail": "manifest of 9 bytes"
        },
        {
          "name": "docker.io",
          "target": "registry-1.docker.io",
          "for": "docker.io",
          "ok": false,
          "needed": true,
          "took_ms": 2000,
          "kind": "timeout",
          "detail": "no answer within 2s"
        }
      ]
    }
  ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if got := report.ScorecardOf(card(false), "optimal"); got.Needed != nil {
		t.Errorf("got %d%% needed, and nothing is known of needs", *got.Needed)
	}
}

func TestAReportTellsTheServicesAfterAFailure(t *testing.T) {
	r := runs.Outage()
	for _, tt := range []struct {
		check health.Check
		want  string
	}{
		{health.Check{Name: "gcr.io", OK: true}, "After the build they earned 100 of 100 points: all that was asked is well again."},
		{health.Check{Name: "gcr.io", Kind: fault.HTML}, "gcr.io answers with an HTML page"},
	} {
		r.After = &health.Scorecard{Categories: []health.Category{{Name: health.Registries, Points: 10, Checks: []health.Check{tt.check}}}}
		_, got, _ := strings.Cut(report.Markdown(report.Page{Run: r}), "After the build")
		if got = "After the build" + got; !strings.Contains(got, tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
