package buildx_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/testenv"
)

// ownEnv is an environment in which buildkitd and runc are found, and no
// builder is.
func ownEnv(t *testing.T) []string {
	t.Helper()
	testenv.Root(t)
	dir := t.TempDir()
	for _, name := range []string{"buildkitd", "runc"} {
		if err := os.Symlink(testenv.Tool(t, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	x := testenv.NewBuildx(t)
	return append(os.Environ(), append(x.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "DOCKER_HOST=unix:///nowhere.invalid", "BUILDKIT_HOST=")...)
}

// ownDaemon is a folder for a daemon, which is stopped at the test's end.
func ownDaemon(t *testing.T) (buildx.Daemon, string) {
	t.Helper()
	dir := testenv.TempDir(t)
	d := buildx.Own(dir)
	t.Cleanup(func() {
		if _, err := d.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

func TestOwnDaemon(t *testing.T) {
	env := ownEnv(t)
	d, dir := ownDaemon(t)
	if s, err := d.Status(); err != nil || s.Running {
		t.Fatalf("before the start: got %+v, %v", s, err)
	}
	if stopped, err := d.Stop(t.Context()); err != nil || stopped {
		t.Fatalf("stop before the start: got %t, %v", stopped, err)
	}
	// Two builds at once share one.
	pids := make([]int, 2)
	var wg sync.WaitGroup
	for i := range pids {
		wg.Go(func() {
			s, err := buildx.Own(dir).Start(t.Context(), env)
			if err != nil {
				t.Error(err)
			}
			pids[i] = s.PID
		})
	}
	wg.Wait()
	if pids[0] != pids[1] || pids[0] == 0 {
		t.Fatalf("two at once: got processes %v", pids)
	}
	s, err := d.Status()
	if err != nil || !s.Running || s.PID != pids[0] || !strings.HasPrefix(s.Address, "unix://") || !strings.HasPrefix(s.Version, "v0.") {
		t.Fatalf("while it runs: got %+v, %v", s, err)
	}
	// After it was killed, a later build has it again.
	if err := syscall.Kill(-s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again, err := d.Start(t.Context(), env)
	if err != nil || again.PID == s.PID {
		t.Fatalf("after a kill: got %+v, %v", again, err)
	}
	// One that hangs is replaced.
	if err := syscall.Kill(again.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	third, err := d.Start(t.Context(), env)
	if err != nil || third.PID == again.PID || running(again.PID) {
		t.Fatalf("after a hang: got %+v, %v", third, err)
	}
	if stopped, err := d.Stop(t.Context()); err != nil || !stopped || running(third.PID) {
		t.Fatalf("stop: got %t, %v", stopped, err)
	}
	if s, err := d.Status(); err != nil || s.Running {
		t.Errorf("after the stop: got %+v, %v", s, err)
	}
}

func TestOwnDaemonBuilds(t *testing.T) {
	r := rig{env: ownEnv(t), routes: registryRoutes(t)}
	_, dir := ownDaemon(t)
	b, err := buildx.Choose(t.Context(), buildx.Search{Env: r.env, State: dir})
	if err != nil {
		t.Fatal(err)
	}
	if b.Origin != "Outlast's own buildkitd" || len(b.Passed) != 2 {
		t.Errorf("got %s, passed over %q", b.Origin, b.Passed)
	}
	if ok, why := b.Reaches(); !ok {
		t.Errorf("it is said not to reach the gateway: %s", why)
	}
	r.builder = b
	r.suite(t)
}

func TestOwnDaemonSaysWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name     string
		programs []string
		want     string
	}{
		{"no buildkitd", nil, "buildkitd is not on PATH"},
		{"a buildkitd that ends at once", []string{"buildkitd", "runc"}, "buildkitd ended at once: buildkitd: unknown command"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.programs...)
			d, dir := ownDaemon(t)
			_, err := d.Start(t.Context(), f.env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "daemon.json")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is written down as if it ran: %v", err)
			}
		})
	}
}

func TestALongPathForTheSocket(t *testing.T) {
	env := ownEnv(t)
	dir := filepath.Join(testenv.TempDir(t), strings.Repeat("long/", 20))
	d := buildx.Own(dir)
	t.Cleanup(func() { d.Stop(context.WithoutCancel(t.Context())) })
	s, err := d.Start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.TrimPrefix(s.Address, "unix://")
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(socket)) })
	if len(socket) > 100 {
		t.Errorf("the socket's path has %d bytes: %s", len(socket), socket)
	}
	info, err := os.Stat(filepath.Dir(socket))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may reach the socket: %v, %v", info.Mode(), err)
	}
}
