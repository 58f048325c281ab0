package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/outlast-build/outlast/internal/cli"
)

var update = flag.Bool("update", false, "write golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"outlast": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			return os.MkdirAll(home, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and wants its exit code: exits 2 outlast bild. Its
// output is then compared as that of exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// result is what a command line gave.
type result struct {
	code           int
	stdout, stderr string
}

// run runs a command line within the test, with parts of its own.
func run(t testing.TB, parts cli.Parts, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := []string{"HOME=" + t.TempDir()}
	code := cli.Run(t.Context(), parts, args, strings.NewReader(""), &stdout, &stderr, env)
	return result{code, stdout.String(), stderr.String()}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (write it with -update):\n%s", path, diff)
	}
}

func TestHelp(t *testing.T) {
	for _, command := range []string{
		"",
		"advise",
		"build",
		"builder", "builder config", "builder create", "builder rm",
		"cache", "cache repair", "cache stats", "cache trim", "cache verify",
		"check",
		"config",
		"diagnose",
		"engine", "engine status", "engine stop",
		"gateway", "gateway health", "actcache", "actcache token",
		"harden",
		"history", "history export", "history import", "history show",
		"lock",
		"mirrors",
		"plan",
		"serve",
		"stats",
		"version",
		"warm",
	} {
		t.Run("outlast "+command, func(t *testing.T) {
			got := run(t, cli.Parts{}, append(strings.Fields(command), "--help")...)
			if got.code != 0 || got.stderr != "" {
				t.Errorf("got code %d and %q on standard error, want 0 and nothing", got.code, got.stderr)
			}
			if !strings.Contains(got.stdout, "Examples:") {
				t.Error("there are no examples")
			}
			for line := range strings.Lines(got.stdout) {
				if len(line) > 132 {
					t.Errorf("a line is %d characters long: %s", len(line), line)
				}
			}
			name := strings.ReplaceAll(strings.TrimSpace("outlast "+command), " ", "-")
			golden(t, filepath.Join("testdata", "help", name+".txt"), got.stdout)
		})
	}
}
