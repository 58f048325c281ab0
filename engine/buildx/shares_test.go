package buildx_test

import (
	"testing"

	"github.com/outlast-build/outlast/engine/buildx"
)

func TestWhoseStepsShareThisNetwork(t *testing.T) {
	const label = "org.mobyproject.buildkit.worker.network"
	host := map[string]string{label: "host"}
	for _, tt := range []struct {
		name, network string
		builder       buildx.Builder
		want          bool
	}{
		{"a daemon whose steps are in its network", "", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix:///x", Version: "v0.34.2", Labels: host}}}, true},
		{"one built from source", "", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix:///x", Version: "v0.0.0+unknown", Labels: host}}}, true},
		{"one with a bridge", "", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix:///x", Version: "v0.34.2", Labels: map[string]string{label: "cni"}}}}, false},
		{"one elsewhere", "host", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "tcp://192.0.2.1:1", Version: "v0.34.2", Labels: host}}}, false},
		{"an old one", "", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix:///x", Version: "v0.15.2", Labels: host}}}, false},
		{"a new enough one", "", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix:///x", Version: "v0.16.0", Labels: host}}}, true},
		{"steps without a network", "none", buildx.Builder{Driver: "remote", Nodes: []buildx.Node{{Endpoint: "unix:///x", Version: "v0.34.2", Labels: host}}}, false},
		{"a Docker Engine's bridge", "", buildx.Builder{Driver: "docker", Docker: "unix:///x", Nodes: []buildx.Node{{Version: "v0.33.0"}}}, false},
		{"a Docker Engine, and the host's network", "host", buildx.Builder{Driver: "docker", Docker: "unix:///x", Nodes: []buildx.Node{{Version: "v0.33.0"}}}, true},
		{"an old Docker Engine", "host", buildx.Builder{Driver: "docker", Docker: "unix:///x", Nodes: []buildx.Node{{Version: "20.10.24"}}}, false},
		{"an engine of no version", "host", buildx.Builder{Driver: "docker", Docker: "unix:///x", Nodes: []buildx.Node{{}}}, false},
	} {
		if got, why := tt.builder.Shares(tt.network); got != tt.want || got == (why != "") {
			t.Errorf("%s: got %t, %q, want %t", tt.name, got, why, tt.want)
		}
	}
}
