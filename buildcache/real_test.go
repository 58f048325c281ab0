package buildcache_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	cacheimport "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/internal/testenv"
)

// three are steps of which each stands on the one before.
const three = `FROM alpine:3
RUN echo one > /one
RUN echo two > /two
RUN echo three > /three
`

// A site is a real BuildKit with the base images, and a context to build.
type site struct {
	t        *testing.T
	buildkit *testenv.Buildkitd
	buildx   *testenv.Buildx
	buildctl string
	context  string
}

func newSite(t *testing.T) *site {
	t.Helper()
	testenv.Root(t)
	r := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	s := &site{t: t, buildx: testenv.NewBuildx(t), buildctl: testenv.Tool(t, "buildctl"), context: t.TempDir()}
	s.buildkit = testenv.NewBuildkitd(t, testenv.BuildkitdOptions{Config: "[registry.\"docker.io\"]\n  mirrors = [\"" + r.Host + "\"]\n"})
	if out, err := s.buildx.Run(t.Context(), "create", "--name", "real", "--driver", "remote", s.buildkit.Addr()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(s.context, "Dockerfile"), []byte(three), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	ran  = regexp.MustCompile(`(?m)^#(\d+) \[\d/\d\] RUN `)
	hits = regexp.MustCompile(`(?m)^#(\d+) CACHED$`)
)

// build builds on an empty BuildKit with the flags given, and returns how many
// of the three RUNs came from the cache.
func (s *site) build(flags ...string) int {
	s.t.Helper()
	if out, err := testenv.Run(s.t.Context(), nil, s.buildctl, "--addr", s.buildkit.Addr(), "prune", "--all"); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	args := append([]string{"build", "--builder", "real", "--progress", "plain", "--output", "type=oci,dest=" + filepath.Join(s.t.TempDir(), "image.tar")}, flags...)
	out, err := s.buildx.Run(s.t.Context(), append(args, s.context)...)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	steps := make(map[string]bool)
	for _, m := range ran.FindAllStringSubmatch(out, -1) {
		steps[m[1]] = true
	}
	n := 0
	for _, m := range hits.FindAllStringSubmatch(out, -1) {
		if steps[m[1]] {
			n++
		}
	}
	return n
}

// chain lists the layers of a tag, each behind the one that it stands on, as
// the longest chain of its configuration has them.
func (f *fake) chain(tag string) []digest.Digest {
	f.t.Helper()
	var config cacheimport.CacheConfig
	f.read(blobOf(f.manifest(tag).Config.Digest), &config)
	var longest []digest.Digest
	for i := range config.Layers {
		var chain []digest.Digest
		for ; i >= 0; i = config.Layers[i].ParentIndex {
			chain = append(chain, config.Layers[i].Blob)
		}
		if len(chain) > len(longest) {
			longest = chain
		}
	}
	slices.Reverse(longest)
	return longest
}

func TestARepairedCacheOnARealBuildKit(t *testing.T) {
	s := newSite(t)
	whole := filepath.Join(t.TempDir(), "cache")
	s.build("--cache-to", "type=local,mode=max,dest="+whole)
	f := &fake{t: t, dir: whole}
	f.layers = f.chain("latest")
	if r := verify(t, whole, buildcache.Options{}); !r.Whole() || len(f.layers) < 4 {
		t.Fatalf("what BuildKit exported has flaws %+v, layers %v", r.Flaws, f.layers)
	}
	last := len(f.layers) - 1
	layer := func(i int, how string) func(*fake) {
		return func(f *fake) { f.damage(blobOf(f.layers[i]), how) }
	}
	for _, tt := range []struct {
		name string
		do   func(*fake)
		hits int
	}{
		{"nothing is wrong", func(*fake) {}, 3},
		{"the last step's layer is truncated", layer(last, "truncated"), 2},
		{"a byte of the second step's layer is flipped", layer(last-1, "a byte flipped"), 1},
		{"the first step's layer is deleted", layer(last-2, "deleted"), 0},
		{"a layer of the base image is truncated", layer(0, "truncated"), 0},
		{"index.json is deleted", func(f *fake) { f.damage("index.json", "deleted") }, 3},
		{"index.json is garbage", func(f *fake) { f.damage("index.json", "garbage") }, 3},
		{"an ingest is half-written", func(f *fake) { f.write("ingest/x/data", []byte("half")) }, 3},
		{"the configuration is garbage", func(f *fake) { f.damage(blobOf(f.manifest("latest").Config.Digest), "garbage") }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own := &fake{t: t, dir: filepath.Join(t.TempDir(), "cache"), layers: f.layers}
			if err := os.CopyFS(own.dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			tt.do(own)
			// A view is what a build gets of the folder as it is, a repair
			// what the folder becomes.
			v := view(t, own.dir, buildcache.Options{})
			if got := s.build("--cache-from", "type=local,src="+v.Dir); got != tt.hits {
				t.Errorf("by a view %d steps hit the cache, want %d", got, tt.hits)
			}
			seen := in(t, v).files()["/index.json"]
			repair(t, own.dir, false)
			if own.files()["/index.json"] != seen {
				t.Error("a repair does not come to what a view shows")
			}
		})
	}
}

func TestAnExportIntoAViewOnARealBuildKit(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "cache")
	for i, want := range []int{0, 3, 3} {
		v := view(t, dir, buildcache.Options{})
		if got := s.build("--cache-from", "type=local,src="+v.Dir, "--cache-to", "type=local,mode=max,dest="+v.Dir); got != want {
			t.Errorf("build %d: %d steps hit the cache, want %d", i+1, got, want)
		}
		if err := v.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, dir, buildcache.Options{}); !r.Whole() || r.Unused != 0 || len(r.Entries) != 1 {
			t.Errorf("build %d left entries %+v, flaws %+v, %d unused", i+1, r.Entries, r.Flaws, r.Unused)
		}
	}
}

// TestTrimOfManyBuilds changes one line, again and again: the folder stays
// within its bound, and the latest build's steps still hit.
func TestTrimOfManyBuilds(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "cache")
	const bound = 8 << 20
	for i := range 6 {
		lines := strings.Replace(three, "echo two", "head -c 1000000 /dev/urandom > /random; echo "+digest.FromString(string(rune('a'+i))).Encoded(), 1)
		if err := os.WriteFile(filepath.Join(s.context, "Dockerfile"), []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
		flags := []string{"--cache-from", "type=local,src=" + dir}
		if i == 0 {
			flags = nil
		}
		s.build(append(flags, "--cache-to", "type=local,mode=max,dest="+dir)...)
		tr, err := buildcache.TrimAll(t.Context(), dir, buildcache.Bounds{Size: bound}, madeAt, false)
		if err != nil {
			t.Fatal(err)
		}
		if tr.After > bound {
			t.Errorf("after build %d the folder has %d bytes, bound %d", i+1, tr.After, bound)
		}
	}
	if got := s.build("--cache-from", "type=local,src="+dir); got != 3 {
		t.Errorf("after the trims %d steps of the latest build hit, want 3", got)
	}
}
