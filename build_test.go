package outlast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// A stage is a registry with one image, base:1, and settings that lead to it.
type stage struct {
	registry *httptest.Server
	host     string
	settings config.Settings
	dir      string // of the build
	broken   func(w http.ResponseWriter) bool
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir()}
	content := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.registry = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.broken == nil || !s.broken(w) {
			content.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.registry.Close)
	s.host = strings.TrimPrefix(s.registry.URL, "http://")
	img, err := random.Index(1024, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(s.host + "/base:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, img); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{Dir: t.TempDir(), Env: []string{"OUTLAST_STORE_PATH=" + t.TempDir(), "OUTLAST_FETCH_BUDGET=1ms", "OUTLAST_BUILD_WAIT=1ns"}})
	if err != nil {
		t.Fatal(err)
	}
	s.settings = loaded.Settings
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN true\n")
	return s
}

func (s *stage) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) build(e engine.Engine, args ...string) (record.Run, error) {
	return outlast.Build(context.Background(), outlast.Options{
		Args: append(args, "."), Dir: s.dir, Env: []string{"A=b"}, Settings: s.settings, Engine: e,
	})
}

// pull asks the gateway for the base image, as an engine does.
func pull(ctx context.Context, req engine.Request) error {
	for _, r := range req.Routes {
		if !strings.HasPrefix(r.Host, "127.0.0.1:") {
			continue
		}
		host, path, _ := strings.Cut(r.Prefix, "/")
		resp, err := http.Get("http://" + host + "/v2/" + path + "/base/manifests/1")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("unexpected status from GET request: %s", resp.Status)
		}
		return nil
	}
	return errors.New("no route for the base image")
}

func TestBuildGoesThroughTheGateway(t *testing.T) {
	s := newStage(t)
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}
	run, err := s.build(e, "-t", "app")
	if err != nil || run.Outcome != record.Built {
		t.Fatalf("got %s, %v, want built", run.Outcome, err)
	}
	if diff := cmp.Diff([]string{"-t", "app", "."}, e.Requests()[0].Args); diff != "" {
		t.Errorf("the user's arguments changed:\n%s", diff)
	}
	if len(run.Services) != 1 || run.Services[0].Endpoint != s.host || run.Services[0].Failures() != 0 {
		t.Errorf("got services %+v, want one, well", run.Services)
	}
	if run.ID == "" || run.Strategy != "optimal" || run.Took() <= 0 || len(run.Attempts) != 1 {
		t.Errorf("got %+v, want a full record", run)
	}
	if !leftNothing(t, e.Requests()[0]) {
		t.Error("the gateway still listens")
	}
}

// leftNothing reports whether the gateway of a request is gone.
func leftNothing(t *testing.T, req engine.Request) bool {
	t.Helper()
	host, _, _ := strings.Cut(req.Routes[0].Prefix, "/")
	_, err := http.Get("http://" + host + "/v2/")
	return err != nil
}

func TestOutcomes(t *testing.T) {
	failed := enginetest.Script{Result: engine.Result{Outcome: engine.Failed}}
	pullThenFail := enginetest.Script{Run: func(ctx context.Context, req engine.Request) error {
		if err := pull(ctx, req); err != nil {
			return err
		}
		return errors.New("exit code: 1")
	}}
	status := func(code int) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool { w.WriteHeader(code); return true }
	}
	for _, tt := range []struct {
		name       string
		dockerfile string
		broken     func(http.ResponseWriter) bool
		script     enginetest.Script
		want       record.Outcome
		attempts   int
		text       string
	}{
		{"a step fails", "", nil, failed, record.Failed, 1, ""},
		{"a step fails with all services well", "", nil, pullThenFail, record.Failed, 1, "exit code: 1"},
		{"no source has the base image", "", status(503), pullThenFail, record.NoSource, 1, "base:1: no source was left"},
		{"the base image does not exist", "", status(404), pullThenFail, record.Failed, 1, ""},
		{"an empty Dockerfile", " \n", nil, failed, record.Failed, 0, "Dockerfile: the file is empty"},
		{"a Dockerfile with a slip", "FROM a\nFORM b\n", nil, failed, record.Failed, 0, "Dockerfile:2"},
		{"a comment for Outlast with a slip", "# outlast: or\nFROM a\n", nil, failed, record.BadUsage, 0, "Dockerfile:1: \"# outlast: or\" lacks an image"},
		{"the engine is gone", "", nil, enginetest.Script{Result: engine.Result{Outcome: engine.Unavailable}}, record.NoEngine, 1, ""},
		{"buildx refuses the flags", "", nil, enginetest.Script{Result: engine.Result{Outcome: engine.Refused}}, record.BadUsage, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			if tt.dockerfile != "" {
				s.write(t, "Dockerfile", tt.dockerfile)
			}
			s.broken = tt.broken
			run, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{tt.script}})
			if run.Outcome != tt.want || err == nil {
				t.Fatalf("got %s, %v, want %s", run.Outcome, err, tt.want)
			}
			if len(run.Attempts) != tt.attempts {
				t.Errorf("got %d attempts, want %d", len(run.Attempts), tt.attempts)
			}
			if !strings.Contains(err.Error(), tt.text) || run.Error != err.Error() {
				t.Errorf("got error %q, record %q, want %q in both", err, run.Error, tt.text)
			}
			var sources interface{ Sources() []string }
			if errors.As(err, &sources) != (tt.want == record.NoSource) {
				t.Errorf("got %T, want sources named exactly where none was left", err)
			}
		})
	}
}

func TestAMissingDockerfileIsNamed(t *testing.T) {
	s := newStage(t)
	run, err := s.build(&enginetest.Engine{}, "-f", "nowhere/Dockerfile")
	if run.Outcome != record.Failed || err == nil || !strings.Contains(err.Error(), filepath.Join("nowhere", "Dockerfile")) {
		t.Errorf("got %s, %v, want the file named", run.Outcome, err)
	}
}

// A healer is an engine that counts how often it was healed.
type healer struct {
	*enginetest.Engine
	healed int
}

func (h *healer) Heal(context.Context) error { h.healed++; return nil }

func TestSpoiledBytesAreLetGoOfOnce(t *testing.T) {
	one := enginetest.Script{Result: engine.Result{Outcome: engine.Failed, Spoiled: "one"}}
	two := enginetest.Script{Result: engine.Result{Outcome: engine.Failed, Spoiled: "two"}}
	for _, tt := range []struct {
		name     string
		scripts  []enginetest.Script
		want     record.Outcome
		attempts int
		healed   int
	}{
		{"and the next attempt succeeds", []enginetest.Script{one, {Run: pull}}, record.Built, 2, 1},
		{"and not again", []enginetest.Script{one}, record.Failed, 2, 1},
		{"but others that come to light then are", []enginetest.Script{one, two, {Run: pull}}, record.Built, 3, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &healer{Engine: &enginetest.Engine{Scripts: tt.scripts}}
			run, _ := newStage(t).build(e)
			if run.Outcome != tt.want || len(run.Attempts) != tt.attempts || e.healed != tt.healed {
				t.Errorf("got %s after %d attempts, healed %d times, want %s after %d, %d",
					run.Outcome, len(run.Attempts), e.healed, tt.want, tt.attempts, tt.healed)
			}
		})
	}
}

func TestABuilderThatCannotConnectGetsLayouts(t *testing.T) {
	s := newStage(t)
	var seen string
	e := &enginetest.Engine{Scripts: []enginetest.Script{
		{Result: engine.Result{Outcome: engine.Failed, GatewayUnreachable: true}},
		{Run: func(_ context.Context, req engine.Request) error {
			seen = req.Contexts[s.host+"/base:1"]
			dir, _, _ := strings.Cut(strings.TrimPrefix(seen, "oci-layout://"), "@")
			_, err := os.Stat(filepath.Join(dir, "index.json"))
			return err
		}},
	}}
	run, err := s.build(e)
	if err != nil || run.Outcome != record.Built || !strings.Contains(seen, "@sha256:") {
		t.Fatalf("got %s, %v, context %q, want built from a layout", run.Outcome, err, seen)
	}
	dir, _, _ := strings.Cut(strings.TrimPrefix(seen, "oci-layout://"), "@")
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s is left behind", dir)
	}
}

func TestADockerfileFromStandardInputServesEveryAttempt(t *testing.T) {
	s := newStage(t)
	text := "FROM " + s.host + "/base:1\n"
	var read []string
	e := &healer{Engine: &enginetest.Engine{Scripts: []enginetest.Script{{
		Run: func(_ context.Context, req engine.Request) error {
			data, err := io.ReadAll(req.Stdin)
			read = append(read, string(data))
			return err
		},
		Result: engine.Result{Outcome: engine.Failed, Spoiled: "one"},
	}}}}
	_, _ = outlast.Build(context.Background(), outlast.Options{
		Args: []string{"-f", "-", "."}, Dir: s.dir, Settings: s.settings, Engine: e, Stdin: strings.NewReader(text),
	})
	if diff := cmp.Diff([]string{text, text}, read); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAStaleTagIsToldOnce(t *testing.T) {
	s := newStage(t)
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}
	if _, err := s.build(e); err != nil {
		t.Fatal(err)
	}
	s.broken = func(w http.ResponseWriter) bool { w.WriteHeader(503); return true }
	run, err := s.build(e)
	if err != nil || len(run.Stale) != 1 || run.Stale[0].Name != s.host+"/base:1" {
		t.Fatalf("got %v, stale %+v, want a build on the last good answer", err, run.Stale)
	}
	if len(run.Detours()) != 1 || !strings.Contains(run.Detours()[0], "served from the local store") {
		t.Errorf("got %q", run.Detours())
	}
}

func TestAnInterruptedBuild(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(context.Background())
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Hang: true, Run: func(context.Context, engine.Request) error { cancel(); return nil }}}}
	run, err := outlast.Build(ctx, outlast.Options{Args: []string{"."}, Dir: s.dir, Settings: s.settings, Engine: e})
	if run.Outcome != record.Interrupted || err == nil {
		t.Errorf("got %s, %v, want interrupted", run.Outcome, err)
	}
}
