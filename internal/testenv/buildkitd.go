package testenv

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BuildkitdOptions say how a BuildKit is set up. The zero value is a good one.
type BuildkitdOptions struct {
	// Config is added to the end of buildkitd.toml: whole tables, such as
	// [registry."docker.io"].
	Config string
	// Binary is the buildkitd to run; empty means the pinned one.
	Binary string
	// KeepSpoiled turns the collecting of content off, which otherwise cleans
	// up after spoiled downloads a minute after a build.
	KeepSpoiled bool
	// Debug makes it log all that it does.
	Debug bool
}

// A Buildkitd is a running BuildKit daemon of its own, with the network of the
// process that started it.
type Buildkitd struct {
	dir    string
	addr   string
	cgroup string
	proc   *process
}

// StartBuildkitd starts a BuildKit that keeps all it has below dir, which is
// created and, by Stop, removed. It needs root. It listens on a unix socket,
// so dir must not be longer than about 80 bytes.
func StartBuildkitd(ctx context.Context, dir string, o BuildkitdOptions) (*Buildkitd, error) {
	if err := CheckRoot(); err != nil {
		return nil, err
	}
	binary := o.Binary
	if binary == "" {
		var err error
		if binary, err = LookTool("buildkitd"); err != nil {
			return nil, err
		}
	}
	runc, err := LookTool("runc")
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	b := &Buildkitd{
		dir:    dir,
		addr:   "unix://" + filepath.Join(dir, "sock"),
		cgroup: groupName(dir),
	}
	toml := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(toml, []byte(b.config(o, runc)), 0o644); err != nil {
		return nil, err
	}
	b.proc, err = startContained("buildkitd", filepath.Join(dir, "log"), "",
		[]string{"DOCKER_CONFIG=" + dir, "TMPDIR=" + dir}, binary, "--config", toml)
	if err != nil {
		return nil, err
	}
	// The socket is made when the worker is set up, so whoever can connect can build.
	if err := b.proc.ready(ctx, func(ctx context.Context) error { return dialUnix(ctx, filepath.Join(dir, "sock")) }); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Buildkitd) config(o BuildkitdOptions, runc string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "root = %q\ndebug = %t\n\n", filepath.Join(b.dir, "root"), o.Debug)
	fmt.Fprintf(&s, "[grpc]\n  address = [%q]\n\n", b.addr)
	fmt.Fprintf(&s, "[otel]\n  socketPath = %q\n\n", filepath.Join(b.dir, "otel"))
	fmt.Fprintf(&s, "[cdi]\n  disabled = true\n\n")
	fmt.Fprintf(&s, "[history]\n  maxEntries = 50\n\n")
	fmt.Fprintf(&s, "[worker.containerd]\n  enabled = false\n\n")
	fmt.Fprintf(&s, "[worker.oci]\n  enabled = true\n  binary = %q\n  networkMode = \"host\"\n", runc)
	fmt.Fprintf(&s, "  defaultCgroupParent = %q\n  gc = %t\n\n", "/"+b.cgroup, !o.KeepSpoiled)
	s.WriteString(o.Config)
	return s.String()
}

// Addr returns the address for buildctl, buildx's remote driver and
// BUILDKIT_HOST: unix:///….
func (b *Buildkitd) Addr() string { return b.addr }

// Dir returns the folder that it was started with.
func (b *Buildkitd) Dir() string { return b.dir }

// Log returns the last megabyte of what it has logged.
func (b *Buildkitd) Log() string { return b.proc.log() }

// Done is closed when the daemon has ended, by Stop or by itself.
func (b *Buildkitd) Done() <-chan struct{} { return b.proc.done }

// Kill ends it with all that it runs, at once, and leaves its folder: another
// one can be started in it, at the same address.
func (b *Buildkitd) Kill() { b.proc.stop(0) }

// Stop ends it with all that it runs, removes its folder, and returns its log.
// It takes a few seconds where the daemon is wedged. Calling it again does nothing.
func (b *Buildkitd) Stop() (log string) {
	b.proc.stop(grace)
	log = b.proc.log()
	removeCgroups(cgroups(b.cgroup))
	removeAll(b.dir)
	return log
}

// NewBuildkitd is StartBuildkitd for a test: it stops it at the test's end,
// and logs the end of its log where the test has failed.
func NewBuildkitd(t testing.TB, o BuildkitdOptions) *Buildkitd {
	t.Helper()
	b, err := StartBuildkitd(t.Context(), TempDir(t), o)
	Need(t, err)
	t.Cleanup(func() {
		tail := b.proc.tail()
		b.Stop()
		if t.Failed() {
			t.Logf("the end of buildkitd's log:\n%s", tail)
		}
	})
	return b
}

// TempDir returns a new folder with a name so short that unix sockets fit in
// it; it is removed at the test's end.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ol")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

// groupName makes the name of a control group from the folder of a daemon.
func groupName(dir string) string {
	return "outlast-test" + strings.Map(func(r rune) rune {
		if r == '/' || r == '.' {
			return '-'
		}
		return r
	}, dir)
}

func dialUnix(ctx context.Context, path string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	return conn.Close()
}
