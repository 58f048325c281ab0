package engine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"

	"github.com/outlast-build/outlast/engine"
)

func TestNames(t *testing.T) {
	names := engine.NamesOf([]engine.Route{
		{Host: "docker.io", Prefix: "127.0.0.1:5100/docker.io"},
		{Host: "docker.io.example.com", Prefix: "127.0.0.1:5100/docker.io.example.com"},
		{Host: "registry.example.com:5000", Prefix: "127.0.0.1:5100/registry.example.com__5000"},
	})
	for _, tt := range []struct{ name, in, want string }{
		{"a reference", "127.0.0.1:5100/docker.io/library/golang:1.26", "docker.io/library/golang:1.26"},
		{"in the middle", "FROM 127.0.0.1:5100/docker.io/a:1@sha256:b AS x", "FROM docker.io/a:1@sha256:b AS x"},
		{"a host with a port", "127.0.0.1:5100/registry.example.com__5000/a", "registry.example.com:5000/a"},
		{"a host that begins like another", "127.0.0.1:5100/docker.io.example.com/a", "docker.io.example.com/a"},
		{"several", "127.0.0.1:5100/docker.io/a 127.0.0.1:5100/docker.io/b", "docker.io/a docker.io/b"},
		{"an address of the gateway itself stays", "http://127.0.0.1:5100/v2/docker.io/a/manifests/1", "http://127.0.0.1:5100/v2/docker.io/a/manifests/1"},
		{"another port", "127.0.0.1:51000/docker.io/a", "127.0.0.1:51000/docker.io/a"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := names.Text(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	bare := engine.NamesOf([]engine.Route{{Host: "quay.example.com", Prefix: "127.0.0.1:5100"}, {Host: "docker.io", Prefix: "127.0.0.1:5100/docker.io"}})
	if got := bare.Text("127.0.0.1:5100/docker.io/a"); got != "docker.io/a" {
		t.Errorf("a prefix that another one begins with: got %q", got)
	}
	if got := (engine.Names{}).Text("127.0.0.1:5100/docker.io/a"); got != "127.0.0.1:5100/docker.io/a" {
		t.Errorf("no routes: got %q", got)
	}
}

func TestNamesInEveryField(t *testing.T) {
	status := func(ref string) engine.Event {
		return engine.Event{Line: ref, Status: &client.SolveStatus{
			Vertexes: []*client.Vertex{{Digest: "sha256:aa", Name: ref, Error: ref, ProgressGroup: &pb.ProgressGroup{Name: ref}}},
			Statuses: []*client.VertexStatus{{ID: ref, Name: ref}},
			Logs:     []*client.VertexLog{{Data: []byte(ref)}},
			Warnings: []*client.VertexWarning{{Short: []byte(ref), Detail: [][]byte{[]byte(ref)}}},
		}}
	}
	names := engine.NamesOf([]engine.Route{{Host: "docker.io", Prefix: "127.0.0.1:5100/docker.io"}})
	got := names.Event(status("127.0.0.1:5100/docker.io/a"))
	if d := cmp.Diff(status("docker.io/a"), got, cmp.Comparer(func(a, b *pb.ProgressGroup) bool { return a.Name == b.Name })); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}
