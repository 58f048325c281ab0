package buildx_test

import (
	"encoding/json"
	"testing"

	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/sourcepolicy"
	spb "github.com/moby/buildkit/sourcepolicy/pb"

	"github.com/outlast-build/outlast/engine"
)

func TestWhatADDAsksForGoesThroughTheGateway(t *testing.T) {
	const file, repo, sum = "https://files.example.com/a.tgz?x=$1", "https://git.example.com/o/r.git", "sha256:ab"
	detours := []engine.Detour{
		{Address: file, At: "http://127.0.0.1:5100/web/-/a"},
		{Address: file, Checksum: sum, At: "http://127.0.0.1:5100/web/sha256:ab/a"},
		{Address: repo, Git: true, At: "http://127.0.0.1:5100/git/0/https/git.example.com/o/r.git"},
		{Address: repo, Git: true, Point: "v1", At: "http://127.0.0.1:5100/git/1/https/git.example.com/o/r.git"},
	}
	const gateway = "git://127.0.0.1:5100/git/0/https/git.example.com/o/r.git"
	const tag = "git://127.0.0.1:5100/git/1/https/git.example.com/o/r.git#v1"
	for _, tt := range []struct {
		name, user string
		op         *pb.SourceOp
		want, full string
		denied     bool
	}{
		{name: "a file", op: &pb.SourceOp{Identifier: file}, want: detours[0].At},
		{name: "a file with a checksum", op: &pb.SourceOp{Identifier: file, Attrs: map[string]string{pb.AttrHTTPChecksum: sum}}, want: detours[1].At},
		{name: "one with another checksum", op: &pb.SourceOp{Identifier: file, Attrs: map[string]string{pb.AttrHTTPChecksum: "sha256:cd"}}, want: file},
		{name: "another file", op: &pb.SourceOp{Identifier: "https://files.example.com/b.tgz"}, want: "https://files.example.com/b.tgz"},
		{name: "a repository", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git", Attrs: map[string]string{pb.AttrFullRemoteURL: repo}}, want: gateway, full: detours[2].At},
		{name: "a folder of a tag", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git#v1:docs", Attrs: map[string]string{pb.AttrFullRemoteURL: repo}}, want: tag + ":docs", full: detours[3].At},
		{name: "a tag", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git#v1", Attrs: map[string]string{pb.AttrFullRemoteURL: repo}}, want: tag, full: detours[3].At},
		{name: "a folder of the default branch", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git#:docs", Attrs: map[string]string{pb.AttrFullRemoteURL: repo}}, want: gateway + "#:docs", full: detours[2].At},
		{name: "another tag", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git#v10", Attrs: map[string]string{pb.AttrFullRemoteURL: repo}}, want: "git://git.example.com/o/r.git#v10", full: repo},
		{name: "the same repository by ssh", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git", Attrs: map[string]string{pb.AttrFullRemoteURL: "ssh://git@git.example.com/o/r.git"}},
			want: "git://git.example.com/o/r.git", full: "ssh://git@git.example.com/o/r.git"},
		{name: "one whose .git is kept", op: &pb.SourceOp{Identifier: "git://git.example.com/o/r.git", Attrs: map[string]string{pb.AttrFullRemoteURL: repo, pb.AttrKeepGitDir: "true"}},
			want: "git://git.example.com/o/r.git", full: repo},
		{name: "what the user denies", user: `{"action":"DENY","selector":{"identifier":"https://files.example.com/*"}}`, op: &pb.SourceOp{Identifier: file}, want: file, denied: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			f.on("docker build", "", "", 0)
			var env []string
			if tt.user != "" {
				f.write("user.json", []byte(`{"version":1,"rules":[`+tt.user+`]}`))
				env = []string{"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=user.json"}
			}
			r, _, err := build(t, f, engine.Request{Args: []string{"."}, Detours: detours, Routes: routes, Dir: f.Dir, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			var p spb.Policy
			if err := json.Unmarshal([]byte(f.built(t).Policy), &p); err != nil {
				t.Fatal(err)
			}
			op := &pb.SourceOp{Identifier: tt.op.Identifier, Attrs: tt.op.Attrs}
			_, err = sourcepolicy.NewEngine([]*spb.Policy{&p}).Evaluate(t.Context(), op)
			if (err != nil) != tt.denied || op.Identifier != tt.want || op.Attrs[pb.AttrFullRemoteURL] != tt.full {
				t.Errorf("got %q, %q, %v, want %q, %q", op.Identifier, op.Attrs[pb.AttrFullRemoteURL], err, tt.want, tt.full)
			}
			if (len(r.Notes) > 0) != tt.denied {
				t.Errorf("notes: got %q", r.Notes)
			}
		})
	}
}
