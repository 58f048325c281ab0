package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
)

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// A page is tried as it stands there. A command that its table does not know
// fails the test: add how it is tried.
type page struct {
	file  string
	tries map[string]func(*testing.T, []string) // by the first two words
}

// root is held by the page whose commands write to the root of the source.
var root sync.Mutex

func TestTheReadmeIsTrue(t *testing.T) {
	t.Parallel()
	root.Lock()
	defer root.Unlock()
	b := newBench(t, publicSites)
	// The two that run everything are run by others: here, that they can be.
	planned := func(t *testing.T, command []string) {
		b.inRoot(t, append([]string{command[0], "-n"}, command[1:]...)...).want(t, 0)
	}
	b.try(t, page{"../README.md", map[string]func(*testing.T, []string){
		"make demo":           planned, // TestTheDemoDoesWhatItTells
		"make test":           planned,
		"make build":          b.tryCommand,
		"bin/outlast build":   b.tryCommand,
		"bin/outlast stats":   b.tryCommand,
		"bin/outlast advise":  b.tryCommand,
		"bin/outlast gateway": b.tryGateway,
		"gh run": func(t *testing.T, command []string) { // the log of a run at GitHub, read by us
			_, ours, _ := strings.Cut(strings.Join(command, " "), "| ")
			b.inRoot(t, "sh", "-c", "echo 'ERROR: failed to solve: dial tcp: lookup docker.io: no such host' | "+ours).want(t, 0)
		},
	}})
}

func TestTheManualIsTrue(t *testing.T) {
	t.Parallel()
	root.Lock()
	defer root.Unlock()
	b := newBench(t, publicSites)
	b.try(t, page{"../docs/RESILIENT-BUILD-SYSTEM.md", map[string]func(*testing.T, []string){
		"make build":          b.tryCommand,
		"bin/outlast build":   b.tryCommand,
		"bin/outlast builder": b.tryCommand,
		"bin/outlast check":   b.tryCommand,
		script[len("../"):]:   b.tryCommand,
	}})
}

// The figures of the summary for everybody are those of the pages that make
// outages and make bench write: copy its rows anew where this fails.
func TestTheFiguresAreThoseThatWereMeasured(t *testing.T) {
	t.Parallel()
	var measured string
	for _, file := range []string{"../docs/outages.md", "../docs/benchmarks.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		measured += string(text)
	}
	text, err := os.ReadFile("../DOCKER-BUILD-IMPROVEMENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, figures, _ := strings.Cut(string(text), "## What it comes to")
	figures, _, _ = strings.Cut(figures, "## Files")
	rows := 0
	for line := range strings.Lines(figures) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		rows++
		if !strings.Contains(measured, line) {
			t.Errorf("nobody has measured this: %s", line)
		}
	}
	if rows < 10 {
		t.Errorf("got %d rows of figures, want ten or more", rows)
	}
}

// try tries the commands and the settings of a page.
func (b *bench) try(t *testing.T, p page) {
	t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	tried := make(map[string]bool)
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		switch block[1] {
		case "sh":
			for line := range strings.Lines(block[2]) {
				words := strings.Fields(line)
				if len(words) < 2 || strings.HasPrefix(line, "#") {
					continue
				}
				name := commandName(words)
				try, ok := p.tries[name]
				if !ok {
					t.Errorf("%s has a command that nobody tries: %s", p.file, line)
					continue
				}
				tried[name] = true
				t.Run(strings.TrimSpace(line), func(t *testing.T) { try(t, words) })
			}
		case "yaml":
			t.Run("its settings", func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "outlast.yaml")
				if err := os.WriteFile(file, []byte(block[2]), 0o600); err != nil {
					t.Fatal(err)
				}
				b.inRoot(t, b.outlast, "config", "--config", file).want(t, 0)
			})
		}
	}
	for name := range p.tries {
		if !tried[name] {
			t.Errorf("%s does not say %q any more: take it out of this table", p.file, name)
		}
	}
}

// commandName is what a table calls a command: its first two words, or the
// script alone, without the variables that are set for it.
func commandName(words []string) string {
	for len(words) > 1 && strings.Contains(words[0], "=") {
		words = words[1:]
	}
	if strings.HasPrefix(words[0], "scripts/") {
		return words[0]
	}
	return strings.Join(words[:min(2, len(words))], " ")
}

// tryCommand runs a command of a page in a shell, as people do.
func (b *bench) tryCommand(t *testing.T, command []string) {
	b.inRoot(t, "sh", "-c", strings.Join(command, " ")).want(t, 0)
}

// inRoot runs a command in the root of the repository, with the bench's
// BuildKit and registries.
func (b *bench) inRoot(t *testing.T, command ...string) result {
	t.Helper()
	return execute(t, b.command(t, command...))
}

func (b *bench) command(t *testing.T, command ...string) *exec.Cmd {
	t.Helper()
	file, err := b.cloud.WriteSettings(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), b.buildx.Environ()...)
	cmd.Env = append(cmd.Env, "BUILDKIT_HOST="+b.buildkit.Addr(), "OUTLAST_CONFIG="+file, "XDG_STATE_HOME="+b.dir+"/state", "NO_COLOR=1")
	return cmd
}

// tryGateway starts a gateway as told, pulls from it, and interrupts it.
func (b *bench) tryGateway(t *testing.T, command []string) {
	address := command[len(command)-1]
	stop := b.serve(t, address, command)
	mustRun(t, testenv.Tool(t, "crane"), "digest", address+"/docker.io/library/alpine:3")
	stop()
}

// startGateway serves the bench's registries on an address until the test's
// end, or until stop is called.
func (b *bench) startGateway(t *testing.T, address string) (stop func()) {
	t.Helper()
	return b.serve(t, address, []string{b.outlast, "gateway", "--listen", address})
}

// serve runs a gateway, waits until it answers, and returns what interrupts it.
func (b *bench) serve(t *testing.T, address string, command []string) (stop func()) {
	t.Helper()
	cmd := b.command(t, command...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("nothing listens on %s: %v", address, err)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway, interrupted, ended with %v, want 0", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
