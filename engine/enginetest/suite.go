package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
)

// A Setup is an engine to test, with what it needs to build.
type Setup struct {
	Engine engine.Engine

	// Base is an image with a shell that the engine can get.
	Base string

	Args   []string // added to the arguments of every build
	Env    []string
	Routes []engine.Route
}

// Run tests that an engine does what engine.Engine promises. It calls setup for
// each test; a scripted engine plays the scripts, a real one passes over them.
func Run(t *testing.T, setup func(t *testing.T, scripts ...Script) Setup) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, func(*testing.T, ...Script) Setup)
	}{
		{"a build tells of its steps and their output", testBuilt},
		{"what was built before is marked as cached", testCached},
		{"a build that fails names its step and place", testFailed},
		{"a cancelled build ends, and the engine builds on", testCanceled},
		{"a build that was cancelled before it began", testNeverBegun},
		{"standard output is the user's", testStdout},
		{"a Dockerfile from standard input", testStdin},
		{"a Dockerfile in place of the user's", testDockerfile},
		{"a text in place of what the Dockerfile says", testText},
		{"a secret reaches the step that mounts it", testSecrets},
		{"arguments that are not taken", testRefused},
		{"nobody listens", testNobody},
		{"two at once", testTwo},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, setup) })
	}
}

// A listener collects events and fails the test for one that comes too late.
type listener struct {
	t      *testing.T
	mu     sync.Mutex
	closed bool
	story  engine.Story
	then   func(engine.Event)
}

func (l *listener) emit(e engine.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.t.Error("an event came after Build returned")
	}
	l.story.Add(e)
	if l.then != nil {
		l.then(e)
	}
}

func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// do builds a Dockerfile.
func (s Setup) do(ctx context.Context, t *testing.T, dockerfile string, then func(engine.Event), change func(*engine.Request)) (engine.Result, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	req := engine.Request{Args: append(append([]string(nil), s.Args...), "."), Dir: dir, Env: s.Env, Routes: s.Routes}
	if change != nil {
		change(&req)
	}
	l := &listener{t: t, then: then}
	r, err := s.Engine.Build(ctx, req, l.emit)
	l.close()
	if (err == nil) != (r.Outcome == engine.Built) {
		t.Errorf("outcome %q beside error %v", r.Outcome, err)
	}
	return r, err
}

// step returns the step whose name ends so.
func step(r engine.Result, end string) *engine.Step {
	for i := range r.Steps {
		if strings.HasSuffix(r.Steps[i].Name, end) {
			return &r.Steps[i]
		}
	}
	return nil
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func completed(v *client.Vertex) { v.Started, v.Completed = &began, &began }

func testBuilt(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := `[2/2] RUN echo "hello $((6*7))" && echo oh >&2`
	s := setup(t, Script{Events: []engine.Event{Vertex(run, completed), Log(run, "hello 42\noh\n")}})
	statuses := 0
	r, err := s.do(t.Context(), t, "FROM "+s.Base+"\nRUN echo \"hello $((6*7))\" && echo oh >&2\n", func(e engine.Event) {
		if e.Status != nil {
			statuses++
		}
	}, func(req *engine.Request) { req.Args = append(req.Args, "--no-cache") })
	if err != nil || r.Exit != 0 || r.Failure != nil {
		t.Fatalf("got exit %d, failure %+v, %v", r.Exit, r.Failure, err)
	}
	if statuses == 0 {
		t.Error("nothing was told of the build")
	}
	st := step(r, `RUN echo "hello $((6*7))" && echo oh >&2`)
	if st == nil {
		t.Fatalf("no step for RUN: %+v", r.Steps)
	}
	if log := string(st.Log); !strings.Contains(log, "hello 42") || !strings.Contains(log, "oh") {
		t.Errorf("log: got %q", log)
	}
	if st.Started.IsZero() || st.Completed.IsZero() || st.Cached || st.Error != "" {
		t.Errorf("got %+v", st)
	}
	for _, st := range r.Steps {
		if strings.Contains(st.Name, "metadata file") {
			t.Errorf("step %q is nothing that the user asked for", st.Name)
		}
		for _, route := range s.Routes {
			if strings.Contains(st.Name, route.Prefix+"/") {
				t.Errorf("step %q shows where its image came from", st.Name)
			}
		}
	}
}

func testCached(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := "[2/2] RUN echo cached"
	cached := func(v *client.Vertex) { completed(v); v.Cached = true }
	s := setup(t, Script{Events: []engine.Event{Vertex(run, completed)}}, Script{Events: []engine.Event{Vertex(run, cached)}})
	for i := range 2 {
		r, err := s.do(t.Context(), t, "FROM "+s.Base+"\nRUN echo cached\n", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		st := step(r, "RUN echo cached")
		if st == nil || i == 1 && !st.Cached {
			t.Errorf("build %d: got %+v", i+1, st)
		}
	}
}

func testFailed(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := "[3/3] RUN echo the reason && exit 7"
	const message = `process "/bin/sh -c echo the reason && exit 7" did not complete successfully: exit code: 7`
	s := setup(t, Script{
		Events: []engine.Event{Log(run, "the reason\n"), Vertex(run, func(v *client.Vertex) { completed(v); v.Error = message })},
		Result: engine.Result{Failure: &engine.Failure{Message: message, Source: &engine.Source{File: "Dockerfile", Line: 3, Excerpt: ">>> RUN"}}},
	})
	r, err := s.do(t.Context(), t, "FROM "+s.Base+"\nRUN true\nRUN echo the reason && exit 7\nRUN never\n", nil, nil)
	if err == nil || r.Outcome != engine.Failed || r.Exit == 0 {
		t.Fatalf("got %q, exit %d, %v", r.Outcome, r.Exit, err)
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Errorf("the error %T is no *fault.Error", err)
	}
	st := r.FailedStep()
	if st == nil || !strings.Contains(st.Error, "exit code: 7") || !strings.HasSuffix(st.Name, "exit 7") {
		t.Fatalf("failed step: got %+v", st)
	}
	if !strings.Contains(string(st.Log), "the reason") {
		t.Errorf("log of the failed step: got %q", st.Log)
	}
	if !strings.Contains(r.Failure.Message, "exit code: 7") {
		t.Errorf("message: got %q", r.Failure.Message)
	}
	if src := r.Failure.Source; src == nil || src.Line != 3 || !strings.Contains(src.Excerpt, ">>>") {
		t.Errorf("source: got %+v", src)
	}
}

func testCanceled(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := "[2/2] RUN sleep 600"
	s := setup(t, Script{Events: []engine.Event{Vertex(run, func(v *client.Vertex) { v.Started = &began })}, Hang: true}, Script{})
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stopped := make(chan time.Time, 1)
	r, err := s.do(ctx, t, "FROM "+s.Base+"\nRUN sleep 600\n", func(e engine.Event) {
		if e.Status == nil {
			return
		}
		for _, v := range e.Status.Vertexes {
			if strings.HasSuffix(v.Name, "RUN sleep 600") && v.Started != nil && ctx.Err() == nil {
				stopped <- time.Now()
				cancel(why)
			}
		}
	}, nil)
	if r.Outcome != engine.Interrupted || fault.Of(err) != fault.Canceled || !errors.Is(err, why) {
		t.Errorf("got %q, %v", r.Outcome, err)
	}
	select {
	case at := <-stopped:
		if took := time.Since(at); took > 15*time.Second {
			t.Errorf("it took %s to stop", took)
		}
	default:
		t.Error("the step was never told of")
	}
	if r, err := s.do(t.Context(), t, "FROM "+s.Base+"\nRUN true\n", nil, nil); err != nil {
		t.Errorf("the build after it: got %q, %v", r.Outcome, err)
	}
}

func testNeverBegun(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	s := setup(t, Script{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := s.do(ctx, t, "FROM "+s.Base+"\n", nil, nil)
	if r.Outcome != engine.Interrupted || fault.Of(err) != fault.Canceled {
		t.Errorf("got %q, %v", r.Outcome, err)
	}
}

func testStdout(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	var want bytes.Buffer
	w := tar.NewWriter(&want)
	w.WriteHeader(&tar.Header{Name: "greeting", Size: 5, Mode: 0o644})
	io.WriteString(w, "hello")
	w.Close()
	s := setup(t, Script{Stdout: want.String()})
	var out bytes.Buffer
	_, err := s.do(t.Context(), t, "FROM "+s.Base+" AS a\nRUN printf hello >/greeting\nFROM scratch\nCOPY --from=a /greeting /\n", nil, func(req *engine.Request) {
		req.Args, req.Stdout = append(req.Args, "--output=type=tar,dest=-"), &out
	})
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&out)
	h, err := r.Next()
	if err != nil {
		t.Fatalf("standard output is no archive: %v", err)
	}
	if data, _ := io.ReadAll(r); h.Name != "greeting" || string(data) != "hello" {
		t.Errorf("got %s with %q", h.Name, data)
	}
}

func testStdin(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := "[2/2] RUN echo from stdin"
	s := setup(t, Script{Events: []engine.Event{Vertex(run, completed)}})
	r, err := s.do(t.Context(), t, "FROM nowhere.invalid/x\n", nil, func(req *engine.Request) {
		req.Args = append(req.Args[:len(req.Args)-1:len(req.Args)-1], "-f-", ".")
		req.Stdin = strings.NewReader("FROM " + s.Base + "\nRUN echo from stdin\n")
	})
	if err != nil || step(r, "RUN echo from stdin") == nil {
		t.Errorf("got %+v, %v", r.Steps, err)
	}
}

func testDockerfile(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := "[3/3] RUN ls /c"
	s := setup(t, Script{Events: []engine.Event{Vertex(run, completed), Log(run, "Dockerfile\nkept\n")}})
	r, err := s.do(t.Context(), t, "FROM nowhere.invalid/x\n", nil, func(req *engine.Request) {
		write(t, req.Dir, "kept", "")
		write(t, req.Dir, "dropped", "")
		write(t, req.Dir, "Dockerfile.dockerignore", "dropped\nDockerfile.*\n")
		req.Dockerfile = write(t, t.TempDir(), "Dockerfile.other", "FROM "+s.Base+"\nCOPY . /c\nRUN ls /c\n")
	})
	st := step(r, "RUN ls /c")
	if err != nil || st == nil {
		t.Fatalf("got %+v, %v", r.Steps, err)
	}
	if log := string(st.Log); !strings.Contains(log, "kept") || strings.Contains(log, "dropped") {
		t.Errorf("the ignore file beside the user's Dockerfile: the context has %q", log)
	}
}

func testText(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	run := "[2/2] RUN exit 9"
	const message = `process "/bin/sh -c exit 9" did not complete successfully: exit code: 9`
	s := setup(t, Script{
		Events: []engine.Event{Vertex(run, func(v *client.Vertex) { completed(v); v.Error = message })},
		Result: engine.Result{Failure: &engine.Failure{Message: message, Source: &engine.Source{File: "Dockerfile", Line: 2, Excerpt: ">>> RUN exit 9"}}},
	})
	const added = " --mount=type=tmpfs,target=/added"
	r, err := s.do(t.Context(), t, "FROM "+s.Base+"\nRUN exit 9\n", nil, func(req *engine.Request) {
		req.Text, req.Added = []byte("FROM "+s.Base+"\nRUN"+added+" exit 9\n"), []string{added}
	})
	if err == nil || step(r, "] RUN exit 9") == nil {
		t.Errorf("got %+v, %v, want the step as the user wrote it", r.Steps, err)
	}
	if src := r.Failure.Source; src == nil || src.File != "Dockerfile" || src.Line != 2 || strings.Contains(src.Excerpt, "added") {
		t.Errorf("source: got %+v, want the user's own", src)
	}
}

func testSecrets(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	const command = `echo "$WORD and $(cat /file)" | tr a-z A-Z`
	run := "[2/2] RUN " + command
	s := setup(t, Script{Events: []engine.Event{Vertex(run, completed), Log(run, "SESAME AND A FILE\n")}})
	text := "FROM " + s.Base + "\nRUN --mount=type=secret,id=word,env=WORD --mount=type=secret,id=file,target=/file " + command + "\n"
	var seen strings.Builder
	r, err := s.do(t.Context(), t, text, func(e engine.Event) {
		data, _ := json.Marshal(e)
		seen.Write(data)
	}, func(req *engine.Request) {
		req.Args = append(req.Args, "--no-cache")
		req.Secrets = map[string][]byte{"word": []byte("sesame"), "file": []byte("a file"), "unused": nil}
	})
	st := step(r, "tr a-z A-Z") // BuildKit shows $WORD as ****
	if err != nil || st == nil || !strings.Contains(string(st.Log), "SESAME AND A FILE") {
		t.Errorf("got %+v, %v", r.Steps, err)
	}
	if strings.Contains(seen.String(), "sesame") {
		t.Errorf("the secret is shown: %s", seen.String())
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func testRefused(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	s := setup(t, Script{Result: engine.Result{Outcome: engine.Refused, Failure: &engine.Failure{Message: "unknown flag: --no-such-flag", Step: -1}}})
	r, err := s.do(t.Context(), t, "FROM scratch\n", nil, func(req *engine.Request) { req.Args = append(req.Args, "--no-such-flag") })
	if r.Outcome != engine.Refused || fault.Of(err) != fault.Config || r.FailedStep() != nil {
		t.Errorf("got %q, %v", r.Outcome, err)
	}
	if r.Failure == nil || !strings.Contains(r.Failure.Message, "no-such-flag") {
		t.Errorf("failure: got %+v", r.Failure)
	}
}

func testNobody(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	s := setup(t, Script{Events: Lines("a line\n"), Stdout: "x"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+s.Base+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := s.Engine.Build(t.Context(), engine.Request{Args: append(append([]string(nil), s.Args...), dir), Env: s.Env, Routes: s.Routes}, nil)
	if err != nil {
		t.Errorf("got %q, %v", r.Outcome, err)
	}
}

func testTwo(t *testing.T, setup func(*testing.T, ...Script) Setup) {
	s := setup(t, Script{})
	var wg sync.WaitGroup
	for _, word := range []string{"one", "two"} {
		wg.Go(func() {
			r, err := s.do(t.Context(), t, "FROM "+s.Base+"\nRUN echo "+word+"\n", nil, nil)
			if err != nil {
				t.Errorf("%s: got %q, %v", word, r.Outcome, err)
			}
		})
	}
	wg.Wait()
}
