package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/cli"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
)

// ends returns parts whose build ends with this record.
func ends(run record.Run, err error) cli.Parts {
	return builds(func(context.Context, cli.BuildRequest) (record.Run, error) { return run, err })
}

// runIn runs a command line with more of an environment.
func runIn(t *testing.T, parts cli.Parts, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(t.Context(), parts, args, strings.NewReader(""), &stdout, &stderr, append([]string{"HOME=" + t.TempDir()}, env...))
	return result{code, stdout.String(), stderr.String()}
}

func TestReportsByTheirEndings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "down")
	for _, of := range []struct {
		parts cli.Parts
		code  int
	}{{ends(runs.Outage(), nil), 0}, {ends(runs.Broken(), errors.New("no")), 1}} {
		r := run(t, of.parts, "build", "--report", filepath.Join(dir, "a.html"), "--report="+filepath.Join(dir, "a.md"), "--report", filepath.Join(dir, "a.json"), ".")
		if r.code != of.code || strings.Count(r.stderr, "outlast: report: ") != 3 {
			t.Errorf("got %+v", r)
		}
	}
	got := folder(t, dir)
	for name, part := range map[string]string{"a.html": "<!DOCTYPE html>", "a.md": "## ✗ the build failed", "a.json": `"outcome": "failed"`} {
		if !strings.Contains(got[name], part) || len(got) != 3 {
			t.Errorf("%s: got %q among %d files, want there %q", name, got[name], len(got), part)
		}
	}
}

func TestReportSaysWhatTheHistorySpeaksFor(t *testing.T) {
	state := t.TempDir()
	store, err := history.Open(t.Context(), filepath.Join(state, "outlast"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range runs.Many(100, time.Now()) {
		if _, err := store.Add(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		flags []string
		want  bool
	}{{"with a history", nil, true}, {"without", []string{"--no-history"}, false}} {
		path := filepath.Join(t.TempDir(), "a.md")
		r := runIn(t, ends(runs.Outage(), nil), []string{"XDG_STATE_HOME=" + state}, append(append([]string{"build", "--report", path}, tt.flags...), ".")...)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%s: got %+v, %v", tt.name, r, err)
		}
		if got := strings.Contains(string(text), "What to change"); got != tt.want {
			t.Errorf("%s: got advice %v, want %v:\n%s", tt.name, got, tt.want, text)
		}
	}
}

func TestReportOfAnUnknownEndingIsASlip(t *testing.T) {
	r := run(t, builds(func(context.Context, cli.BuildRequest) (record.Run, error) {
		t.Error("the build began")
		return record.Run{Outcome: record.Built}, nil
	}), "build", "--report", "report.pdf", ".")
	if r.code != cli.ExitUsage || !strings.Contains(r.stderr, "--report report.pdf: the ending names the format: .txt, .md, .json, .html, .env") {
		t.Errorf("got %+v", r)
	}
}

func TestReportThatCannotBeWrittenCostsAWarning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a.html")
	if err := os.MkdirAll(filepath.Join(dir, "mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := run(t, ends(runs.Outage(), nil), "build", "--report", dir, ".")
	if r.code != 0 || !strings.Contains(r.stderr, "outlast: warning: no report was written: write "+dir) {
		t.Errorf("got %+v", r)
	}
	if beside, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(beside) != 1 {
		t.Errorf("got %v beside, %v", beside, err)
	}
}

// No format repeats what a build was given as a secret.
func TestReportsHoldNoSecrets(t *testing.T) {
	dir := t.TempDir()
	args := []string{"build", "--build-arg", "API_TOKEN=" + planted}
	for _, ending := range []string{"txt", "md", "json", "html", "env"} {
		args = append(args, "--report", filepath.Join(dir, "a."+ending))
	}
	summary, output := filepath.Join(dir, "summary"), filepath.Join(dir, "output")
	r := runIn(t, leaky(record.Failed, errors.New("no")), []string{"GITHUB_ACTIONS=true", "GITLAB_CI=true", "GITHUB_STEP_SUMMARY=" + summary, "GITHUB_OUTPUT=" + output}, append(args, ".")...)
	got := folder(t, dir)
	if r.code != cli.ExitFailed || len(got) != 7 {
		t.Fatalf("got %+v and %q", r, names(got))
	}
	for name, text := range got {
		if strings.Contains(text, planted) || text == "" {
			t.Errorf("%s holds the secret, or nothing: %s", name, text)
		}
	}
	// Before it stands the engine's own display, as ever.
	_, own, ok := strings.Cut(r.stderr, "::error ")
	if !ok || !strings.Contains(own, "section_start") || strings.Contains(own, planted) {
		t.Errorf("got on the terminal %q", own)
	}
}

func TestGitHubIsTold(t *testing.T) {
	dir := t.TempDir()
	summary, output := filepath.Join(dir, "summary"), filepath.Join(dir, "output")
	if err := os.WriteFile(summary, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	failed := runs.Broken()
	failed.Attempts[0].Place.File = filepath.Join(dir, "deploy", "Dockerfile")
	env := []string{"GITHUB_ACTIONS=true", "GITHUB_WORKSPACE=" + dir, "GITHUB_STEP_SUMMARY=" + summary, "GITHUB_OUTPUT=" + output}
	r := runIn(t, ends(failed, errors.New("no")), env, "build", ".")
	if !strings.Contains(r.stderr, "\n::error file=deploy/Dockerfile,line=8,title=") {
		t.Errorf("got %q, want an annotation", r.stderr)
	}
	runIn(t, ends(runs.Outage(), nil), env, "build", ".")
	got := folder(t, dir)
	if !strings.HasPrefix(got["summary"], "before\n## ✗ the build failed\n") || !strings.Contains(got["summary"], "\n## ✓ built") {
		t.Errorf("got summary %q", got["summary"])
	}
	want := regexp.MustCompile(`(?s)outcome<<(outlast-\w+)\nfailed\noutlast-\w+\n.*outcome<<(outlast-\w+)\nbuilt\n.*digest<<outlast-\w+\nsha256:9f86.*strategy<<outlast-\w+\nresilient\n.*score<<outlast-\w+\n75\n.*attempts<<outlast-\w+\n2\n`)
	if m := want.FindStringSubmatch(got["output"]); m == nil || m[1] == m[2] {
		t.Errorf("got outputs %q", got["output"])
	}
	if r := run(t, ends(failed, errors.New("no")), "build", "."); strings.Contains(r.stderr, "::error") {
		t.Errorf("outside of GitHub: %q", r.stderr)
	}
}

func TestGitLabGetsAFoldedSection(t *testing.T) {
	r := runIn(t, ends(runs.Outage(), nil), []string{"GITLAB_CI=true"}, "build", ".")
	if !regexp.MustCompile(`(?s)\x1b\[0Ksection_start:\d+:outlast_report\[collapsed=true\]\r\x1b\[0KOutlast: report of the build\n.*Where the time went.*\x1b\[0Ksection_end:\d+:outlast_report\r\x1b\[0K\n`).MatchString(r.stderr) {
		t.Errorf("got %q", r.stderr)
	}
	if r := runIn(t, ends(runs.Outage(), nil), []string{"GITLAB_CI=true"}, "build", "--progress", "rawjson", "."); strings.Contains(r.stderr, "section_start") {
		t.Errorf("into JSON: %q", r.stderr)
	}
}
