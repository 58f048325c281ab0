package buildx_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/testenv"
)

func none(string) (string, bool) { return "", false }

func TestReadArgs(t *testing.T) {
	type want struct {
		Context string
		OK      bool
		File    string
		Target  string
		Builder string
		Quiet   bool
		Tags    []string
		Unknown []string
	}
	for _, tt := range []struct {
		name string
		args []string
		want want
	}{
		{"only a context", []string{"."}, want{Context: ".", OK: true}},
		{"nothing at all", nil, want{}},
		{"two contexts", []string{".", ".."}, want{}},
		{"standard input", []string{"-"}, want{Context: "-", OK: true}},
		{"a git address", []string{"https://git.example.com/a.git#main"}, want{Context: "https://git.example.com/a.git#main", OK: true}},
		{"a value in the next argument", []string{"--file", "Dockerfile.test", "."}, want{Context: ".", OK: true, File: "Dockerfile.test"}},
		{"a value after a sign", []string{"--file=Dockerfile.test", "."}, want{Context: ".", OK: true, File: "Dockerfile.test"}},
		{"a short flag and its value", []string{"-f", "x", "-tapp:1", "-t=app:2", "."}, want{Context: ".", OK: true, File: "x", Tags: []string{"app:1", "app:2"}}},
		{"short booleans in a group with a value", []string{"-qDt", "app", "."}, want{Context: ".", OK: true, Quiet: true, Tags: []string{"app"}}},
		{"a value that looks like a flag", []string{"--target", "--push", "."}, want{Context: ".", OK: true, Target: "--push"}},
		{"the Dockerfile from standard input", []string{"-f-", "."}, want{Context: ".", OK: true, File: "-"}},
		{"an empty value", []string{"--target=", "."}, want{Context: ".", OK: true}},
		{"a boolean takes no further argument", []string{"--push", "."}, want{Context: ".", OK: true}},
		{"a boolean that is off", []string{"-q", "--quiet=false", "."}, want{Context: ".", OK: true}},
		{"quiet by the display", []string{"--progress", "quiet", "."}, want{Context: ".", OK: true, Quiet: true}},
		{"the end of flags", []string{"-t", "a", "--", "--push"}, want{Context: "--push", OK: true, Tags: []string{"a"}}},
		{"the last one wins", []string{"--target", "a", "--target=b", "."}, want{Context: ".", OK: true, Target: "b"}},
		{"the context first", []string{".", "--builder", "b"}, want{Context: ".", OK: true, Builder: "b"}},
		{"a flag from the future", []string{"--brand-new", "."}, want{Context: ".", OK: true, Unknown: []string{"--brand-new"}}},
		{"a flag from the future with a value", []string{"--brand-new", "x", "."}, want{Context: ".", OK: true, Unknown: []string{"--brand-new"}}},
		{"a short flag from the future", []string{"-zq", "."}, want{Context: ".", OK: true, Unknown: []string{"-z"}}},
		{"a value is missing", []string{".", "-t"}, want{Context: ".", OK: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := buildx.ReadArgs(tt.args)
			context, ok := a.Context()
			got := want{context, ok, a.File(), a.Target(), a.Builder(), a.Quiet(), a.All("tag"), a.Unknown()}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

func TestArgsAnswer(t *testing.T) {
	getenv := func(name string) (string, bool) {
		v, ok := map[string]string{"TOKEN": "from env", "DOCKER_DEFAULT_PLATFORM": "linux/arm64", "BUILDKIT_PROGRESS": "plain"}[name]
		return v, ok
	}
	a := buildx.ReadArgs([]string{"--build-arg", "A=1", "--build-arg=TOKEN", "--build-arg", "UNSET", "--build-arg", "E=x=y",
		"--platform", "linux/amd64, linux/arm64", "--platform=linux/386", "--build-context", "base=oci-layout://x", "--build-context=broken",
		"-o", "out", "-o", "type=image,name=a,push=true", "--output=-", "--push", "--check", "--progress=tty", "."})
	if d := cmp.Diff(map[string]string{"A": "1", "TOKEN": "from env", "E": "x=y"}, a.BuildArgs(getenv)); d != "" {
		t.Errorf("build arguments: want -, got +:\n%s", d)
	}
	if d := cmp.Diff([]string{"linux/amd64", "linux/arm64", "linux/386"}, a.Platforms(getenv)); d != "" {
		t.Errorf("platforms: want -, got +:\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"base": "oci-layout://x"}, a.Contexts()); d != "" {
		t.Errorf("contexts: want -, got +:\n%s", d)
	}
	outputs := []map[string]string{{"type": "local", "dest": "out"}, {"type": "image", "name": "a", "push": "true"}, {"type": "tar", "dest": "-"}, {"type": "registry"}}
	if d := cmp.Diff(outputs, a.Outputs()); d != "" {
		t.Errorf("outputs: want -, got +:\n%s", d)
	}
	if got := a.Call(); got != "check" {
		t.Errorf("call: got %q, want check", got)
	}
	if got := a.Progress(getenv); got != "tty" {
		t.Errorf("progress: got %q, want tty", got)
	}
	bare := buildx.ReadArgs([]string{"."})
	if got := bare.Platforms(getenv); !slices.Equal(got, []string{"linux/arm64"}) {
		t.Errorf("platforms of the environment: got %q", got)
	}
	if got := bare.Progress(getenv); got != "plain" {
		t.Errorf("progress of the environment: got %q", got)
	}
	if got := bare.Progress(none); got != "auto" {
		t.Errorf("progress: got %q, want auto", got)
	}
}

func TestAdditionsWin(t *testing.T) {
	for _, tt := range []struct {
		name       string
		args, want []string
	}{
		{"at the end", []string{"--progress=tty", "."}, []string{"--progress=tty", ".", "+"}},
		{"before the end of flags", []string{"-t", "a", "--", "-dir"}, []string{"-t", "a", "+", "--", "-dir"}},
		{"a value of -- is no end", []string{"--target", "--", "."}, []string{"--target", "--", ".", "+"}},
		{"never as the value of the last flag", []string{".", "-t"}, []string{"+", ".", "-t"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := buildx.ReadArgs(tt.args).With("+"); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzArgs checks that reading never panics and that what is handed on is the
// user's list, byte for byte, with the additions in one place.
func FuzzArgs(f *testing.F) {
	for _, seed := range []string{".", "-t a .", "-qDt app -- .", "--progress= --", "- -- - -f", "--output type=,\" .", "-t=", "--=", "-\x00", "--build-arg a"} {
		f.Add(strings.ReplaceAll(seed, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\n")
		a := buildx.ReadArgs(slices.Clone(args))
		a.Context()
		a.Outputs()
		a.Contexts()
		a.BuildArgs(none)
		a.Platforms(none)
		a.Progress(none)
		a.Call()
		got := a.With("\x01one", "\x01two")
		if !slices.Equal(a.Raw(), args) {
			t.Fatalf("raw: got %q, want %q", a.Raw(), args)
		}
		i := slices.Index(got, "\x01one")
		if i < 0 || i+1 >= len(got) || got[i+1] != "\x01two" {
			t.Fatalf("additions are not together: %q", got)
		}
		if rest := slices.Delete(slices.Clone(got), i, i+2); !slices.Equal(rest, args) {
			t.Fatalf("got %q, want %q", rest, args)
		}
	})
}

// The table of flags is buildx's own: what `build --help` says, and what it
// hides but takes.
func TestFlagsAreThoseOfBuildx(t *testing.T) {
	cmd := exec.Command(testenv.Tool(t, "buildx"), "build", "--help")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	line := regexp.MustCompile(`(?m)^  (?:-(\w), |    )--([a-z-]+)( [a-zA-Z]+)?  +`)
	found := line.FindAllStringSubmatch(strings.ReplaceAll(string(out), "\n  -D,", "\n  -D,"), -1)
	if len(found) < 35 {
		t.Fatalf("read only %d flags of:\n%s", len(found), out)
	}
	for _, m := range found {
		short, name, takes := m[1], m[2], m[3] != ""
		args := []string{"--" + name, "ctx"}
		a := buildx.ReadArgs(args)
		if len(a.Unknown()) > 0 {
			t.Errorf("--%s is not in the table", name)
			continue
		}
		if _, context := a.Context(); context == takes {
			t.Errorf("--%s takes a value: got %t, want %t", name, !context, takes)
		}
		if short != "" && len(buildx.ReadArgs([]string{"-" + short, "x"}).All(name)) != 1 {
			t.Errorf("-%s is not read as --%s", short, name)
		}
	}
	// The hidden ones: buildx says whether it knows a flag, and whether it
	// waits for a value, before it does anything.
	for _, name := range []string{"compress", "cpu-period", "cpu-quota", "cpu-shares", "cpuset-cpus", "cpuset-mems", "force-rm",
		"isolation", "memory", "memory-swap", "rm", "security-opt", "squash", "print"} {
		out, _ := exec.Command(testenv.Tool(t, "buildx"), "build", "--"+name).CombinedOutput()
		takes := strings.Contains(string(out), "flag needs an argument")
		if strings.Contains(string(out), "unknown flag") {
			t.Errorf("buildx does not know --%s any more", name)
		}
		a := buildx.ReadArgs([]string{"--" + name, "ctx"})
		if _, context := a.Context(); context == takes || len(a.Unknown()) > 0 {
			t.Errorf("--%s takes a value: got %t, want %t", name, !context, takes)
		}
	}
}
