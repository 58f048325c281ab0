package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// once checks that what went wrong is told in one error, with a hint where
// there is something to do, and without a stack.
func (r result) once(t *testing.T) {
	t.Helper()
	if n := strings.Count(r.stderr, "outlast: error:"); n != 1 {
		t.Errorf("got %d errors, want one:\n%s", n, r.text())
	}
	if strings.Contains(r.text(), "goroutine ") {
		t.Errorf("got a stack:\n%s", r.text())
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	good := b.context(twoBases)
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(testenv.TempDir(t), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	for _, tt := range []struct {
		name string
		args []string
		code int
		text []string
	}{
		{"no Dockerfile", []string{"build", testenv.TempDir(t)}, 1, []string{"Dockerfile", "no such file"}},
		{"an empty Dockerfile", []string{"build", b.context("\n")}, 1, []string{"Dockerfile", "empty"}},
		{"a Dockerfile that is a folder", []string{"build", "-f", testenv.TempDir(t), good}, 1, []string{"folder"}},
		{"a slip in the Dockerfile", []string{"build", b.context("FROM alpine:3\nRUUN true\n")}, 1, []string{"Dockerfile:2", "RUUN"}},
		{"a stage that does not exist", []string{"build", "--target", "nowhere", good}, 1, []string{"nowhere"}},
		{"settings with an unknown key", []string{"build", "--config", write("o.yaml", "registries:\n  docker.io:\n    mirors: []\n", 0o600), good}, 2,
			[]string{"o.yaml:3", "mirors", "mirrors"}},
		{"settings with a bad value", []string{"config", "--config", write("p.yaml", "fetch: {dial: soon}\n", 0o600)}, 2, []string{"p.yaml:1", "fetch.dial", "soon"}},
		{"settings that are not there", []string{"build", "--config", "/nowhere.yaml", good}, 2, []string{"/nowhere.yaml"}},
		{"a setting of the environment", []string{"config", "--set", "store.size=large"}, 2, []string{"store.size", "large"}},
		{"a command that does not exist", []string{"bild", good}, 2, []string{"bild"}},
		{"an unknown flag of ours", []string{"gateway", "--lisen", "x"}, 2, []string{"lisen"}},
		{"a port that is taken", []string{"gateway", "--listen", taken.Addr().String()}, 2, []string{taken.Addr().String(), "taken"}},
		{"an address for everybody", []string{"gateway", "--listen", "0.0.0.0:0"}, 2, []string{"--public"}},
		{"a builder that does not exist", []string{"build", "--builder", "nowhere", good}, 4, []string{"nowhere"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bb := *b
			bb.t = t
			got := bb.run(tt.args...)
			got.want(t, tt.code, tt.text...)
			got.once(t)
		})
	}
	t.Run("flags that buildx refuses", func(t *testing.T) {
		got := b.build(good, "--no-such-flag")
		if got.code != 2 || !strings.Contains(got.stderr, "no-such-flag") {
			t.Errorf("got %d: %s, want 2 with the flag named", got.code, got.stderr)
		}
	})
}

func TestAStoreWithoutSpaceFailsNoBuild(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	store := filepath.Join(b.dir, "store")
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", store, "tmpfs", 0, "size=300k"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(store, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	b.build(b.context(twoBases)).want(t, 0)
}

func TestAStoreThatCannotBeReadFailsNoBuild(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	if err := os.WriteFile(filepath.Join(b.dir, "store"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.build(b.context(twoBases)).want(t, 0, "store")
}

func TestInterruptsLeaveNothingRunning(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		signals int
		limit   time.Duration
	}{
		{"one ends the build", 1, 15 * time.Second},
		{"a second one kills", 2, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, publicSites)
			file, err := b.cloud.WriteSettings(b.dir)
			if err != nil {
				t.Fatal(err)
			}
			docker := b.cloud.Sites[0]
			for _, p := range append(docker.Mirrors, docker.Origin) {
				if err := p.Play(faultnet.Always(faultnet.Hang())); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(b.outlast, "build", "--config", file, "--progress", "plain", b.context(twoBases))
			cmd.Env = append(os.Environ(), b.buildx.Environ()...)
			cmd.Env = append(cmd.Env, "BUILDKIT_HOST="+b.buildkit.Addr(), "HOME="+b.dir, "XDG_STATE_HOME="+b.dir+"/state", "MARK="+b.dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := docker.Origin.Registry.Await(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for range tt.signals {
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
			err = cmd.Wait()
			if cmd.ProcessState.ExitCode() != 130 || time.Since(began) > tt.limit {
				t.Errorf("got %v after %v, want exit code 130 within %v", err, time.Since(began), tt.limit)
			}
			if left := marked(t, "MARK="+b.dir); len(left) > 0 {
				t.Errorf("still running: %q", left)
			}
		})
	}
}

// marked lists the processes with a mark in their environment.
func marked(t *testing.T, mark string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(env), mark) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
			found = append(found, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}
