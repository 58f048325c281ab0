package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

const cachedBuild = "FROM alpine:3\nRUN echo made >/made\n"

// forget makes the builder lose what it has built.
func (b *bench) forget(t *testing.T) {
	t.Helper()
	mustRun(t, testenv.Tool(t, "buildctl"), "--addr", b.buildkit.Addr(), "prune", "--all")
}

// The local cache that a variable names helps where it can, and fails no build.
func TestTheLocalCache(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	with := func(dir string) *bench {
		bb := *b
		bb.env = []string{"CACHE_LOCAL_PATH=" + dir}
		return &bb
	}
	context := b.context(cachedBuild)
	// A name that a list of attributes has to quote.
	shared := filepath.Join(testenv.TempDir(t), `a, "b"`)

	t.Run("several builds at once share it", func(t *testing.T) {
		var all sync.WaitGroup
		results := make([]result, 3)
		for i := range results {
			bb := with(shared)
			bb.dir = testenv.TempDir(t) // of settings and of the store
			all.Go(func() { results[i] = bb.build(context) })
		}
		all.Wait()
		for _, r := range results {
			r.want(t, 0)
		}
		b.run("cache", "verify", shared).want(t, 0)
		b.forget(t)
		with(shared).build(context).want(t, 0, "RUN echo made >/made\n", "CACHED")
	})
	t.Run("what is damaged is left out and built anew", func(t *testing.T) {
		blobs, err := filepath.Glob(filepath.Join(shared, "blobs", "sha256", "*"))
		if err != nil || len(blobs) == 0 {
			t.Fatalf("got %d blobs, %v", len(blobs), err)
		}
		for _, blob := range blobs {
			data, err := os.ReadFile(blob)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(data), "{") { // a layer
				data[len(data)/2] ^= 1
				if err := os.WriteFile(blob, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		b.forget(t)
		with(shared).build(context).want(t, 0, "is damaged in")
		b.run("cache", "verify", shared).want(t, 0)
	})
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string) error
	}{
		{"a file", func(_ *testing.T, path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"a link that leads nowhere", func(_ *testing.T, path string) error { return os.Symlink(filepath.Join(path, "nowhere"), path) }},
		{"a folder that nobody may write to", func(t *testing.T, path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			t.Cleanup(func() { syscall.Unmount(path, 0) })
			return syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_RDONLY, "")
		}},
	} {
		t.Run(tt.name+" in its place is no cache", func(t *testing.T) {
			dir := filepath.Join(testenv.TempDir(t), "cache")
			if err := tt.make(t, dir); err != nil {
				t.Fatal(err)
			}
			with(dir).build(context).want(t, 0, "the cache in "+dir)
		})
	}
}
