package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/cli"
	"github.com/outlast-build/outlast/record"
)

// planted is a secret that every part of a build says, and no bundle may.
const planted = "Hunter2Pl4nted9z"

// leaky returns parts whose build ends so, and says the secret wherever it can.
func leaky(end record.Outcome, err error) cli.Parts {
	return cli.Parts{
		Build: func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
			now, d := time.Now(), digest.FromString("step")
			r.Emit(engine.Event{Status: &client.SolveStatus{
				Vertexes: []*client.Vertex{{Digest: d, Name: "[2/3] RUN curl -H 'Authorization: Bearer " + planted + "' x", Started: &now, Completed: &now, Error: "exit code 1, said " + planted}},
				Logs:     []*client.VertexLog{{Vertex: d, Data: []byte("TOKEN=" + planted + "\nhttps://bob:" + planted + "@x.example.com\nlast words " + planted + "\n"), Timestamp: now}},
			}})
			return record.Run{
				ID: "run-1", Outcome: end, Started: now, Ended: now.Add(time.Second), Strategy: "optimal", Error: "said " + planted,
				Attempts: []record.Attempt{{Strategy: "optimal", Kind: fault.Build, Cause: "sig=" + planted + "&x",
					Diagnosis: &diagnose.Diagnosis{Kind: fault.Outage, Service: "registry", Hint: "said token=" + planted, Evidence: diagnose.Evidence{Line: 1, Text: "https://x/?sig=" + planted},
						Answer: &diagnose.Answer{Endpoint: "x.example.com", Kind: fault.Outage, Detail: "Get https://bob:" + planted + "@x.example.com/: EOF"}},
					Started: now, Ended: now}},
				Services: []record.Service{{Endpoint: "mirror.example.com", Serves: "docker.io", Asked: 1, Failed: map[fault.Kind]int{fault.Timeout: 1}, Last: "https://x/?sig=" + planted}},
				Notes:    []string{"note " + planted},
			}, err
		},
		Versions: func(context.Context, []string) map[string]string {
			return map[string]string{"docker client": "29.1"}
		},
		Check: func(context.Context, cli.CheckRequest) (health.Scorecard, error) {
			return health.Scorecard{Categories: []health.Category{{Name: "DNS", Points: 15, Checks: []health.Check{{Name: "x", Detail: "said token=" + planted}}}}}, nil
		},
	}
}

func TestBundleOfAFailureHasEverythingButSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "ticket")
	r := run(t, leaky(record.Failed, errors.New("no")), "build", "--bundle", dir, "--build-arg", "API_TOKEN="+planted, ".")
	if r.code != cli.ExitFailed || !strings.Contains(r.stderr, "outlast: bundle: "+dir) {
		t.Errorf("got code %d and %q", r.code, r.stderr)
	}
	got := folder(t, dir)
	want := []string{"record.json", "report.txt", "scorecard.json", "settings.yaml", "step.log", "versions.json"}
	if !slices.Equal(names(got), want) {
		t.Errorf("got %q, want %q", names(got), want)
	}
	for name, text := range got {
		if strings.Contains(text, planted) {
			t.Errorf("%s holds the secret: %s", name, text)
		}
	}
	for name, part := range map[string]string{
		"report.txt": "mirror.example.com for docker.io: asked 1, 0 bytes, timeout 1", "step.log": "last words ***",
		"versions.json": `"docker client": "29.1"`, "settings.yaml": "fetch:", "record.json": `"id": "run-1"`, "scorecard.json": "DNS",
	} {
		if !strings.Contains(got[name], part) {
			t.Errorf("%s: got %q, want there %q", name, got[name], part)
		}
	}
	if !strings.Contains(got["report.txt"], "last words") {
		t.Errorf("the report does not end with the step: %s", got["report.txt"])
	}
	var back record.Run
	if err := json.Unmarshal([]byte(got["record.json"]), &back); err != nil || back.Outcome != record.Failed {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestBundleOfASuccessReplacesTheLastOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ticket")
	run(t, leaky(record.Failed, errors.New("no")), "build", "--bundle="+dir, ".")
	parts := leaky(record.Built, nil)
	if r := run(t, parts, "build", "--bundle="+dir, "."); r.code != 0 {
		t.Fatalf("got %+v", r)
	}
	got := folder(t, dir)
	if _, ok := got["scorecard.json"]; ok || !strings.Contains(got["record.json"], `"outcome": "built"`) {
		t.Errorf("got %q of the build before", names(got))
	}
	beside, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(beside) != 1 {
		t.Errorf("got %v beside the bundle, %v", beside, err)
	}
}

func TestBundleRefusesAFolderOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	started := false
	parts := builds(func(context.Context, cli.BuildRequest) (record.Run, error) {
		started = true
		return record.Run{Outcome: record.Built}, nil
	})
	for _, name := range []string{dir, filepath.Join(dir, "mine.txt")} {
		r := run(t, parts, "build", "--bundle", name, ".")
		if r.code != cli.ExitUsage || started || !strings.Contains(r.stderr, "outlast: hint: name a folder") {
			t.Errorf("%s: got %+v, build started: %t", name, r, started)
		}
	}
	if got := folder(t, dir); got["mine.txt"] != "mine" || len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// A bundle that cannot be written costs a warning, and leaves nothing.
func TestBundleNeverFailsABuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ticket")
	parts := leaky(record.Built, nil)
	build := parts.Build
	parts.Build = func(ctx context.Context, r cli.BuildRequest) (record.Run, error) {
		if err := os.MkdirAll(filepath.Join(dir, "in the way"), 0o755); err != nil {
			t.Error(err)
		}
		return build(ctx, r)
	}
	r := run(t, parts, "build", "--bundle", dir, ".")
	if r.code != 0 || !strings.Contains(r.stderr, "outlast: warning: no bundle was written") {
		t.Errorf("got %+v", r)
	}
	beside, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(beside) != 1 {
		t.Errorf("got %v beside, %v", beside, err)
	}
}

// folder returns the files of dir by name.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

func names(files map[string]string) []string {
	var all []string
	for name := range files {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
