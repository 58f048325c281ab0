package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/cli"
	"github.com/outlast-build/outlast/record"
)

// kept are the runs that the history in dir has.
func kept(t *testing.T, dir string) []record.Run {
	t.Helper()
	s, err := history.Open(t.Context(), dir, history.Options{Warn: func(w string) { t.Error(w) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	runs, err := s.Runs(t.Context(), history.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestEachBuildAndCheckIsKept(t *testing.T) {
	state := t.TempDir()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	parts := cli.Parts{
		Build: func(context.Context, cli.BuildRequest) (record.Run, error) {
			return record.Run{ID: "BUILD", Kind: record.KindBuild, Started: began, Ended: began, Outcome: record.Failed}, os.ErrInvalid
		},
		Check: func(context.Context, cli.CheckRequest) (health.Scorecard, error) {
			return health.Scorecard{Taken: began.Add(time.Hour), Took: time.Second, Categories: []health.Category{
				{Name: health.Registries, Points: 30, Checks: []health.Check{{Name: "gcr.io", OK: true}}}}}, nil
		},
	}
	ci := []string{"XDG_STATE_HOME=" + state, "GITLAB_CI=true", "CI_COMMIT_REF_NAME=feat/x"}
	runIn(t, parts, ci, "build", ".")
	runIn(t, parts, ci, "check")
	for _, more := range [][]string{{"build", "--no-history", "."}, {"check", "--no-history"}, {"check", "--set", "history.keep=false"}} {
		if r := runIn(t, parts, ci, more...); strings.Contains(r.stderr, "warning") {
			t.Errorf("%q: got %q", more, r.stderr)
		}
	}
	runs := kept(t, filepath.Join(state, "outlast"))
	if len(runs) != 2 || !runs[0].Is(record.KindCheck) || runs[1].ID != "BUILD" || runs[1].Outcome != record.Failed {
		t.Fatalf("got %+v, want the check and the build", runs)
	}
	check := runs[0]
	if check.Outcome != record.Checked || check.Card.Percent() != 100 || check.Strategy != "optimal" || check.Took() != time.Second || check.Context.Branch != "feat/x" || check.Context.CI != "gitlab" {
		t.Errorf("got %+v", check)
	}
}

func TestAHistoryThatFailsCostsAWarning(t *testing.T) {
	state := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	parts := builds(func(context.Context, cli.BuildRequest) (record.Run, error) {
		return record.Run{ID: "BUILD", Started: time.Now(), Ended: time.Now(), Outcome: record.Built}, nil
	})
	r := runIn(t, parts, []string{"XDG_STATE_HOME=" + state}, "build", ".")
	if r.code != 0 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "warning: this run is not kept: open history: ") {
		t.Errorf("got %d and %q, want success and one warning", r.code, r.stderr)
	}
}

func TestNoSecretIsKept(t *testing.T) {
	const planted = "Hunter2Pl4nted9z"
	state := t.TempDir()
	now := time.Now()
	parts := builds(func(context.Context, cli.BuildRequest) (record.Run, error) {
		return record.Run{ID: "BUILD", Started: now, Ended: now, Outcome: record.Failed, Error: "fetch https://bob:" + planted + "@r.example.com/",
			Context:  record.Context{Repo: "https://x:" + planted + "@git.example.com/app", Branch: planted},
			Attempts: []record.Attempt{{Started: now, Ended: now, Cause: "said " + planted, Log: []string{planted}, Ran: []record.Step{{Name: "RUN echo " + planted, Error: planted}}}},
			Services: []record.Service{{Endpoint: "r.example.com", Last: "Bearer " + planted}},
		}, os.ErrInvalid
	})
	runIn(t, parts, []string{"XDG_STATE_HOME=" + state, "APP_PASSWORD=" + planted}, "build", ".")
	runs := kept(t, filepath.Join(state, "outlast"))
	if len(runs) != 1 {
		t.Fatalf("got %d runs, want 1", len(runs))
	}
	text, err := json.Marshal(runs)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(state, "outlast", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, data...)
	}
	if strings.Contains(string(text), planted) {
		t.Errorf("the secret is in the history: %s", text)
	}
}
