package buildx_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
)

func TestCreateABuilderWithMirrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    buildx.Mirrored
		want []string // after the file of the configuration
	}{
		{"one whose gateway is on this machine shares its network", buildx.Mirrored{Gateway: "127.0.0.1:5100"}, []string{"--driver-opt", "network=host"}},
		{"so does one by name", buildx.Mirrored{Gateway: "localhost:5100"}, []string{"--driver-opt", "network=host"}},
		{"one whose gateway is elsewhere does not", buildx.Mirrored{Gateway: "gateway.example.com:5100"}, nil},
		{"options, and what it is for", buildx.Mirrored{Gateway: "192.0.2.1:5100", Options: []string{"memory=2g"}, Use: true, Bootstrap: true},
			[]string{"--driver-opt", "memory=2g", "--use", "--bootstrap"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.on("docker version", "github.com/docker/buildx v0.38.2", "", 0)
			f.on("docker create", "team\n", "", 0)
			tt.m.Name, tt.m.Env = "team", f.env
			if err := tt.m.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			calls := f.calls(t)
			args := calls[len(calls)-1].Args
			const before = "buildx create --name team --driver docker-container --buildkitd-config"
			i := slices.Index(args, "--buildkitd-config")
			if i < 0 || strings.Join(args[:i+1], " ") != before {
				t.Fatalf("got %q, want %s …", args, before)
			}
			if d := cmp.Diff(tt.want, slices.Clone(args[i+2:]), cmp.Transformer("empty", func(s []string) string { return strings.Join(s, " ") })); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			if _, err := os.Stat(args[i+1]); !os.IsNotExist(err) {
				t.Errorf("the file of the configuration is left behind: %v", err)
			}
		})
	}
}

func TestABuilderThatBuildxRefuses(t *testing.T) {
	f := newFake(t, "docker")
	f.on("docker version", "github.com/docker/buildx v0.38.2", "", 0)
	f.on("docker create", "", "ERROR: existing instance for \"team\" but no append mode\n", 1)
	f.on("docker rm", "", "ERROR: no builder \"team\" found\n", 1)
	for name, err := range map[string]error{
		"existing instance": buildx.Mirrored{Name: "team", Gateway: "127.0.0.1:5100", Env: f.env}.Create(t.Context()),
		"no builder":        buildx.RemoveBuilder(t.Context(), f.env, "team"),
	} {
		if fault.Of(err) != fault.Engine || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want what buildx says of it: %s", err, name)
		}
	}
}
