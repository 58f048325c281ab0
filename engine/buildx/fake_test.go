package buildx_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/testenv"
)

// A fake is a client program in place of docker or buildx: this test's own
// executable, which plays the part that its environment names.
type fake struct {
	Dir string // alone on the PATH
	env []string
}

// newFake makes the client programs of the names.
func newFake(t *testing.T, names ...string) *fake {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Dir: t.TempDir()}
	for _, n := range names {
		if err := os.Symlink(self, filepath.Join(f.Dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	f.set("PATH", f.Dir)
	f.set("HOME", f.Dir)
	f.set("FAKE_DIR", f.Dir)
	f.set("GORACE", "atexit_sleep_ms=0")
	return f
}

func (f *fake) set(key, value string) { f.env = append(f.env, key+"="+value) }

// on says what the program answers to a command: standard output, standard
// error, exit code.
func (f *fake) on(command, stdout, stderr string, code int) {
	data, _ := json.Marshal(part{Stdout: stdout, Stderr: stderr, Code: code})
	f.write(command+".part", data)
}

// act gives the command one of the acts.
func (f *fake) act(command, act string) {
	data, _ := json.Marshal(part{Act: act})
	f.write(command+".part", data)
}

func (f *fake) write(name string, data []byte) {
	if err := os.WriteFile(filepath.Join(f.Dir, name), data, 0o600); err != nil {
		panic(err)
	}
}

// A call is what a program was asked.
type call struct {
	Program string
	Args    []string
	Policy  string // the content of the source policy
	Stdin   string
	Dir     string
	Config  string // BUILDX_CONFIG
	Proof   string // BUILDX_METADATA_PROVENANCE
	PID     int

	// Files are those that --file and --secret name, and what lies beside a
	// Dockerfile: mode and content by name, a secret's by its id.
	Files map[string]string
}

// calls returns all calls so far.
func (f *fake) calls(t *testing.T) []call {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(f.Dir, "*.call"))
	if err != nil {
		t.Fatal(err)
	}
	var calls []call
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c call
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	return calls
}

// built returns the one call of `build`.
func (f *fake) built(t *testing.T) call {
	t.Helper()
	var found []call
	for _, c := range f.calls(t) {
		if slices.Contains(c.Args, "build") {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d calls of build, want one: %v", len(found), found)
	}
	return found[0]
}

func (f *fake) cli() buildx.CLI {
	return buildx.CLI{Path: filepath.Join(f.Dir, "docker"), Args: []string{"buildx"}}
}

type part struct {
	Stdout, Stderr string
	Code           int
	Act            string
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("FAKE_DIR"); dir != "" {
		os.Exit(play(dir))
	}
	testenv.Main(m) // a Docker Engine needs a network of its own
}

// play is the fake itself.
func play(dir string) int {
	c := call{Program: filepath.Base(os.Args[0]), Args: os.Args[1:], PID: os.Getpid()}
	c.Dir, _ = os.Getwd()
	c.Config, c.Proof = os.Getenv("BUILDX_CONFIG"), os.Getenv("BUILDX_METADATA_PROVENANCE")
	command := ""
	for _, a := range c.Args {
		if a != "buildx" && a != "--context" && !strings.HasPrefix(a, "-") {
			command = a
			break
		}
	}
	if file := os.Getenv("EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"); file != "" {
		data, _ := os.ReadFile(file)
		c.Policy = string(data)
	}
	if command == "build" {
		data, _ := io.ReadAll(os.Stdin)
		c.Stdin = string(data)
		c.Files = named(c.Args)
	}
	data, _ := json.Marshal(c)
	file := filepath.Join(dir, fmt.Sprintf("%d-%d.call", time.Now().UnixNano(), os.Getpid()))
	if os.WriteFile(file+"~", data, 0o600) != nil || os.Rename(file+"~", file) != nil {
		return 99
	}
	if command == "sleeper" {
		time.Sleep(time.Hour)
	}
	data, err := os.ReadFile(filepath.Join(dir, c.Program+" "+command+".part"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: unknown command: %s %s\n", c.Program, c.Program, command)
		return 1
	}
	var p part
	if json.Unmarshal(data, &p) != nil {
		return 99
	}
	if p.Act != "" {
		return acts[p.Act](dir)
	}
	for _, a := range c.Args {
		if path, ok := strings.CutPrefix(a, "--metadata-file="); ok && p.Code == 0 {
			_ = os.WriteFile(path, []byte(`{"containerimage.digest":"sha256:`+strings.Repeat("1", 64)+`","buildx.build.ref":"a/b/c"}`), 0o600)
		}
	}
	io.WriteString(os.Stdout, p.Stdout)
	io.WriteString(os.Stderr, p.Stderr)
	return p.Code
}

// named reads the files that the arguments name.
func named(args []string) map[string]string {
	files := make(map[string]string)
	read := func(name, path string) {
		info, err := os.Stat(path)
		if err != nil {
			return
		}
		data, _ := os.ReadFile(path)
		files[name] = fmt.Sprintf("%s %s", info.Mode(), data)
	}
	for _, a := range args {
		if file, ok := strings.CutPrefix(a, "--file="); ok {
			all, _ := os.ReadDir(filepath.Dir(file))
			for _, e := range all {
				read(e.Name(), filepath.Join(filepath.Dir(file), e.Name()))
			}
		}
		if secret, ok := strings.CutPrefix(a, "--secret="); ok {
			fields, _ := csv.NewReader(strings.NewReader(secret)).Read()
			if len(fields) == 3 {
				read(strings.TrimPrefix(fields[1], "id="), strings.TrimPrefix(fields[2], "src="))
			}
		}
	}
	return files
}

const started = `{"vertexes":[{"digest":"sha256:aaaa","name":"[1/1] RUN sleep","started":"2026-01-02T03:04:05Z"}]}` + "\n"

var acts = map[string]func(dir string) int{
	// stops as buildx does when it is interrupted
	"polite": func(string) int {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		io.WriteString(os.Stderr, started)
		<-c
		io.WriteString(os.Stderr, "ERROR: failed to build: failed to solve: Canceled: context canceled\n")
		return 130
	},
	// does not stop, nor does what it has started
	"deaf": func(string) int {
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
		grandchild(true)
		io.WriteString(os.Stderr, started)
		select {}
	},
	// hears an interrupt, says so, and goes on
	"stubborn": func(string) int {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		grandchild(true)
		io.WriteString(os.Stderr, started)
		<-c
		io.WriteString(os.Stderr, "not yet\n")
		select {}
	},
	// ends, and leaves somebody behind who holds its pipes
	"orphan": func(string) int {
		grandchild(true)
		io.WriteString(os.Stderr, started)
		return 0
	},
	// hangs in silence
	"silent": func(string) int { time.Sleep(time.Hour); return 0 },
	// says more than anybody can hold
	"huge": func(string) int {
		line := strings.Repeat("x", 1<<20)
		io.WriteString(os.Stderr, "before\n")
		for range 20 {
			io.WriteString(os.Stderr, line)
		}
		io.WriteString(os.Stderr, "\nafter\n")
		return 1
	},
	// fails at the first line of the Dockerfile that it was given
	"complain": func(string) int {
		file := "Dockerfile"
		for _, a := range os.Args {
			if v, ok := strings.CutPrefix(a, "--file="); ok {
				file = v
			}
		}
		fmt.Fprintf(os.Stderr, "%s:1\n--------------------\n   1 | >>> FROM b\n--------------------\nERROR: failed to build: failed to solve: no\n", file)
		return 1
	},
	"killed": func(string) int {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
}

// grandchild starts another process of this program, in the same group.
func grandchild(deaf bool) {
	cmd := exec.Command(os.Args[0], "sleeper")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

// running reports whether the process is there and not only waits to be reaped.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
