package buildx_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/testenv"
)

// grouped moves this process into a control group of its own that may use limit
// bytes, and back at the test's end.
func grouped(t *testing.T, limit int64) {
	t.Helper()
	testenv.Root(t)
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []struct{ line, top, limit string }{
		{":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
		{"0::", "/sys/fs/cgroup", "memory.max"},
	} {
		_, rest, ok := strings.Cut(string(data), h.line)
		group, _, _ := strings.Cut(rest, "\n")
		before := filepath.Join(h.top, group)
		own := filepath.Join(h.top, fmt.Sprintf("outlast-ground-%d", os.Getpid()))
		if !ok || tell(before, "cgroup.procs", os.Getpid()) != nil || os.Mkdir(own, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := tell(before, "cgroup.procs", os.Getpid()); err != nil {
				t.Error(err)
			}
			os.Remove(own)
		})
		if tell(own, h.limit, int(limit)) == nil && tell(own, "cgroup.procs", os.Getpid()) == nil {
			return
		}
	}
	t.Skip("no control groups that limit memory can be made here")
}

// tell writes a number to a file that is there.
func tell(dir, file string, n int) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, n)
	return errors.Join(err, f.Close())
}

// This process plays the daemon: it listens, holds the lock of a buildkitd, and
// has a limit.
func TestGround(t *testing.T) {
	grouped(t, 7<<30)
	dir := testenv.TempDir(t)
	held, err := os.Create(filepath.Join(dir, "buildkitd.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/info" {
			fmt.Fprintf(w, `{"DockerRootDir":%q}`, elsewhere)
			return
		}
		io.WriteString(w, "{}")
	})}
	go s.Serve(l)
	defer s.Close()
	for _, tt := range []struct {
		name    string
		builder buildx.Builder
		want    engine.Ground
	}{
		{"a buildkitd", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix://" + socket}}}, engine.Ground{Root: dir, Path: dir, Memory: 7 << 30}},
		{"a Docker Engine", buildx.Builder{Driver: "docker", Docker: "unix://" + socket}, engine.Ground{Root: elsewhere, Path: elsewhere, Memory: 7 << 30}},
		{"one on another machine", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "tcp://192.0.2.1:1234"}}}, engine.Ground{}},
		{"one that is gone", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix://" + dir + "/gone"}}}, engine.Ground{}},
	} {
		if got := tt.builder.Ground(t.Context()); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
