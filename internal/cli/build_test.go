package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/cli"
	"github.com/outlast-build/outlast/record"
)

// builds returns parts whose build is f.
func builds(f func(context.Context, cli.BuildRequest) (record.Run, error)) cli.Parts {
	return cli.Parts{Build: f}
}

// outcome returns parts whose build ends so at once.
func outcome(o record.Outcome, err error) cli.Parts {
	return builds(func(context.Context, cli.BuildRequest) (record.Run, error) {
		return record.Run{Outcome: o}, err
	})
}

func TestArgumentsAreHandedOn(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		want   []string
		direct bool
	}{
		{"flags of buildx, known and new", []string{"-t", "app", "--new-flag", "x", "--load", "."}, []string{"-t", "app", "--new-flag", "x", "--load", "."}, false},
		{"our own, in the middle", []string{"-t", "app", "--no-gateway", "--set", "fetch.dial=1s", "."}, []string{"-t", "app", "."}, true},
		{"our own, switched off", []string{"--no-gateway=false", "."}, []string{"."}, false},
		{"the last one wins", []string{"--no-gateway=false", "--no-gateway", "."}, []string{"."}, true},
		{"our own as the value of another", []string{"--label", "--no-gateway", "-t", "--set", "."}, []string{"--label", "--no-gateway", "-t", "--set", "."}, false},
		{"our own as the value of a group", []string{"-qt", "--no-gateway", "."}, []string{"-qt", "--no-gateway", "."}, false},
		{"a name that only begins like ours", []string{"--no-gateways", "--settle=1", "."}, []string{"--no-gateways", "--settle=1", "."}, false},
		{"what stands behind the dashes", []string{"--", "--no-gateway"}, []string{"--", "--no-gateway"}, false},
		{"empty arguments", []string{"", "--build-arg", "", "."}, []string{"", "--build-arg", "", "."}, false},
		{"standard input", []string{"-f-", "-"}, []string{"-f-", "-"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got cli.BuildRequest
			parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
				got = r
				return record.Run{Outcome: record.Built}, nil
			})
			if r := run(t, parts, append([]string{"build"}, tt.args...)...); r.code != 0 || r.stdout+r.stderr != "" {
				t.Fatalf("got %+v, want silence and 0", r)
			}
			if !slices.Equal(got.Args, tt.want) || got.Direct != tt.direct {
				t.Errorf("got %q, direct %v, want %q, %v", got.Args, got.Direct, tt.want, tt.direct)
			}
		})
	}
}

// FuzzArguments proves that arguments which hold none of our flags reach
// buildx as they are, and others lose nothing but those.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{"-t\x00app\x00.", "--label\x00--config\x00.", "--\x00--set", "-qt\x00--no-gateway", "--config=a\x00b", "---\x00-\x00-=\x00--=", "--set\x00--\x00x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\x00")
		var got []string
		called := false
		parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
			got, called = r.Args, true
			return record.Run{Outcome: record.Built}, nil
		})
		r := cli.Run(t.Context(), parts, append([]string{"build"}, args...), nil, new(bytes.Buffer), new(bytes.Buffer), nil)
		if r != cli.ExitBuilt && r != cli.ExitUsage {
			t.Fatalf("%q: got exit code %d", args, r)
		}
		if !called {
			return
		}
		own := func(arg string) bool {
			for _, name := range []string{"--config", "--set", "--bundle", "--no-gateway"} {
				if arg == name || strings.HasPrefix(arg, name+"=") {
					return true
				}
			}
			return false
		}
		if !slices.ContainsFunc(args, own) && !slices.Equal(got, args) {
			t.Fatalf("got %q, want %q", got, args)
		}
		i := 0
		for _, arg := range args {
			if i < len(got) && got[i] == arg {
				i++
			}
		}
		if i != len(got) {
			t.Fatalf("got %q, which is no part of %q in its order", got, args)
		}
	})
}

func TestSettingsReachTheBuild(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "outlast.yaml"), []byte("fetch: {dial: 3s, idle: 3s}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var got cli.BuildRequest
	parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
		got = r
		return record.Run{Outcome: record.Built}, nil
	})
	for _, args := range [][]string{
		{"build", "--set", "fetch.idle=4s", dir},
		{"build", "-f", filepath.Join(dir, "Dockerfile"), "--set=fetch.idle=4s", "/"},
		{"--set", "fetch.idle=4s", "build", "--config", filepath.Join(dir, "outlast.yaml"), "https://example.com/x.git"},
	} {
		if r := run(t, parts, args...); r.code != 0 {
			t.Fatalf("%q: got %+v", args, r)
		}
		if f := got.Settings.Fetch; f.Dial != 3*time.Second || f.Idle != 4*time.Second {
			t.Errorf("%q: got %+v, want dial from the file and idle from the flag", args, f)
		}
	}
	for _, context := range []string{"https://example.com/x.git", "git@example.com:x.git", "github.com/x/y", "-"} {
		if r := run(t, parts, "build", context); r.code != 0 || got.Settings.Fetch.Dial != 2*time.Second {
			t.Errorf("%s: got %+v and %v, want the defaults", context, r, got.Settings.Fetch.Dial)
		}
	}
}

type noSource struct{}

func (noSource) Error() string { return "docker.io/library/golang:1.26: no source was left" }
func (noSource) Sources() []string {
	return []string{"mirror.gcr.io does not answer: no answer within 2s", "registry-1.docker.io reports an outage: 503"}
}

func TestABuildNeedsAContext(t *testing.T) {
	got := run(t, outcome(record.Built, nil), "build", "-t", "app")
	if got.code != 2 || !strings.Contains(got.stderr, "exactly one PATH") {
		t.Errorf("got %+v, want 2 before anything runs", got)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		outcome record.Outcome
		err     error
		code    int
		stderr  string
	}{
		{"built", record.Built, nil, 0, ""},
		{"a Dockerfile that is not there", record.Failed, &fault.Error{Kind: fault.MissingFile, Err: errors.New("Dockerfile: no such file or directory")}, 1,
			"outlast: error: Dockerfile: no such file or directory\noutlast: hint: add the file, or check .dockerignore and the build context\n"},
		{"flags that buildx refuses", record.BadUsage, &fault.Error{Op: "build", Kind: fault.Config, Err: errors.New("unknown flag: --bogus")}, 2,
			"outlast: error: build: unknown flag: --bogus\noutlast: hint: check the flags and the settings\n"},
		{"nothing left", record.NoSource, noSource{}, 3,
			"outlast: error: docker.io/library/golang:1.26: no source was left\n" +
				"outlast:   mirror.gcr.io does not answer: no answer within 2s\n" +
				"outlast:   registry-1.docker.io reports an outage: 503\n"},
		{"no engine", record.NoEngine, &fault.Error{Op: "find a builder", Kind: fault.Engine, Err: errors.New("install buildkitd")}, 4,
			"outlast: error: find a builder: install buildkitd\noutlast: hint: check that the builder runs: docker buildx ls\n"},
		{"interrupted", record.Interrupted, context.Canceled, 130, ""},
		{"an error without an outcome: settings", "", &fault.Error{Kind: fault.Config, Err: errors.New("x")}, 2, "outlast: error: x\noutlast: hint: check the flags and the settings\n"},
		{"an error without an outcome: a service", "", &fault.Error{Kind: fault.Outage}, 3, "outlast: error: outage\noutlast: hint: " + fault.Outage.Hint() + "\n"},
		{"an error without an outcome: anything", "", errors.New("x"), 1, "outlast: error: x\n"},
		{"several lines with what a terminal would obey", "", errors.New("one\n\x1b[31mtwo\u009b"), 1, "outlast: error: one\noutlast: error: \\x1b[31mtwo\\x9b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, outcome(tt.outcome, tt.err), "build", ".")
			if got.code != tt.code {
				t.Errorf("got exit code %d, want %d", got.code, tt.code)
			}
			if diff := cmp.Diff(tt.stderr, got.stderr); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// vertex returns the status of the nth step, which is done.
func vertex(n int, name, failure string) engine.Event {
	start := time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)
	end := start.Add(300 * time.Millisecond)
	v := &client.Vertex{Digest: digest.FromString(name), Name: name, Started: &start, Completed: &end, Error: failure}
	return engine.Event{Status: &client.SolveStatus{Vertexes: []*client.Vertex{v}}}
}

func warning(name, short string) engine.Event {
	return engine.Event{Status: &client.SolveStatus{Warnings: []*client.VertexWarning{{Vertex: digest.FromString(name), Short: []byte(short), URL: "https://example.com/rule"}}}}
}

// story is a build with an outage, told by the engine and by Outlast.
func story(failure string) cli.Parts {
	return builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
		r.Note("the local store is not used: no space")
		r.Emit(engine.Event{Line: "WARNING: no output specified"})
		r.Chosen("box", "remote")
		r.Emit(vertex(1, "[internal] load build definition from Dockerfile", ""))
		r.Note("mirror.gcr.io does not answer")
		r.Note("mirror.gcr.io does not answer")
		r.Emit(engine.Event{Line: "outlast: --cache-to of type gha is passed over"})
		r.Emit(vertex(2, "[1/2] FROM docker.io/library/alpine:3", ""))
		r.Emit(warning("[1/2] FROM docker.io/library/alpine:3", "FromAsCasing"))
		r.Emit(warning("[1/2] FROM docker.io/library/alpine:3", "FromAsCasing"))
		run := record.Run{Outcome: record.Built, Attempts: make([]record.Attempt, 1), Services: []record.Service{
			{Endpoint: "mirror.gcr.io", Serves: "docker.io", Asked: 1, Failed: map[fault.Kind]int{fault.Timeout: 1}},
			{Endpoint: "registry-1.docker.io", Serves: "docker.io", Asked: 4},
		}}
		if failure == "" {
			return run, nil
		}
		r.Emit(vertex(3, "[2/2] RUN make", failure))
		r.Emit(engine.Event{Line: "Dockerfile:2"})
		r.Emit(engine.Event{Line: "ERROR: failed to build: " + failure})
		run.Outcome = record.Failed
		return run, &fault.Error{Op: "build", Kind: fault.Unknown, Err: errors.New(failure)}
	})
}

// plain takes the empty lines out.
func plain(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestDisplay(t *testing.T) {
	t.Setenv("TTY_DISPLAY_RATE", "1")
	const head = `outlast: the local store is not used: no space
WARNING: no output specified
#0 building with "box" instance using remote driver
#1 [internal] load build definition from Dockerfile
#1 DONE 0.3s
#2 [outlast] mirror.gcr.io does not answer
#2 DONE 0.0s
#3 [outlast] --cache-to of type gha is passed over
#3 DONE 0.0s
#4 [1/2] FROM docker.io/library/alpine:3
`
	const warned = " 1 warning found (use docker --debug to expand):\n - FromAsCasing\n"
	const summary = "mirror.gcr.io does not answer (1 of 1 requests): served by registry-1.docker.io\n"
	for _, tt := range []struct {
		name, failure string
		args          []string
		code          int
		want          []string // parts, in order
		not           string   // "*": nothing is said once the display has begun
	}{
		{"an outage is a step of its own, and is summed up", "", []string{"--progress", "plain"}, 0, []string{head, warned, "outlast: built in 0s", summary}, "ERROR"},
		{"without a terminal, auto is plain", "", nil, 0, []string{head, warned}, "\x1b"},
		{"warnings in full", "", []string{"-D"}, 0, []string{"1 warning found:\n - FromAsCasing\nMore info: https://example.com/rule\n"}, "(use"},
		{"the engine's last words come after the display", "exit code: 2", []string{"--progress=plain"}, 1,
			[]string{head, "#5 [2/2] RUN make\n#5 ERROR: exit code: 2\n", "------\n > [2/2] RUN make:\n------\n", warned, "Dockerfile:2\nERROR: failed to build: exit code: 2\noutlast: the build failed", summary}, "outlast: error"},
		{"quiet says nothing", "", []string{"-q"}, 0, nil, "*"},
		{"none says nothing", "", []string{"--progress", "none"}, 0, nil, "*"},
		{"quiet still tells an error", "exit code: 2", []string{"-q"}, 1, []string{"Dockerfile:2\nERROR: failed to build: exit code: 2\n"}, "outlast"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, story(tt.failure), append(append([]string{"build"}, tt.args...), ".")...)
			if got.code != tt.code || got.stdout != "" {
				t.Errorf("got code %d and %q on standard output, want %d and nothing", got.code, got.stdout, tt.code)
			}
			rest := plain(got.stderr)
			for _, part := range tt.want {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Fatalf("got %q, want there %q", rest, part)
				}
				rest = after
			}
			switch {
			case tt.not == "*" && got.stderr != "WARNING: no output specified\n":
				t.Errorf("got %q, want what buildx says before its display alone", got.stderr)
			case strings.Contains(got.stderr, tt.not):
				t.Errorf("got %q, want no %q", got.stderr, tt.not)
			}
		})
	}
}

func TestRawJSONIsJSON(t *testing.T) {
	got := run(t, story(""), "build", "--progress", "rawjson", ".")
	var names []string
	for line := range strings.Lines(got.stderr) {
		if line == "WARNING: no output specified\n" {
			continue // buildx, too, says that in plain words
		}
		var s client.SolveStatus
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, v := range s.Vertexes {
			names = append(names, v.Name)
		}
	}
	if diff := cmp.Diff([]string{
		"[outlast] the local store is not used: no space",
		"[internal] load build definition from Dockerfile",
		"[outlast] mirror.gcr.io does not answer",
		"[outlast] --cache-to of type gha is passed over",
		"[1/2] FROM docker.io/library/alpine:3",
	}, names); diff != "" {
		t.Error(diff)
	}
}

func TestSecondAttemptIsDrawnAnew(t *testing.T) {
	parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
		r.Emit(vertex(1, "[1/1] RUN make", "exit code: 2"))
		r.Emit(engine.Event{Line: "ERROR: failed to build: exit code: 2"})
		r.Note("the build is tried once more")
		r.Emit(vertex(2, "[1/1] RUN make", ""))
		return record.Run{Outcome: record.Built, Attempts: make([]record.Attempt, 2)}, nil
	})
	got := run(t, parts, "build", ".")
	want := []string{"#1 ERROR: exit code: 2\n", "ERROR: failed to build: exit code: 2\n", "[1/1] RUN make\n", " DONE 0.3s\n", "outlast: built"}
	rest := got.stderr
	for _, part := range want {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Fatalf("got %q, want %q in %q", got.stderr, part, rest)
		}
		rest = after
	}
	if got := run(t, parts, "build", "-q", "."); got.stderr != "" {
		t.Errorf("got %q, want no words on a failure that was overcome", got.stderr)
	}
}

// The engine is told to stop, and can only say that it was.
func TestALimitSaysWhoseItWas(t *testing.T) {
	for _, what := range []string{"timeouts.optimal", "build.deadline"} {
		over := &fault.Error{Op: "build", Kind: fault.Timeout, Err: &outlast.LimitError{Took: 5 * time.Second, What: what, Step: "[2/2] RUN make"}}
		parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
			r.Emit(vertex(1, "[2/2] RUN make", "context canceled"))
			r.Emit(engine.Event{Line: "ERROR: failed to build: failed to solve: Canceled: context canceled"})
			return record.Run{Outcome: record.NoSource, Attempts: make([]record.Attempt, 1)}, over
		})
		got := run(t, parts, "build", ".")
		want := "outlast: error: no end after 5s, the limit of " + what + ", in [2/2] RUN make\noutlast: hint: raise " + what + " where the build is merely slow\n"
		if got.code != 3 || !strings.HasSuffix(got.stderr, want) || strings.Count(got.stderr, "outlast: error:") != 1 {
			t.Errorf("got %d, %q, want 3 and %q", got.code, got.stderr, want)
		}
	}
}

func TestSubstitutesAreToldHoweverQuietABuildIs(t *testing.T) {
	parts := builds(func(_ context.Context, _ cli.BuildRequest) (record.Run, error) {
		return record.Run{Outcome: record.Built, Attempts: make([]record.Attempt, 1), Substitutes: map[string]string{"gcr.io/a:1": "docker.io/library/b:1"}}, nil
	})
	const want = "docker.io/library/b:1 stands in for gcr.io/a:1, which no source has\n"
	for flag, before := range map[string]string{"-q": "outlast: warning: ", "--progress=plain": "outlast: "} {
		if got := run(t, parts, "build", flag, "."); !strings.Contains(got.stderr, before+want) {
			t.Errorf("%s: got %q, want %q", flag, got.stderr, want)
		}
	}
}

func TestHealthyBuildsAreNotSummedUp(t *testing.T) {
	parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
		r.Emit(vertex(1, "[1/1] FROM scratch", ""))
		return record.Run{Outcome: record.Built, Attempts: make([]record.Attempt, 1)}, nil
	})
	if got := run(t, parts, "build", "."); strings.Contains(got.stderr, "outlast") {
		t.Errorf("got %q, want what buildx says alone", got.stderr)
	}
}

func TestInterrupts(t *testing.T) {
	parts := builds(func(ctx context.Context, r cli.BuildRequest) (record.Run, error) {
		signal := func(s syscall.Signal) {
			if err := syscall.Kill(os.Getpid(), s); err != nil {
				t.Error(err)
			}
		}
		signal(syscall.SIGINT)
		<-ctx.Done()
		select {
		case <-r.Kill:
			t.Error("the first interrupt kills")
		default:
		}
		signal(syscall.SIGTERM)
		<-r.Kill
		return record.Run{Outcome: record.Interrupted}, context.Cause(ctx)
	})
	if got := run(t, parts, "build", "."); got.code != 130 || got.stderr != "" {
		t.Errorf("got %+v, want 130 and no words", got)
	}
}

func TestLateNewsAreDropped(t *testing.T) {
	var request cli.BuildRequest
	got := run(t, builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
		request = r
		return record.Run{Outcome: record.Built}, nil
	}), "build", ".")
	request.Emit(vertex(1, "late", ""))
	request.Emit(engine.Event{Line: "late"})
	request.Note("late")
	if got.stderr != "" {
		t.Errorf("got %q", got.stderr)
	}
}

func TestNonsenseDoesNotBreakTheDisplay(t *testing.T) {
	parts := builds(func(_ context.Context, r cli.BuildRequest) (record.Run, error) {
		now := time.Now()
		r.Emit(engine.Event{Status: &client.SolveStatus{Vertexes: []*client.Vertex{{}, {Started: &now}, {Completed: &now, Name: "x"}}}})
		r.Emit(engine.Event{Status: &client.SolveStatus{Vertexes: []*client.Vertex{nil}}})
		r.Emit(vertex(1, "[1/1] FROM scratch", ""))
		return record.Run{Outcome: record.Built}, nil
	})
	if got := run(t, parts, "build", "."); got.code != 0 {
		t.Errorf("got %+v, want the build's own end", got)
	}
}
