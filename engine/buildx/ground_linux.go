package buildx

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/engine"
)

// groundLimit bounds what is asked of a daemon about itself.
const groundLimit = 2 * time.Second

// Ground tells where the builder's daemon keeps its content and how much memory
// it may use, where it listens on a socket of this machine. It asks the daemon's
// process by the system alone, and a Docker Engine by its API (GET /info).
func (b Builder) Ground(ctx context.Context) engine.Ground {
	ctx, cancel := context.WithTimeout(ctx, groundLimit)
	defer cancel()
	address := b.Docker
	if b.Driver == "remote" && len(b.Nodes) > 0 {
		address = b.Nodes[0].Endpoint
	}
	socket, ok := strings.CutPrefix(address, "unix://")
	if !ok {
		return engine.Ground{}
	}
	pid := listener(ctx, socket)
	var g engine.Ground
	if b.Driver == "remote" {
		g.Root = holder(pid)
	} else {
		g.Root = dockerRoot(ctx, socket)
	}
	g.Path = seen(pid, g.Root)
	g.Memory, g.Killed = memory(pid)
	return g
}

// listener returns the process that listens on a socket, or 0. Where a service
// manager opened the socket for it, that is the manager.
func listener(ctx context.Context, socket string) (pid int) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return 0
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // then nothing is known
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil && peer.Pid > 1 {
			pid = int(peer.Pid)
		}
	})
	return pid
}

// holder returns the folder of a buildkitd: that of the lock that it holds open
// (cmd/buildkitd, main.go).
func holder(pid int) string {
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil && filepath.Base(to) == "buildkitd.lock" {
			return filepath.Dir(to)
		}
	}
	return ""
}

// dockerRoot asks a Docker Engine where it keeps its content.
func dockerRoot(ctx context.Context, socket string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/info", nil)
	if err != nil {
		return ""
	}
	resp, err := client.Do(r)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var info struct{ DockerRootDir string }
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&info) != nil || !filepath.IsAbs(info.DockerRootDir) {
		return ""
	}
	return info.DockerRootDir
}

// seen returns the path by which this process finds a folder that a process
// sees, which may have file systems of its own. Empty: there is none.
func seen(pid int, folder string) string {
	if folder == "" {
		return ""
	}
	inside := fmt.Sprintf("/proc/%d/root%s", pid, folder)
	here, err := os.Stat(folder)
	if there, other := os.Stat(inside); other == nil && there.IsDir() && (err != nil || !os.SameFile(here, there)) {
		return inside
	}
	if err != nil || !here.IsDir() {
		return ""
	}
	return folder
}

// hierarchies are the places of control groups that limit memory: version 1
// (memory controller) and version 2, by the kernel's documents of each.
var hierarchies = []struct{ line, top, limit, events string }{
	{":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
	{"0::", "/sys/fs/cgroup", "memory.max", "memory.events"},
}

// unlimited is what version 1 has for no limit, or more.
const unlimited = int64(math.MaxInt64) &^ (1<<20 - 1)

// memory returns the tightest limit of the control groups that a process is in,
// and how often a process of its own group was killed for want of memory.
func memory(pid int) (limit int64, killed int) {
	data, err := readBounded(fmt.Sprintf("/proc/%d/cgroup", pid), 64<<10)
	if err != nil {
		return 0, 0
	}
	least := unlimited
	for line := range strings.Lines(string(data)) {
		for _, h := range hierarchies {
			_, group, ok := strings.Cut(strings.TrimSpace(line), h.line)
			if !ok {
				continue
			}
			own := filepath.Join(h.top, group)
			for dir := own; strings.HasPrefix(dir, h.top); dir = filepath.Dir(dir) {
				text, err := readBounded(filepath.Join(dir, h.limit), 64)
				if n, parsed := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && parsed == nil {
					least = min(least, n)
				}
			}
			events, _ := readBounded(filepath.Join(own, h.events), 4096) // none: nothing is known
			for line := range strings.Lines(string(events)) {
				if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
					count, _ := strconv.Atoi(strings.TrimSpace(n)) // the kernel's own number
					killed += count
				}
			}
		}
	}
	if least < unlimited {
		limit = least
	}
	return limit, killed
}
