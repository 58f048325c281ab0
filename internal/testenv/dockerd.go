package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv/images"
)

// DockerdOptions say how a Docker Engine is set up. The zero value is a good one.
type DockerdOptions struct {
	// Config is added to daemon.json, over what is there.
	Config map[string]any
}

// A Dockerd is a running Docker Engine of its own: containerd image store,
// containers on a bridged network.
type Dockerd struct {
	dir    string
	cgroup string
	others []string // control groups that were there before
	proc   *process
	docker string
}

// StartDockerd starts a Docker Engine, with a containerd of its own, that keeps
// all it has below dir, which is created and, by Stop, removed. It makes
// firewall rules and a bridge, so it works only in a network that Isolate
// made, and fails with a *Missing elsewhere.
func StartDockerd(ctx context.Context, dir string, o DockerdOptions) (*Dockerd, error) {
	if err := CheckRoot(); err != nil {
		return nil, err
	}
	if !IsIsolated() {
		return nil, fmt.Errorf("start dockerd: not in a network made by testenv.Isolate")
	}
	tools := make(map[string]string)
	for _, name := range []string{"dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker", "iptables", "tini-static"} {
		path, err := LookTool(name)
		if err != nil {
			return nil, err
		}
		tools[name] = path
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d := &Dockerd{dir: dir, cgroup: groupName(dir), others: foreign(), docker: tools["docker"]}
	config := map[string]any{
		"hosts":          []string{d.Host()},
		"data-root":      filepath.Join(dir, "data"),
		"exec-root":      filepath.Join(dir, "exec"),
		"pidfile":        filepath.Join(dir, "pid"),
		"cgroup-parent":  "/" + d.cgroup,
		"userland-proxy": false,
		"init-path":      tools["tini-static"],
		"features":       map[string]bool{"containerd-snapshotter": true},
	}
	for key, value := range o.Config {
		config[key] = value
	}
	content, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return nil, err
	}
	path := filepath.Dir(tools["dockerd"]) + ":" + filepath.Dir(tools["containerd"]) + ":" + filepath.Dir(tools["iptables"]) + ":" + os.Getenv("PATH")
	d.proc, err = startContained("dockerd", filepath.Join(dir, "log"), "/run",
		[]string{"PATH=" + path, "DOCKER_CONFIG=" + dir, "TMPDIR=" + dir}, tools["dockerd"], "--config-file", file)
	if err != nil {
		return nil, err
	}
	if err := d.proc.ready(ctx, d.ping); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Dockerd) ping(ctx context.Context) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", filepath.Join(d.dir, "sock"))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", resp.Status)
	}
	return nil
}

// Host returns what DOCKER_HOST has to be: unix:///….
func (d *Dockerd) Host() string { return "unix://" + filepath.Join(d.dir, "sock") }

// Dir returns the folder that it was started with.
func (d *Dockerd) Dir() string { return d.dir }

// Log returns the last megabyte of what it has logged.
func (d *Dockerd) Log() string { return d.proc.log() }

// Run runs the docker client against it and returns what that printed.
func (d *Dockerd) Run(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, []string{"DOCKER_HOST=" + d.Host(), "DOCKER_CONFIG=" + d.dir}, append([]string{d.docker}, args...)...)
}

// Load puts an image for this machine's platform into the engine, under all
// its names, by way of no registry.
func (d *Dockerd) Load(ctx context.Context, img images.Image) error {
	file := filepath.Join(d.dir, img.Name+".tar")
	defer os.Remove(file)
	if err := img.Save(file, "linux/amd64"); err != nil {
		return err
	}
	_, err := d.Run(ctx, "load", "--quiet", "--input", file)
	return err
}

// Stop ends it with its containers and removes its folder. Calling it again
// does nothing.
func (d *Dockerd) Stop() (log string) {
	d.proc.stop(2 * grace)
	log = d.proc.log()
	removeCgroups(cgroups(d.cgroup))
	removeCgroups(slices.DeleteFunc(foreign(), func(group string) bool { return slices.Contains(d.others, group) }))
	removeAll(d.dir)
	return log
}

// foreign returns the control groups of the names that buildx and BuildKit in
// a container use whatever the engine is told.
func foreign() []string { return append(cgroups("docker"), cgroups("buildkit")...) }

// bridge is held by the test whose Docker Engine has the bridge of this
// network.
var bridge sync.Mutex

// NewDockerd is StartDockerd for a test: it stops it at the test's end, and
// logs the end of its log where the test has failed. Tests that run at once
// have theirs one after the other.
func NewDockerd(t testing.TB, o DockerdOptions) *Dockerd {
	t.Helper()
	bridge.Lock()
	t.Cleanup(bridge.Unlock)
	d, err := StartDockerd(t.Context(), TempDir(t), o)
	Need(t, err)
	t.Cleanup(func() {
		tail := d.proc.tail()
		d.Stop()
		if t.Failed() {
			t.Logf("the end of dockerd's log:\n%s", tail)
		}
	})
	return d
}
