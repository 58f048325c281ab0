package buildx_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
)

// What `buildx inspect` prints, cut down to what matters.
const (
	dockerDriver = "Name:          default\nDriver:        docker\nLast Activity: 2026-01-02 03:04:05 +0000 UTC\n\nNodes:\nName:             default\nEndpoint:         default\nStatus:           running\nBuildKit version: v0.33.0\nPlatforms:        linux/amd64\nLabels:\n org.mobyproject.buildkit.worker.moby.host-gateway-ip: 172.17.0.1\nGC Policy rule#0:\n All:           false\n Keep Duration: 48h0m0s\n"
	container    = "Name:   box\nDriver: docker-container\n\nNodes:\nName:           box0\nEndpoint:       unix:///var/run/docker.sock\nDriver Options: network=\"host\" memory=\"2g\"\nStatus:         inactive\n"
	bridged      = "Name:   box\nDriver: docker-container\n\nNodes:\nName:     box0\nEndpoint: default\nStatus:   running\n"
	remote       = "Name:   far\nDriver: remote\n\nNodes:\nName:     far0\nEndpoint: tcp://buildkit.example.com:1234\nStatus:   running\n"
	kube         = "Name:   k\nDriver: kubernetes\n\nNodes:\nName:     k0\nEndpoint: kubernetes:///k\nStatus:   running\n"
	dead         = "Name:   default\nDriver: \nError:  failed to connect to the docker API at unix:///var/run/docker.sock\n"
	deadNode     = "Name:   far\nDriver: remote\n\nNodes:\nName:     far0\nEndpoint: tcp://127.0.0.1:1\nError:    connection refused\n"
)

func choose(t *testing.T, f *fake, args ...string) (buildx.Builder, error) {
	t.Helper()
	return buildx.Choose(t.Context(), buildx.Search{Args: buildx.ReadArgs(args), Env: f.env, State: filepath.Join(f.Dir, "state"), Wait: 2 * time.Second})
}

func TestChoose(t *testing.T) {
	type want struct {
		Name, Driver, Origin string
		Passed               int
		Flag                 bool
	}
	for _, tt := range []struct {
		name    string
		inspect string
		act     string
		env     []string
		args    []string
		want    want
		err     []string // what the error names
	}{
		{name: "the current builder", inspect: dockerDriver, want: want{"default", "docker", "the current builder of buildx", 0, false}},
		{name: "one that is stopped will be started", inspect: container, want: want{"box", "docker-container", "the current builder of buildx", 0, false}},
		{name: "the one that is named", inspect: remote, args: []string{"--builder", "far", "."}, want: want{"far", "remote", `builder "far" of --builder`, 0, false}},
		{name: "the one of the environment", inspect: remote, env: []string{"BUILDX_BUILDER=far"}, want: want{"far", "remote", `builder "far" of BUILDX_BUILDER`, 0, false}},
		{name: "a named one that does not answer is not replaced", inspect: deadNode, args: []string{"--builder", "far", "."}, env: []string{"BUILDKIT_HOST=unix:///x"},
			err: []string{`builder "far"`, "connection refused"}},
		{name: "nothing at all", inspect: dead, err: []string{"current builder", "failed to connect to the docker API", "BUILDKIT_HOST: not set", "buildkitd is not on PATH", "install"}},
		{name: "a daemon that hangs", act: "silent", err: []string{"no answer within 3s", "BUILDKIT_HOST: not set"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.on("docker version", "github.com/docker/buildx v0.38.2\n", "", 0)
			f.on("docker inspect", tt.inspect, "", 0)
			if tt.act != "" {
				f.act("docker inspect", tt.act)
			}
			f.env = append(f.env, tt.env...)
			b, err := choose(t, f, tt.args...)
			if len(tt.err) > 0 {
				if fault.Of(err) != fault.Engine {
					t.Fatalf("got %+v, %v", b, err)
				}
				for _, part := range tt.err {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("the error says nothing of %q: %v", part, err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := want{b.Name, b.Driver, b.Origin, len(b.Passed), b.Flag}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

func TestNoClient(t *testing.T) {
	t.Run("nothing on PATH", func(t *testing.T) {
		_, err := choose(t, newFake(t), ".")
		if fault.Of(err) != fault.Engine || !strings.Contains(err.Error(), "install") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("docker without its plugin, and nothing else", func(t *testing.T) {
		_, err := choose(t, newFake(t, "docker"), ".")
		if fault.Of(err) != fault.Engine || !strings.Contains(err.Error(), "no buildx plugin") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("docker without its plugin, and buildx", func(t *testing.T) {
		f := newFake(t, "docker", "buildx")
		f.on("buildx version", "github.com/docker/buildx v0.38.2\n", "", 0)
		f.on("buildx inspect", dockerDriver, "", 0)
		b, err := choose(t, f, ".")
		if err != nil || b.CLI.String() != "buildx" {
			t.Errorf("got %s, %v", b.CLI, err)
		}
	})
	t.Run("a program in a relative folder of PATH is not taken", func(t *testing.T) {
		f := newFake(t, "docker")
		t.Chdir(f.Dir)
		f.env = append(f.env, "PATH=.")
		if _, err := choose(t, f, "."); fault.Of(err) != fault.Engine || !strings.Contains(err.Error(), "on PATH") {
			t.Errorf("got %v", err)
		}
	})
}

func TestReaches(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker version", "github.com/docker/buildx\n", "", 0)
	contexts := filepath.Join(f.Dir, ".docker/contexts/meta/fe9c6bd7a66301f49ca9b6a70b217107cd1284598bfc254700c989b916da791e")
	if err := os.MkdirAll(contexts, 0o700); err != nil {
		t.Fatal(err)
	}
	meta := `{"Name":"desktop-linux","Endpoints":{"docker":{"Host":"unix:///home/me/.docker/desktop/docker.sock"}}}`
	if err := os.WriteFile(filepath.Join(contexts, "meta.json"), []byte(meta), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, inspect string
		env           []string
		want          bool
	}{
		{"the engine of this host", dockerDriver, nil, true},
		{"an engine on another host", dockerDriver, []string{"DOCKER_HOST=ssh://me@build.example.com"}, false},
		{"an engine behind a loopback address", dockerDriver, []string{"DOCKER_HOST=tcp://127.0.0.1:2375"}, true},
		{"Docker Desktop, by a docker context", strings.ReplaceAll(dockerDriver, "Endpoint:         default", "Endpoint:         desktop-linux"), nil, false},
		{"a docker context that is not there", strings.ReplaceAll(dockerDriver, "Endpoint:         default", "Endpoint:         nowhere"), nil, false},
		{"a container on the host's network", container, nil, true},
		{"a container on the network of another host", strings.ReplaceAll(container, "unix:///var/run/docker.sock", "ssh://build.example.com"), nil, false},
		{"a container on a network of its own", bridged, nil, false},
		{"a far daemon", remote, nil, false},
		{"a daemon behind a socket", strings.ReplaceAll(remote, "tcp://buildkit.example.com:1234", "unix:///run/buildkit/buildkitd.sock"), nil, true},
		{"a daemon behind a loopback address", strings.ReplaceAll(remote, "buildkit.example.com", "[::1]"), nil, true},
		{"a cluster", kube, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &fake{Dir: f.Dir, env: append(f.env[:len(f.env):len(f.env)], tt.env...)}
			g.on("docker inspect", tt.inspect, "", 0)
			b, err := choose(t, g, ".")
			if err != nil {
				t.Fatal(err)
			}
			ok, why := b.Reaches()
			if ok != tt.want || ok != (why == "") {
				t.Errorf("got %t, %q, want %t", ok, why, tt.want)
			}
		})
	}
}

func TestLocalImages(t *testing.T) {
	const found = `{"Id":"sha256:1","RepoTags":["mine:latest","registry.example.com:5000/mine:1"],"RepoDigests":["mine@sha256:1"],"Architecture":"amd64","Os":"linux"}` + "\n" +
		`{"RepoTags":["other:2"],"RepoDigests":[],"Architecture":"arm64","Variant":"v8","Os":"linux"}` + "\n" + "garbage\n"
	refs := []string{"docker.io/library/mine:latest", "registry.example.com:5000/mine:1", "docker.io/library/mine:1@sha256:1", "docker.io/library/other:2", "docker.io/library/alpine:3"}
	for _, tt := range []struct {
		name      string
		driver    string
		platforms []string
		want      []string
	}{
		{"for the engine's own platform", "docker", nil, refs[:4]},
		{"for one platform", "docker", []string{"linux/amd64"}, refs[:3]},
		{"for one platform in other words", "docker", []string{"linux/arm64"}, refs[3:4]},
		{"for two platforms", "docker", []string{"linux/amd64", "linux/arm64"}, nil},
		{"only a Docker Engine's own builder has any", "docker-container", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.on("docker default", found, "Error response from daemon: No such image: alpine:3\n", 1)
			b := buildx.Builder{CLI: f.cli(), Driver: tt.driver, Nodes: []buildx.Node{{Endpoint: "default"}}}
			got, err := b.Local(t.Context(), f.env, refs, tt.platforms)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) || len(got) > 0 && cmp.Diff(tt.want, got) != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// BUILDKIT_HOST that accepts and never answers is passed over in time, and the
// user's own list of builders is not touched on the way.
func TestABuildkitHostThatHangs(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker version", "github.com/docker/buildx\n", "", 0)
	f.on("docker inspect", dead, "", 0)
	f.on("docker create", "", "ERROR: no\n", 1)
	l, err := net.Listen("unix", filepath.Join(f.Dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f.set("BUILDKIT_HOST", "unix://"+filepath.Join(f.Dir, "s"))
	if _, err := choose(t, f, "."); fault.Of(err) != fault.Engine {
		t.Fatalf("got %v", err)
	}
	for _, c := range f.calls(t) {
		if len(c.Args) > 1 && c.Args[1] == "create" && !strings.HasPrefix(c.Config, filepath.Join(f.Dir, "state")) {
			t.Errorf("a builder was made in the user's configuration: %q in %q", c.Args, c.Config)
		}
	}
}

var _ engine.Engine = (*buildx.Engine)(nil)

// To look whether the builder is back must not bring up another one.
func TestAnIdleSearchStartsNothing(t *testing.T) {
	f := newFake(t, "docker", "buildkitd", "runc")
	f.on("docker version", "github.com/docker/buildx v0.38.2\n", "", 0)
	f.on("docker inspect", dead, "", 0)
	search := buildx.Search{Args: buildx.ReadArgs([]string{"."}), Env: f.env, State: filepath.Join(f.Dir, "state"), Wait: 2 * time.Second, Idle: true}
	for range 3 {
		if _, err := buildx.Choose(t.Context(), search); fault.Of(err) != fault.Engine || !strings.Contains(err.Error(), "does not run; a build would start it") {
			t.Errorf("got %v", err)
		}
	}
	for _, c := range f.calls(t) {
		if c.Program != "docker" {
			t.Errorf("%s %v was run", c.Program, c.Args)
		}
	}
	if _, err := os.Stat(search.State); !os.IsNotExist(err) {
		t.Errorf("the folder of the engine: got %v, want that there is none", err)
	}
}
