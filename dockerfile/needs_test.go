package dockerfile_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outlast-build/outlast/dockerfile"
)

var update = flag.Bool("update", false, "write what is found to testdata")

// shape is a file of testdata/needs: a Dockerfile, the options of its build
// and the needs that are to be found, one a line.
type shape struct {
	path, name string
	archive    *txtar.Archive
	src        []byte
	o          dockerfile.Options
	want       string
}

func shapes(t testing.TB) []shape {
	paths, err := filepath.Glob("testdata/needs/*.txtar")
	if err != nil || len(paths) < 25 {
		t.Fatalf("found %d files, error %v", len(paths), err)
	}
	var all []shape
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := shape{path: path, name: strings.TrimSuffix(filepath.Base(path), ".txtar"), archive: archive}
		s.o = dockerfile.Options{Args: map[string]string{}, BuildPlatform: "linux/amd64"}
		for _, f := range archive.Files {
			switch f.Name {
			case "Dockerfile":
				s.src = f.Data
			case "options":
				s.o = options(t, s.o, string(f.Data))
			case "needs":
				s.want = string(f.Data)
			}
		}
		all = append(all, s)
	}
	return all
}

func options(t testing.TB, o dockerfile.Options, text string) dockerfile.Options {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "target":
			o.Target = value
		case "platform":
			o.Platforms = strings.Split(value, ",")
		case "context":
			o.Contexts = append(o.Contexts, value)
		case "arg":
			k, v, _ := strings.Cut(value, "=")
			o.Args[k] = v
		default:
			t.Fatalf("unknown option %q", line)
		}
	}
	return o
}

// format writes a need as a line of testdata.
func format(n dockerfile.Need) string {
	s := fmt.Sprintf("%d %s %s", n.Line, n.Kind, n.Ref)
	add := func(key, value string) {
		if value != "" {
			s += " " + key + "=" + value
		}
	}
	add("platform", n.Platform)
	if n.As != n.Ref {
		add("as", n.As)
	}
	add("host", n.Host)
	add("stage", n.Stage)
	add("or", strings.Join(n.Substitutes, ","))
	add("unset", strings.Join(n.Unset, ","))
	return s
}

func TestNeeds(t *testing.T) {
	for _, s := range shapes(t) {
		t.Run(s.name, func(t *testing.T) {
			needs, err := dockerfile.Needs(s.src, s.o)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, n := range needs {
				fmt.Fprintln(&got, format(n))
			}
			if *update {
				s.archive.Files = slices.DeleteFunc(s.archive.Files, func(f txtar.File) bool { return f.Name == "needs" })
				s.archive.Files = append(s.archive.Files, txtar.File{Name: "needs", Data: []byte(got.String())})
				if err := os.WriteFile(s.path, txtar.Format(s.archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(s.want, got.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// BuildKit itself is asked which images it resolves for each file. It cannot
// be asked about --build-context, nor about the languages of other frontends.
func TestNeedsAreThoseOfBuildKit(t *testing.T) {
	for _, s := range shapes(t) {
		if len(s.o.Contexts) > 0 || !askable(s.src) || bytes.Contains(s.src, []byte("ghcr.io/example/frontend")) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			targets := s.o.Platforms
			if len(targets) == 0 {
				targets = []string{s.o.BuildPlatform}
			}
			for _, target := range targets {
				want, err := asked(s.src, s.o, s.o.BuildPlatform, target)
				if err != nil {
					t.Fatal(err)
				}
				o := s.o
				o.Platforms = []string{target}
				needs, err := dockerfile.Needs(s.src, o)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, listed(needs)); diff != "" {
					t.Errorf("%s: -BuildKit +ours\n%s", target, diff)
				}
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  string
		o    dockerfile.Options
		line int
		want string // part of the message
	}{
		{"an empty file", "", dockerfile.Options{}, 0, "no instructions"},
		{"no stage", "ARG A=1\n", dockerfile.Options{}, 0, "no FROM"},
		{"an unknown instruction", "FROM alpine\n\nINSTALL curl\n", dockerfile.Options{}, 3, "INSTALL"},
		{"an instruction before FROM", "RUN true\nFROM alpine\n", dockerfile.Options{}, 1, "no build stage"},
		{"a variable without a value", "ARG BASE\nFROM ${BASE}\n", dockerfile.Options{}, 2, "--build-arg BASE="},
		{"a tag without a value", "ARG V\nFROM golang:$V\n", dockerfile.Options{}, 2, "V has no value"},
		{"a default made of nothing", "ARG V\nARG BASE=alpine:$V\nFROM $BASE\n", dockerfile.Options{}, 3, "V has no value"},
		{"an image without a name", "ARG B=\nFROM ${B}\n", dockerfile.Options{}, 2, "empty"},
		{"a required variable", "FROM ${BASE:?say-which}\n", dockerfile.Options{}, 1, "say-which"},
		{"a bad platform", "FROM --platform=x/y/z/w alpine\n", dockerfile.Options{}, 1, "x/y/z/w"},
		{"a platform without a value", "FROM --platform=$P alpine\n", dockerfile.Options{}, 1, "P has no value"},
		{"a bad name", "FROM Alpine:\n", dockerfile.Options{}, 1, "Alpine:"},
		{"a bad name in a stage that is not used", "FROM UPPER AS a\nFROM alpine\n", dockerfile.Options{}, 1, "UPPER"},
		{"an unknown target", "FROM alpine AS a\n", dockerfile.Options{Target: "b"}, 0, `"b"`},
		{"a target by number", "FROM alpine AS a\n", dockerfile.Options{Target: "0"}, 0, `"0"`},
		{"a stage of too high a number", "FROM alpine\nCOPY --from=7 / /\n", dockerfile.Options{}, 2, "number"},
		{"a copy from a later stage", "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\nFROM a\n", dockerfile.Options{}, 2, "must come before"},
		{"stages in a circle", "FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\nCOPY --from=a / /\n", dockerfile.Options{}, 1, "needs itself"},
		{"a variable in COPY --from", "ARG X=1\nFROM alpine\nCOPY --from=$X / /\n", dockerfile.Options{}, 3, "variables"},
		{"a variable in a mount", "FROM alpine\nRUN --mount=from=$X,target=/x true\n", dockerfile.Options{}, 2, "variable"},
		{"an open here-document", "FROM alpine\nRUN <<EOF\ntrue\n", dockerfile.Options{}, 2, "heredoc"},
		{"a bad frontend", "# syntax=Not/OK\nFROM alpine\n", dockerfile.Options{}, 1, "Not/OK"},
		{"a bad platform option", "FROM alpine\n", dockerfile.Options{Platforms: []string{"a/b/c/d"}}, 0, "a/b/c/d"},

		{"a substitute without an image", "FROM a AS x\n# outlast: or\nFROM alpine\n", dockerfile.Options{}, 2, "lacks an image"},
		{"a substitute with a gap", "# outlast: or a:1,,b:2\nFROM alpine\n", dockerfile.Options{}, 1, "lacks an image"},
		{"a substitute that is no name", "# outlast: or deb ian\nFROM alpine\n", dockerfile.Options{}, 1, "deb ian"},
		{"an unknown word for outlast", "# outlast: use debian\nFROM alpine\n", dockerfile.Options{}, 1, "use debian"},
		{"a substitute with a gap below", "# outlast: or debian\n\nFROM alpine\n", dockerfile.Options{}, 1, "directly above"},
		{"a substitute above another instruction", "FROM alpine\n# outlast: or debian\nRUN true\n", dockerfile.Options{}, 2, "directly above"},
		{"a substitute at the end", "FROM alpine\n# outlast: or debian\n", dockerfile.Options{}, 2, "directly above"},
		{"two comments of substitutes", "# outlast: or a\n# outlast: or b\nFROM alpine\n", dockerfile.Options{}, 2, "one"},
		{"a substitute for a stage", "FROM alpine AS a\n# outlast: or b\nFROM a\n", dockerfile.Options{}, 2, "stage"},
		{"a substitute for scratch", "# outlast: or b\nFROM scratch\n", dockerfile.Options{}, 1, "scratch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needs, err := dockerfile.Needs([]byte(tt.src), tt.o)
			var mistake *dockerfile.Error
			if !errors.As(err, &mistake) {
				t.Fatalf("got %v, %v, want an *Error", needs, err)
			}
			if mistake.Line != tt.line || !strings.Contains(mistake.Error(), tt.want) {
				t.Errorf("got line %d: %q, want line %d with %q", mistake.Line, mistake, tt.line, tt.want)
			}
		})
	}
}

func TestCommentsElsewhereAreNotForOutlast(t *testing.T) {
	src := "FROM alpine\nCOPY <<EOF /x\n# outlast: nonsense\nEOF\nRUN a \\\n# outlast: nonsense\n b\n"
	if _, err := dockerfile.Needs([]byte(src), dockerfile.Options{}); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func ExampleNeeds() {
	needs, err := dockerfile.Needs([]byte(`FROM golang:1.26 AS build
RUN go mod download
# outlast: or debian:13-slim
FROM gcr.io/distroless/static:nonroot
COPY --from=build /app /app
`), dockerfile.Options{BuildPlatform: "linux/amd64"})
	if err != nil {
		fmt.Println(err)
	}
	for _, n := range needs {
		fmt.Println(n.Line, n.Kind, n.Ref, n.Substitutes)
	}
	// Output:
	// 1 image docker.io/library/golang:1.26 []
	// 2 packages go []
	// 4 image gcr.io/distroless/static:nonroot [docker.io/library/debian:13-slim]
}
