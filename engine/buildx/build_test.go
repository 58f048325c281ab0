package buildx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/sourcepolicy"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	digest "github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
)

var routes = []engine.Route{
	{Host: "docker.io", Prefix: "127.0.0.1:5100/docker.io"},
	{Host: "registry.example.com:5000", Prefix: "127.0.0.1:5100/registry.example.com__5000"},
}

func build(t *testing.T, f *fake, req engine.Request) (engine.Result, []engine.Event, error) {
	t.Helper()
	e := &buildx.Engine{Builder: buildx.Builder{CLI: f.cli()}}
	req.Env = append(f.env, req.Env...)
	var events []engine.Event
	r, err := e.Build(t.Context(), req, func(ev engine.Event) { events = append(events, ev) })
	return r, events, err
}

func TestArgumentsAreHandedOn(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker build", "", "", 0)
	r, _, err := build(t, f, engine.Request{
		Args:     []string{"--progress=plain", "-t", "app", "--build-context", "docker.io/library/mine=.", "--", "."},
		Contexts: map[string]string{"alpine:3": "oci-layout:///x@sha256:1", "mine:latest": "oci-layout:///y"},
		Dir:      f.Dir, Stdin: strings.NewReader("in"),
	})
	if err != nil || r.Outcome != engine.Built {
		t.Fatalf("got %v, %v", r.Outcome, err)
	}
	c := f.built(t)
	want := []string{"buildx", "build", "--progress=plain", "-t", "app", "--build-context", "docker.io/library/mine=.",
		"--progress=rawjson", "--metadata-file=*", "--build-context=alpine:3=oci-layout:///x@sha256:1", "--", "."}
	got := slices.Clone(c.Args)
	for i, a := range got {
		if strings.HasPrefix(a, "--metadata-file=") {
			got[i] = "--metadata-file=*"
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if dir, _ := filepath.EvalSymlinks(f.Dir); c.Dir != dir {
		t.Errorf("working folder: got %q, want %q", c.Dir, dir)
	}
	if c.Proof != "disabled" {
		t.Errorf("our own metadata file makes another step: BUILDX_METADATA_PROVENANCE=%q", c.Proof)
	}
	if c.Stdin != "in" || c.Policy != "" {
		t.Errorf("got stdin %q and policy %q, want in and none", c.Stdin, c.Policy)
	}
	if r.Image() != digest.Digest("sha256:"+strings.Repeat("1", 64)) || r.Ref() != "a/b/c" {
		t.Errorf("metadata: got %q, %q", r.Image(), r.Ref())
	}
}

func TestTheUsersMetadataFileStays(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker build", "", "", 0)
	r, _, err := build(t, f, engine.Request{Args: []string{"--metadata-file=m.json", "."}, Dir: f.Dir})
	if err != nil {
		t.Fatal(err)
	}
	c := f.built(t)
	if c.Proof != "" {
		t.Errorf("the user's metadata was cut down: BUILDX_METADATA_PROVENANCE=%q", c.Proof)
	}
	for _, a := range c.Args {
		if strings.HasPrefix(a, "--metadata-file=") && a != "--metadata-file=m.json" {
			t.Errorf("another metadata file was added: %s", a)
		}
	}
	if r.Ref() != "a/b/c" {
		t.Errorf("the user's metadata file was not read: %v", r.Metadata)
	}
}

func TestQuietPrintsTheImage(t *testing.T) {
	for _, args := range [][]string{{"-q", "."}, {"--progress=quiet", "."}, {"-q", "--progress=quiet", "."}} {
		f := newFake(t, "docker")
		f.on("docker build", "", "", 0)
		var out bytes.Buffer
		if _, _, err := build(t, f, engine.Request{Args: args, Stdout: &out}); err != nil {
			t.Fatal(err)
		}
		if want := "sha256:" + strings.Repeat("1", 64) + "\n"; out.String() != want {
			t.Errorf("%q: got %q, want %q", args, out.String(), want)
		}
		c := f.built(t)
		if slices.Contains(args, "-q") != slices.Contains(c.Args, "--quiet=false") {
			t.Errorf("%q: buildx refuses -q beside --progress=rawjson, so it must be taken back: %q", args, c.Args)
		}
	}
}

// convert is what BuildKit's own policy engine makes of a reference.
func convert(t *testing.T, file, ref string) (string, error) {
	t.Helper()
	var p spb.Policy
	if err := json.Unmarshal([]byte(file), &p); err != nil {
		t.Fatalf("policy %q: %v", file, err)
	}
	op := &pb.SourceOp{Identifier: ref}
	_, err := sourcepolicy.NewEngine([]*spb.Policy{&p}).Evaluate(t.Context(), op)
	return op.Identifier, err
}

func TestImagesGoThroughTheGateway(t *testing.T) {
	d := digest.FromString("golang")
	t.Setenv("TMPDIR", t.TempDir())
	f := newFake(t, "docker")
	f.on("docker build", "", "", 0)
	_, _, err := build(t, f, engine.Request{Args: []string{"."}, Routes: routes,
		Keep: []string{"docker.io/library/mine:latest"}, Pins: map[string]digest.Digest{
			"docker.io/library/golang:1.26": d, "quay.example.com/x:1": d,
		}})
	if err != nil {
		t.Fatal(err)
	}
	policy := f.built(t).Policy
	for _, tt := range []struct{ name, ref, want string }{
		{"a tag", "docker-image://docker.io/library/alpine:3", "docker-image://127.0.0.1:5100/docker.io/library/alpine:3"},
		{"a digest", "docker-image://docker.io/a@" + d.String(), "docker-image://127.0.0.1:5100/docker.io/a@" + d.String()},
		{"a host with a port", "docker-image://registry.example.com:5000/a/b:c", "docker-image://127.0.0.1:5100/registry.example.com__5000/a/b:c"},
		{"the same host without it", "docker-image://registry.example.com/a:c", "docker-image://registry.example.com/a:c"},
		{"a host in capitals", "docker-image://Docker.IO/a:c", "docker-image://127.0.0.1:5100/docker.io/a:c"},
		{"a host that only looks like it", "docker-image://dockerXio/a:c", "docker-image://dockerXio/a:c"},
		{"a host that ends like it", "docker-image://evil.docker.io/a:c", "docker-image://evil.docker.io/a:c"},
		{"a path that holds the host", "docker-image://other.example.com/docker.io/a:c", "docker-image://other.example.com/docker.io/a:c"},
		{"an image of the engine", "docker-image://docker.io/library/mine:latest", "docker-image://docker.io/library/mine:latest"},
		{"the same with its digest", "docker-image://docker.io/library/mine:latest@" + d.String(), "docker-image://docker.io/library/mine:latest@" + d.String()},
		{"another image with its name in front", "docker-image://docker.io/library/mine:latest2", "docker-image://127.0.0.1:5100/docker.io/library/mine:latest2"},
		{"another tag of it", "docker-image://docker.io/library/mine:2", "docker-image://127.0.0.1:5100/docker.io/library/mine:2"},
		{"a pinned tag", "docker-image://docker.io/library/golang:1.26", "docker-image://127.0.0.1:5100/docker.io/library/golang:1.26@" + d.String()},
		{"a pinned tag without a route", "docker-image://quay.example.com/x:1", "docker-image://quay.example.com/x:1@" + d.String()},
		{"what is no image", "https://docker.io/library/alpine", "https://docker.io/library/alpine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := convert(t, policy, tt.ref)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTheUsersPolicyWins(t *testing.T) {
	const pin = `{"action":"CONVERT","selector":{"identifier":"docker-image://docker.io/library/alpine:3"},"updates":{"identifier":"docker-image://mirror.example.com/alpine:3"}}`
	const deny = `{"action":"DENY","selector":{"identifier":"docker-image://docker.io/library/*"}}`
	const denyURL = `{"action":"DENY","selector":{"identifier":"https://*","match_type":"WILDCARD"}}`
	for _, tt := range []struct {
		name, rules, ref, want string
		denied, note           bool
	}{
		{"its conversion is done first", pin, "docker-image://docker.io/library/alpine:3", "docker-image://mirror.example.com/alpine:3", false, false},
		{"the rest is routed", pin, "docker-image://docker.io/library/golang:1", "docker-image://127.0.0.1:5100/docker.io/library/golang:1", false, false},
		{"what it denies stays denied", deny, "docker-image://docker.io/library/golang:1", "docker-image://docker.io/library/golang:1", true, true},
		{"what it denies of another kind is no hindrance", denyURL, "docker-image://docker.io/library/golang:1", "docker-image://127.0.0.1:5100/docker.io/library/golang:1", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.on("docker build", "", "", 0)
			f.write("user.json", []byte(`{"version":1,"rules":[`+tt.rules+`]}`))
			r, _, err := build(t, f, engine.Request{Args: []string{"."}, Routes: routes, Dir: f.Dir,
				Env: []string{"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=user.json"}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := convert(t, f.built(t).Policy, tt.ref)
			if got != tt.want || (err != nil) != tt.denied {
				t.Errorf("got %q, %v, want %q, denied %t", got, err, tt.want, tt.denied)
			}
			if (len(r.Notes) > 0) != tt.note {
				t.Errorf("notes: got %q", r.Notes)
			}
		})
	}
	t.Run("one that cannot be read is an error of the user's", func(t *testing.T) {
		f := newFake(t, "docker")
		_, _, err := build(t, f, engine.Request{Args: []string{"."}, Routes: routes, Dir: f.Dir,
			Env: []string{"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=nowhere.json"}})
		if fault.Of(err) != fault.Config {
			t.Errorf("got %v", err)
		}
	})
}

func TestNamesAreTheUsers(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker build", "", `{"vertexes":[{"digest":"sha256:aa","name":"[1/1] FROM 127.0.0.1:5100/docker.io/library/alpine:3@sha256:bb","started":"2026-01-02T03:04:05Z","error":"127.0.0.1:5100/registry.example.com__5000/a:1: not found"}],"statuses":[{"id":"resolve 127.0.0.1:5100/docker.io/library/alpine:3","vertex":"sha256:aa","timestamp":"2026-01-02T03:04:05Z"}]}
ERROR: failed to build: failed to solve: 127.0.0.1:5100/registry.example.com__5000/a:1: not found
`, 1)
	r, events, _ := build(t, f, engine.Request{Args: []string{"."}, Routes: routes})
	if got, want := r.Failure.Message, "registry.example.com:5000/a:1: not found"; got != want {
		t.Errorf("message: got %q, want %q", got, want)
	}
	if got, want := r.Steps[0].Name, "[1/1] FROM docker.io/library/alpine:3@sha256:bb"; got != want {
		t.Errorf("step: got %q, want %q", got, want)
	}
	if got, want := events[0].Status.Statuses[0].ID, "resolve docker.io/library/alpine:3"; got != want {
		t.Errorf("status: got %q, want %q", got, want)
	}
	if s := r.FailedStep(); s == nil || s.Error != "registry.example.com:5000/a:1: not found" {
		t.Errorf("failed step: got %+v", s)
	}
}

func TestHowABuildEnds(t *testing.T) {
	const step = `{"vertexes":[{"digest":"sha256:aa","name":"RUN x","started":"2026-01-02T03:04:05Z","completed":"2026-01-02T03:04:06Z","error":"exit code: 7"}]}` + "\n"
	long := digest.FromString("a").String()
	for _, tt := range []struct {
		name, stderr string
		code         int
		want         engine.Outcome
		kind         fault.Kind
		message      string
		poisoned     bool
		unreachable  bool
	}{
		{"well", "", 0, engine.Built, fault.None, "", false, false},
		{"a step failed", step + "ERROR: failed to build: failed to solve: exit code: 7\n", 1, engine.Failed, fault.Unknown, "exit code: 7", false, false},
		{"an unknown flag", "ERROR: unknown flag: --x\n", 1, engine.Refused, fault.Config, "unknown flag: --x", false, false},
		{"an unknown flag, by docker", "unknown flag: --x\n\nUsage:  docker buildx build\n\nRun 'docker buildx build --help' for more information\n", 125, engine.Refused, fault.Config, "unknown flag: --x", false, false},
		{"no context", "ERROR: docker: 'docker buildx build' requires 1 argument\n", 1, engine.Refused, fault.Config, "docker: 'docker buildx build' requires 1 argument", false, false},
		{"no such builder", "ERROR: no builder \"x\" found\n", 1, engine.Unavailable, fault.Engine, `no builder "x" found`, false, false},
		{"no daemon", "ERROR: failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory\n",
			1, engine.Unavailable, fault.Engine, "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory", false, false},
		{"a step that says the words of a lost daemon", step + "ERROR: no builder \"x\" found\n", 1, engine.Failed, fault.Unknown, `no builder "x" found`, false, false},
		{"interrupted by somebody else", "ERROR: failed to build: failed to solve: Canceled: context canceled\n", 130, engine.Interrupted, fault.Canceled, "Canceled: context canceled", false, false},
		{"no message at all", "", 3, engine.Failed, fault.Unknown, "", false, false},
		{"poisoned", `ERROR: failed to build: failed to solve: failed to compute cache key: failed commit on ref "layer-` + long + `": unexpected commit digest ` + long + ", expected " + long + ": failed precondition\n",
			1, engine.Failed, fault.Unknown, `failed to compute cache key: failed commit on ref "layer-` + long + `": unexpected commit digest ` + long + ", expected " + long + ": failed precondition", true, false},
		{"the gateway is out of reach", `ERROR: failed to build: failed to solve: alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: failed to do request: Head "http://127.0.0.1:5100/v2/docker.io/library/alpine/manifests/3": dial tcp 127.0.0.1:5100: connect: connection refused` + "\n",
			1, engine.Failed, fault.Unknown, `alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: failed to do request: Head "http://127.0.0.1:5100/v2/docker.io/library/alpine/manifests/3": dial tcp 127.0.0.1:5100: connect: connection refused`, false, true},
		{"somebody else is out of reach", `ERROR: failed to build: failed to solve: failed to do request: Head "https://quay.example.com/v2/": dial tcp 192.0.2.1:443: connect: connection refused` + "\n",
			1, engine.Failed, fault.Unknown, `failed to do request: Head "https://quay.example.com/v2/": dial tcp 192.0.2.1:443: connect: connection refused`, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.on("docker build", "", tt.stderr, tt.code)
			r, _, err := build(t, f, engine.Request{Args: []string{"."}, Routes: routes})
			if r.Outcome != tt.want || fault.Of(err) != tt.kind || r.Exit != tt.code {
				t.Errorf("got %q, exit %d, %v, want %q, exit %d, %q", r.Outcome, r.Exit, err, tt.want, tt.code, tt.kind)
			}
			if (r.Spoiled != "") != tt.poisoned || r.GatewayUnreachable != tt.unreachable {
				t.Errorf("got spoiled %q and unreachable %t, want %t and %t", r.Spoiled, r.GatewayUnreachable, tt.poisoned, tt.unreachable)
			}
			if r.Failure != nil && r.Failure.Message != tt.message {
				t.Errorf("message: got %q, want %q", r.Failure.Message, tt.message)
			}
		})
	}
}

func TestThePlaceInTheDockerfile(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker build", "", `Dockerfile:3
--------------------
   2 |     RUN echo
   3 | >>> RUN exit 7
--------------------
ERROR: failed to build: failed to solve: exit code: 7
`, 1)
	r, _, _ := build(t, f, engine.Request{Args: []string{"."}})
	want := &engine.Source{File: "Dockerfile", Line: 3, Excerpt: "   2 |     RUN echo\n   3 | >>> RUN exit 7"}
	if d := cmp.Diff(want, r.Failure.Source); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

func TestGarbageIsPlainText(t *testing.T) {
	f := newFake(t, "docker")
	lines := []string{`{"vertexes":[null]}`, `{`, `{"vertexes":"no list"}`, `{"a":1}`, `[]`, "\x1b[31mred\x1b[0m", "\xff\xfe", `{"logs":[{"vertex":"x","data":"!"}]}`,
		strings.Repeat("[", 20000), ""}
	f.on("docker build", "", strings.Join(lines, "\n")+"\n{\"vertexes\":[{\"digest\":\"sha256:aa\",\"name\":\"a\"}]}\nno end", 0)
	r, events, err := build(t, f, engine.Request{Args: []string{"."}})
	if err != nil {
		t.Fatal(err)
	}
	statuses := 0
	for _, e := range events {
		if e.Status != nil {
			statuses++
		}
	}
	if statuses != 1 || len(r.Steps) != 1 {
		t.Errorf("got %d statuses and %d steps, want 1 and 1", statuses, len(r.Steps))
	}
	if got := events[len(events)-1].Line; got != "no end" {
		t.Errorf("last line: got %q", got)
	}
}

func TestAHugeLineIsLeftOut(t *testing.T) {
	f := newFake(t, "docker")
	f.act("docker build", "huge")
	_, events, _ := build(t, f, engine.Request{Args: []string{"."}})
	var got []string
	for _, e := range events {
		got = append(got, e.Line)
	}
	want := []string{"before", "outlast: left out a line of 20971521 bytes", "after"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

// interrupt builds with the act, ends the context once the step has begun, and
// returns what came of it.
func interrupt(t *testing.T, f *fake, e *buildx.Engine, kill chan struct{}) (engine.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	returned := false
	r, err := e.Build(ctx, engine.Request{Args: []string{"."}, Env: f.env, Kill: kill}, func(ev engine.Event) {
		if returned {
			t.Error("an event came after the build returned")
		}
		if ev.Status != nil {
			cancel(errors.New("interrupt"))
		}
		if ev.Line == "not yet" && kill != nil {
			close(kill)
		}
	})
	returned = true
	for _, c := range f.calls(t) {
		if running(c.PID) {
			t.Errorf("%s %q still runs", c.Program, c.Args)
		}
	}
	return r, err
}

func TestInterrupt(t *testing.T) {
	for _, tt := range []struct {
		name, act string
		grace     time.Duration
		kill      bool
		exit      int
	}{
		{"a child that stops", "polite", time.Minute, false, 130},
		{"a child that does not is killed in the end", "deaf", 50 * time.Millisecond, false, -1},
		{"a second interrupt kills it", "stubborn", time.Hour, true, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.act("docker build", tt.act)
			var kill chan struct{}
			if tt.kill {
				kill = make(chan struct{})
			}
			e := &buildx.Engine{Builder: buildx.Builder{CLI: f.cli()}, Grace: tt.grace}
			r, err := interrupt(t, f, e, kill)
			if r.Outcome != engine.Interrupted || fault.Of(err) != fault.Canceled || r.Exit != tt.exit {
				t.Errorf("got %q, exit %d, %v, want interrupted, exit %d", r.Outcome, r.Exit, err, tt.exit)
			}
			if len(r.Steps) != 1 {
				t.Errorf("got %d steps, want those until the end", len(r.Steps))
			}
		})
	}
}

// A slow listener gets every event before Build returns.
func TestEveryEventComesBeforeTheEnd(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker build", "", "one\ntwo\nthree\n", 0)
	e := &buildx.Engine{Builder: buildx.Builder{CLI: f.cli()}}
	var got []string
	_, err := e.Build(t.Context(), engine.Request{Args: []string{"."}, Env: f.env}, func(ev engine.Event) {
		proc := fmt.Sprint("/proc/", f.built(t).PID)
		for _, err := os.Stat(proc); err == nil; _, err = os.Stat(proc) {
			runtime.Gosched() // until the child was waited for
		}
		for range 100_000 {
			runtime.Gosched()
		}
		got = append(got, ev.Line)
	})
	if d := cmp.Diff([]string{"one", "two", "three"}, got); err != nil || d != "" {
		t.Errorf("%v, want -, got +:\n%s", err, d)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	f := newFake(t, "docker")
	f.act("docker build", "orphan")
	begun := time.Now()
	r, _, err := build(t, f, engine.Request{Args: []string{"."}})
	if err != nil {
		t.Fatalf("got %v, %v", r.Outcome, err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("waited %s for somebody else's child", took)
	}
	for _, c := range f.calls(t) {
		if running(c.PID) {
			t.Errorf("%q still runs", c.Args)
		}
	}
}

func TestAChildThatIsKilled(t *testing.T) {
	f := newFake(t, "docker")
	f.act("docker build", "killed")
	r, _, err := build(t, f, engine.Request{Args: []string{"."}})
	if r.Outcome == engine.Built || err == nil || r.Exit != -1 {
		t.Errorf("got %q, exit %d, %v", r.Outcome, r.Exit, err)
	}
}

func TestNoProgramToRun(t *testing.T) {
	f := newFake(t)
	r, events, err := build(t, f, engine.Request{Args: []string{"."}})
	if r.Outcome != engine.Unavailable || fault.Of(err) != fault.Engine || len(events) > 0 {
		t.Errorf("got %q, %v, %d events", r.Outcome, err, len(events))
	}
}
