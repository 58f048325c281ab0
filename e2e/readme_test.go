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

// Every command of the README is tried here, as it stands there. A command
// that this table does not know fails the test: add how it is tried.
func TestTheReadmeIsTrue(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, publicSites)
	// The two that run everything are run by others: here, that they can be.
	planned := func(t *testing.T, command []string) {
		r := b.inRoot(t, append([]string{command[0], "-n"}, command[1:]...)...)
		r.want(t, 0)
	}
	tries := map[string]func(*testing.T, []string){
		"make demo": planned, // TestTheDemoDoesWhatItTells
		"make test": planned,
		"make build": func(t *testing.T, command []string) {
			r := b.inRoot(t, command...)
			r.want(t, 0)
		},
		"bin/outlast build": func(t *testing.T, command []string) {
			r := b.inRoot(t, command...)
			r.want(t, 0)
		},
		"bin/outlast gateway": b.tryGateway,
	}
	blocks := fence.FindAllStringSubmatch(string(text), -1)
	tried := make(map[string]bool)
	for _, block := range blocks {
		switch block[1] {
		case "sh":
			for line := range strings.Lines(block[2]) {
				words := strings.Fields(line)
				if len(words) < 2 || strings.HasPrefix(line, "#") {
					continue
				}
				name := words[0] + " " + words[1]
				try, ok := tries[name]
				if !ok {
					t.Errorf("the README has a command that nobody tries: %s", line)
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
	for name := range tries {
		if !tried[name] {
			t.Errorf("the README does not say %q any more: take it out of this table", name)
		}
	}
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
