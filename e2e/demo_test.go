package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/outlast-build/outlast/internal/testenv"
)

// demoAddresses are the demo's, always the same ones.
var demoAddresses sync.Mutex

// buildDemo builds the demo, and skips where its parts are missing.
func buildDemo(t *testing.T) string {
	t.Helper()
	demoAddresses.Lock()
	t.Cleanup(demoAddresses.Unlock)
	testenv.Root(t)
	for _, tool := range []string{"buildkitd", "buildx", "registry", "runc"} {
		testenv.Tool(t, tool)
	}
	testenv.Images(t)
	path := filepath.Join(t.TempDir(), "demo")
	if _, err := testenv.Run(t.Context(), nil, testenv.Tool(t, "go"), "build", "-C", "..", "-o", path, "./internal/demo"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheDemoDoesWhatItTells(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), buildDemo(t))
	got := execute(t, cmd)
	// Lines are broken where the page ends.
	flat := result{code: got.code, stdout: strings.Join(strings.Fields(got.stdout), " "), stderr: got.stderr, took: got.took}
	flat.want(t, 0,
		"127.0.0.11:5000 takes requests and never answers",
		"unexpected status from HEAD", // gcr.io's page, to stock buildx
		"BuildKit sets no limit",      // it hangs
		"unexpected commit digest",    // and takes spoiled bytes
		"answers with an HTML page (gcr.io's origin)",
		"serves spoiled bytes (docker.io's mirror)",
		"the last good answer of", "is stale",
		"conductor-loop devel",
		"+ outlast build ", "+ outlast build, all down",
		"demo-kept/report.html dashboard http://127.0.0.1:", "Both show the outage that was just lived through.",
	)
	if n := strings.Count(got.stdout, "$ chroot "); n != 2 {
		t.Errorf("got what was built run %d times, want 2", n)
	}
	for line := range strings.Lines(got.stdout) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line is %d characters long: %s", n, line)
		}
	}
	if strings.Contains(got.text(), "\x1b") {
		t.Error("there are colours, and no terminal")
	}
	nothingOf(t, got.stdout)
}

func TestTheDemoCleansUpWhenInterrupted(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(buildDemo(t))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "[outlast] ") {
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("got exit code %d, want 130:\n%s", code, text.String())
	}
	nothingOf(t, text.String())
}

var demoFolder = regexp.MustCompile(`dest=(/\S+)/stock`)

// nothingOf checks that a demo has left neither its folder nor a mount nor a
// process.
func nothingOf(t *testing.T, text string) {
	t.Helper()
	m := demoFolder.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the demo names no folder:\n%s", text)
	}
	if _, err := os.Stat(m[1]); !os.IsNotExist(err) {
		t.Errorf("%s: got %v, want it gone", m[1], err)
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), m[1]) {
		t.Errorf("mounts are left in %s", m[1])
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range commands {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), m[1]) {
			t.Errorf("a process is left: %q", line)
		}
	}
}
