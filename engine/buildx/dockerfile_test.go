package buildx_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/engine"
)

// tree writes files, by their path.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestADockerfileInPlaceOfTheUsers(t *testing.T) {
	const mode = "-rw------- "
	for _, tt := range []struct {
		name  string
		files map[string]string
		req   engine.Request
		want  map[string]string // what lies in the folder of the Dockerfile
		shown string            // for "FILE:1"
	}{
		{"a text for the context's own", map[string]string{"Dockerfile": "FROM a"},
			engine.Request{Args: []string{"."}, Text: []byte("FROM b")},
			map[string]string{"Dockerfile": "FROM b"}, "Dockerfile"},
		{"with the ignore file and the policy beside it", map[string]string{"x/app.df": "", "x/app.df.dockerignore": "a", "x/app.df.rego": "p", "x/app.df.other": "", ".dockerignore": ""},
			engine.Request{Args: []string{"-f", "x/app.df", "."}, Text: []byte("FROM b")},
			map[string]string{"app.df": "FROM b", "app.df.dockerignore": "a", "app.df.rego": "p"}, "x/app.df"},
		{"a text for standard input", map[string]string{"Dockerfile": "", "Dockerfile.dockerignore": "not this one's"},
			engine.Request{Args: []string{"-f-", "."}, Text: []byte("FROM b"), Stdin: strings.NewReader("FROM a")},
			map[string]string{"Dockerfile": "FROM b"}, "stdin"},
		{"another file goes by what lies beside the user's", map[string]string{"app/Dockerfile": "FROM a", "app/Dockerfile.dockerignore": "a", "app/Dockerfile.hard": "FROM b"},
			engine.Request{Args: []string{"app"}, Dockerfile: "app/Dockerfile.hard"},
			map[string]string{"Dockerfile.hard": "FROM b", "Dockerfile.hard.dockerignore": "a"}, "app/Dockerfile.hard"},
		{"and by its own first", map[string]string{"Dockerfile": "FROM a", "Dockerfile.dockerignore": "a", "Dockerfile.hard": "FROM b", "Dockerfile.hard.dockerignore": "b"},
			engine.Request{Args: []string{"."}, Dockerfile: "Dockerfile.hard", Text: []byte("FROM c")},
			map[string]string{"Dockerfile.hard": "FROM c", "Dockerfile.hard.dockerignore": "b"}, "Dockerfile.hard"},
		{"a name in small letters", map[string]string{"dockerfile": "FROM a", "dockerfile.dockerignore": "a"},
			engine.Request{Args: []string{"."}, Text: []byte("FROM b")},
			map[string]string{"dockerfile": "FROM b", "dockerfile.dockerignore": "a"}, "Dockerfile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.act("docker build", "complain")
			tt.req.Dir = tree(t, tt.files)
			r, _, _ := build(t, f, tt.req)
			c := f.built(t)
			want := make(map[string]string)
			for name, text := range tt.want {
				want[name] = mode + text
			}
			if d := cmp.Diff(want, c.Files); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			if r.Failure == nil || r.Failure.Source == nil || r.Failure.Source.File != tt.shown {
				t.Errorf("source: got %+v, want it in %s", r.Failure, tt.shown)
			}
			file := c.Args[slices.IndexFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--file=") })]
			if _, err := os.Stat(strings.TrimPrefix(file, "--file=")); err == nil {
				t.Error("it is still there")
			}
		})
	}
}

func TestWhatWasAddedIsNotShown(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker build", "", `{"vertexes":[{"digest":"sha256:aa","name":"[2/2] RUN --mount=x true"}]}`+"\n", 0)
	r, _, err := build(t, f, engine.Request{Args: []string{"."}, Text: []byte("FROM a\nRUN --mount=x true"), Added: []string{" --mount=x"}})
	if err != nil || r.Steps[0].Name != "[2/2] RUN true" {
		t.Errorf("got %+v, %v", r.Steps, err)
	}
}

func TestADockerfileThatIsNotThere(t *testing.T) {
	f := newFake(t, "docker")
	if r, _, err := build(t, f, engine.Request{Args: []string{"."}, Dockerfile: "nowhere", Dir: f.Dir}); r.Outcome != engine.Refused || err == nil {
		t.Errorf("got %q, %v, want refused", r.Outcome, err)
	}
}

func TestSecretsAreInFilesOfTheirOwn(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(tree(t, map[string]string{"a,\"b/x": ""}), "a,\"b"))
	f := newFake(t, "docker")
	f.on("docker build", "", "", 0)
	_, _, err := build(t, f, engine.Request{Args: []string{"--secret", "id=mine,env=MINE", "."}, Secrets: map[string][]byte{
		"one": []byte("sesame"), "two": []byte("a\x00b"), "mine": []byte("not this one"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := f.built(t)
	if d := cmp.Diff(map[string]string{"one": "-rw------- sesame", "two": "-rw------- a\x00b"}, c.Files); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if all := strings.Join(c.Args, " "); strings.Contains(all, "sesame") || strings.Contains(all, "id=mine,src") {
		t.Errorf("the arguments are %s", all)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "outlast-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
