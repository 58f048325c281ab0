package dockerfile_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/internal/testenv"
)

var pins = map[string]string{
	"docker.io/library/golang:1.26":      "sha256:" + strings.Repeat("1", 64),
	"docker.io/library/alpine:3.22":      "sha256:" + strings.Repeat("2", 64),
	"docker.io/library/alpine:latest":    "sha256:" + strings.Repeat("3", 64),
	"docker.io/library/busybox:1.37":     "sha256:" + strings.Repeat("4", 64),
	"gcr.io/distroless/static:nonroot":   "sha256:" + strings.Repeat("5", 64),
	"docker.io/library/node:22":          "sha256:" + strings.Repeat("6", 64),
	"docker.io/library/python:3.13-slim": "sha256:" + strings.Repeat("7", 64),
}

func harden(t *testing.T, src string) string {
	t.Helper()
	edits, _, err := dockerfile.Harden([]byte(src), dockerfile.HardenOptions{Name: "Dockerfile", Pins: pins})
	if err != nil {
		t.Fatal(err)
	}
	return string(dockerfile.Apply([]byte(src), edits))
}

func TestHardenRealFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/harden/*.Dockerfile")
	if err != nil || len(files) < 12 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".Dockerfile"), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := harden(t, string(src))
			golden := strings.TrimSuffix(name, ".Dockerfile") + ".resilient"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s: want -, got + (-update writes it):\n%s", golden, d)
			}
			if again := harden(t, got); again != got {
				t.Errorf("hardening it again changes it:\n%s", cmp.Diff(got, again))
			}
			if !dockerfile.Hardened([]byte(got)) || dockerfile.Hardened(src) {
				t.Error("the mark does not tell a hardened file from another")
			}
		})
	}
}

// What arrives at the shell must be sound: the programs, and commands in which
// they are called.
func TestShellcheckHasNothingToSay(t *testing.T) {
	tool := testenv.Tool(t, "shellcheck")
	for _, name := range []string{"persist/again", "persist/once"} {
		if out, err := exec.CommandContext(t.Context(), tool, "-s", "sh", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestHardenRefuses(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"no Dockerfile", "hello\n", "line 1: "},
		{"a stage of the same name", "FROM a\nFROM b AS Persist\nRUN apk add x\n", `line 2: a stage is called "persist"`},
		{"a frontend that is too old", "# syntax=docker/dockerfile:1.2\nFROM a\n", "line 1: its frontend docker/dockerfile:1.2 may not know here-documents"},
		{"another language", "# syntax=example.com/mine:1\nFROM a\n", "line 1: its frontend example.com/mine:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := dockerfile.Harden([]byte(tt.src), dockerfile.HardenOptions{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s…", err, tt.want)
			}
		})
	}
}

func TestHardenKeepsWhatIsHardened(t *testing.T) {
	once := harden(t, "FROM alpine:3.22\nRUN apk add git\n")
	more := harden(t, once+"RUN apk add make\n")
	want := once + "RUN --mount=from=persist,target=/dev/persist /dev/persist/again apk add make\n"
	if d := cmp.Diff(want, more); d != "" {
		t.Errorf("a new step of a hardened file: want -, got +:\n%s", d)
	}
}

var (
	hardenedWord = regexp.MustCompile(`/dev/persist/(?:again|once) `)
)

// FuzzHarden: BuildKit's parser reads the hardened file, and what it reads is
// the same but for the words that are added to RUNs that call package managers.
// Hardening it again changes nothing.
func FuzzHarden(f *testing.F) {
	files, err := filepath.Glob("testdata/harden/*.Dockerfile")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, s := range shapes(f) {
		f.Add(s.src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 || bytes.Contains(src, []byte("/dev/persist")) || dockerfile.Hardened(src) {
			return
		}
		edits, _, err := dockerfile.Harden(src, dockerfile.HardenOptions{Name: "Dockerfile"})
		if err != nil {
			return
		}
		out := dockerfile.Apply(src, edits)
		if !valid(out) {
			t.Fatalf("BuildKit does not read:\n%s", out)
		}
		was, is := read(t, src), read(t, out)
		if len(is) > len(was) && is[0].Name == "persist" {
			is = is[1:]
		}
		for i := range was {
			for j, c := range was[i].Commands {
				sameButHardened(t, c, is[i].Commands[j])
			}
		}
		again, _, err := dockerfile.Harden(out, dockerfile.HardenOptions{Name: "Dockerfile"})
		if err != nil || len(again) > 0 {
			t.Fatalf("again: %v, %v of\n%s", again, err, out)
		}
	})
}

func read(t *testing.T, src []byte) []instructions.Stage {
	t.Helper()
	result, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(result.AST, linter.New(&linter.Config{SkipAll: true}))
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

func sameButHardened(t *testing.T, a, b instructions.Command) {
	t.Helper()
	switch x := a.(type) {
	case *instructions.RunCommand:
		y, ok := b.(*instructions.RunCommand)
		if !ok {
			t.Fatalf("%v became %v", a, b)
		}
		was, is := strings.Join(x.CmdLine, " "), strings.Join(y.CmdLine, " ")
		for _, f := range x.Files {
			was += "\n" + f.Data
		}
		for _, f := range y.Files {
			is += "\n" + f.Data
		}
		if got := hardenedWord.ReplaceAllString(is, ""); got != was {
			t.Fatalf("%q became %q", was, is)
		}
	case *instructions.CopyCommand:
		y, ok := b.(*instructions.CopyCommand)
		if !ok || cmp.Diff(x.SourcePaths, y.SourcePaths) != "" || x.DestPath != y.DestPath {
			t.Fatalf("%v became %v", a, b)
		}
	default:
		if a.Name() != b.Name() {
			t.Fatalf("%v became %v", a, b)
		}
	}
}

// What would be broken by a word before it, or by another try, stays.
func TestWhatIsNotHardened(t *testing.T) {
	const p = "/dev/persist/again "
	for _, tt := range []struct{ name, script, want, why string }{
		{"a plain command", "apk add x", p + "apk add x", ""},
		{"a condition", "if ! apk add x; then exit 3; fi", "if ! " + p + "apk add x; then exit 3; fi", ""},
		{"variables before it", "A=1 B='2 3' apk add x", "A=1 B='2 3' " + p + "apk add x", ""},
		{"output that nobody keeps", "apk add x >/dev/null 2>&1", p + "apk add x >/dev/null 2>&1", ""},
		{"the word alone", "command -v apk; echo apk add; which yarn", "command -v apk; echo apk add; which yarn", ""},
		{"a quoted word", `echo "apk add x"; bash -c true; 'apk' add x`, `echo "apk add x"; bash -c true; ` + p + `'apk' add x`, ""},
		{"a function and a pattern of its name", "yarn() { :; }; case $x in a) ;; yarn) apk add x;; esac", "yarn() { :; }; case $x in a) ;; yarn) " + p + "apk add x;; esac", ""},
		{"a group", "{ apk add x; apk add y; } && (apk add z)", "{ " + p + "apk add x; " + p + "apk add y; } && (" + p + "apk add z)", ""},
		{"a group into a pipe", "{ apk add x; } | tee log", "{ apk add x; } | tee log", "another try would write its output twice"},
		{"a loop into a file", "for i in 1; do apk add x; done > log", "for i in 1; do apk add x; done > log", "another try would write its output twice"},
		{"a pipe into it", "yes | apk add x", "yes | apk add x", "another try would find its input read already"},
		{"a file into it", "apk add x < list", "apk add x < list", "another try would find its input read already"},
		{"a pipe out of it", "apk add x | tee log", "apk add x | tee log", "another try would write its output twice"},
		{"a substitution", "x=$(npm install)", "x=$(npm install)", "another try would write its output twice"},
		{"words from a pipe", "cat list | xargs -n1 apk add", "cat list | xargs -n1 " + p + "apk add", ""},
		{"both ends of a list", "apk add x || apk add y; apk add z &", p + "apk add x || " + p + "apk add y; " + p + "apk add z &", ""},
		{"a script in a script", "sh -c 'apk add x'", "sh -c 'apk add x'", "it is called by a script within the script"},
		{"another root", "chroot /mnt apk add x", "chroot /mnt apk add x", "it runs in another root"},
		{"what compiles", "cargo build && mvn package && npx x", "cargo build && mvn package && npx x", ""},
		{"what asks nobody", "go env && npm run build && pip list", "go env && npm run build && pip list", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := "FROM scratch\nRUN " + tt.script + "\n"
			edits, left, err := dockerfile.Harden([]byte(src), dockerfile.HardenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			stages := read(t, dockerfile.Apply([]byte(src), edits))
			run := stages[len(stages)-1].Commands[0].(*instructions.RunCommand)
			if got := strings.Join(run.CmdLine, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			why := ""
			if len(left) > 0 {
				why = left[0].Why
			}
			if why != tt.why {
				t.Errorf("left because %q, want %q", why, tt.why)
			}
		})
	}
}

// shellcheck finds in the shell of hardened files what it finds in the files.
func TestShellcheckFindsNothingNew(t *testing.T) {
	tool := testenv.Tool(t, "shellcheck")
	found := func(src []byte) string {
		var script strings.Builder
		for _, st := range read(t, src) {
			for _, c := range st.Commands {
				run, ok := c.(*instructions.RunCommand)
				if !ok || !run.PrependShell {
					continue
				}
				for _, f := range run.Files {
					script.WriteString(f.Data + "\n")
				}
				if len(run.Files) == 0 {
					script.WriteString("(\n" + strings.Join(run.CmdLine, " ") + "\n)\n")
				}
			}
		}
		cmd := exec.CommandContext(t.Context(), tool, "-s", "sh", "-f", "gcc", "-")
		cmd.Stdin = strings.NewReader(script.String())
		out, _ := cmd.CombinedOutput() // it fails where it finds something
		return regexp.MustCompile(`(?m)^-:(\d+):\d+`).ReplaceAllString(string(out), "$1")
	}
	files, err := filepath.Glob("testdata/harden/*.Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(found(src), found([]byte(harden(t, string(src))))); d != "" {
			t.Errorf("%s: in the file -, in the hardened +:\n%s", name, d)
		}
	}
}

func TestByteOrderMarkStaysFirst(t *testing.T) {
	got := harden(t, "\ufeffFROM scratch\nRUN apk add x\n")
	if !strings.HasPrefix(got, "\ufeff# Written") || !strings.Contains(got, "\nFROM scratch\nRUN --mount") {
		t.Errorf("got %s", got)
	}
}
