package dockerfile_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/dockerfile"
)

// asked has BuildKit convert src, and returns the images whose configuration
// it asks for: "ref platform", sorted, each once.
func asked(src []byte, o dockerfile.Options, build, target string) ([]string, error) {
	bp, tp := platforms.Normalize(platforms.MustParse(build)), platforms.Normalize(platforms.MustParse(target))
	caps := pb.Caps.CapSet(pb.Caps.All())
	r := &resolver{}
	opt := dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      o.Args,
			Target:         o.Target,
			BuildPlatforms: []ocispecs.Platform{bp},
		},
		TargetPlatform: &tp,
		MetaResolver:   r,
		LLBCaps:        &caps,
	}
	_, err := dockerfile2llb.Dockerfile2LLB(context.Background(), src, opt)
	slices.Sort(r.refs)
	return slices.Compact(r.refs), err
}

// askable reports whether BuildKit may be asked about src: an ADD of an ssh
// repository would have it fetch the keys of the host, over the network.
func askable(src []byte) bool {
	src = bytes.ToLower(src)
	return !bytes.Contains(src, []byte("add")) || !bytes.Contains(src, []byte("@")) && !bytes.Contains(src, []byte("ssh"))
}

// resolver knows every image: one layer, nothing else.
type resolver struct {
	mu   sync.Mutex
	refs []string
}

func (r *resolver) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refs = append(r.refs, ref+" "+platforms.FormatAll(*opt.ImageOpt.Platform))
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("a", 64) + `"]}}`
	return ref, digest.FromString(ref), []byte(config), nil
}

// listed returns the images among needs in the oracle's form, frontends left
// out.
func listed(needs []dockerfile.Need) []string {
	var refs []string
	for _, n := range needs {
		if n.Registry() && n.Kind != dockerfile.Frontend {
			refs = append(refs, n.Ref+" "+n.Platform)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

func TestOracle(t *testing.T) {
	got, err := asked([]byte("FROM alpine AS a\nFROM a\nCOPY --from=busybox /x /y\n"), dockerfile.Options{}, "linux/amd64", "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"docker.io/library/alpine:latest linux/arm64", "docker.io/library/busybox:latest linux/arm64"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
