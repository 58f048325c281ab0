package buildcache_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/internal/testenv"
)

func view(t testing.TB, dir string, o buildcache.Options) *buildcache.View {
	t.Helper()
	v, err := buildcache.NewView(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// in returns a fake on the folder of a view, as an exporter sees it.
func in(t testing.TB, v *buildcache.View) *fake { return &fake{t: t, dir: v.Dir} }

func TestAViewHasNothingBad(t *testing.T) {
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, 3, 1000)
			tt.do(f)
			before := f.files()
			v := view(t, f.dir, buildcache.Options{})
			if len(v.Flaws) == 0 {
				t.Error("nobody is told of what was left out")
			}
			f.unchanged(before)
			if tt.whole == 0 {
				if v.Entries != 0 {
					t.Errorf("got %d entries, want none", v.Entries)
				}
				return
			}
			if r := verify(t, v.Dir, buildcache.Options{}); !r.Whole() || r.Entries[0].Layers != tt.whole || v.Entries != 1 {
				t.Errorf("got %+v, flaws %+v, want %d layers", r.Entries, r.Flaws, tt.whole)
			}
		})
	}
}

func TestKeepPutsAnExportIntoPlace(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) *fake
	}{
		{"of a cache", func(t *testing.T) *fake { return newFake(t, 3, 1000) }},
		{"of nothing", func(t *testing.T) *fake { return &fake{t: t, dir: filepath.Join(t.TempDir(), "a", "b")} }},
		{"of an empty folder", func(t *testing.T) *fake { return &fake{t: t, dir: t.TempDir()} }},
		{"behind a link", func(t *testing.T) *fake {
			f := newFake(t, 3, 1000)
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(f.dir, link); err != nil {
				t.Fatal(err)
			}
			return &fake{t: t, dir: link}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.make(t)
			v := view(t, f.dir, buildcache.Options{})
			exported := in(t, v)
			exported.export("latest", "new", 2, 1000)
			if err := v.Keep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := f.layersOf("latest"); !slices.Equal(got, exported.layers) {
				t.Errorf("got layers %v, want those of the export", got)
			}
			real, err := filepath.EvalSymlinks(f.dir)
			if err != nil {
				t.Fatal(err)
			}
			if r := verify(t, real, buildcache.Options{}); !r.Whole() || r.Unused != 0 {
				t.Errorf("got flaws %+v, %d unused", r.Flaws, r.Unused)
			}
			nothingBeside(t, real)
		})
	}
}

// nothingBeside fails for what views left beside a folder.
func nothingBeside(t testing.TB, dir string) {
	t.Helper()
	names, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.Contains(n.Name(), "outlast") {
			t.Errorf("%s is left beside the folder", n.Name())
		}
	}
}

func TestKeepLeavesWhatIsNoCacheWhereItIs(t *testing.T) {
	f := newFake(t, 3, 1000)
	note := filepath.Join(f.dir, "README")
	if err := os.WriteFile(note, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := view(t, f.dir, buildcache.Options{})
	exported := in(t, v)
	exported.export("latest", "new", 2, 1000)
	if err := v.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.layersOf("latest"); !slices.Equal(got, exported.layers) {
		t.Errorf("got layers %v, want those of the export", got)
	}
	if text, err := os.ReadFile(note); err != nil || string(text) != "mine" {
		t.Errorf("got %q, %v: somebody's own file", text, err)
	}
}

func TestContentOfAnExport(t *testing.T) {
	f := newFake(t, 3, 1000)
	c, err := buildcache.ContentOf(f.dir, buildcache.DefaultTag)
	if err != nil || len(c.Blobs) != 4 || digest.FromBytes(c.Manifest) != c.Digest {
		t.Fatalf("got %d blobs of %s, %v, want a configuration and three layers", len(c.Blobs), c.Digest, err)
	}
	for _, d := range c.Blobs {
		blob, err := c.Open(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(blob)
		if blob.Close(); err != nil || digest.FromBytes(data) != d.Digest {
			t.Errorf("%s: got %d bytes, %v", d.Digest, len(data), err)
		}
	}
	if _, err := buildcache.ContentOf(f.dir, "other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another tag: got %v", err)
	}
	if err := os.Remove(filepath.Join(f.dir, "blobs", "sha256", c.Blobs[1].Digest.Encoded())); err != nil {
		t.Fatal(err)
	}
	if _, err := buildcache.ContentOf(f.dir, buildcache.DefaultTag); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob is gone: got %v", err)
	}
}

func TestAViewThatExportedNothingChangesNothing(t *testing.T) {
	f := &fake{t: t, dir: filepath.Join(t.TempDir(), "cache")}
	v := view(t, f.dir, buildcache.Options{})
	if err := v.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("a folder was made for nothing")
	}
	nothingBeside(t, f.dir)
}

func TestAViewOutlivesWhatBecomesOfTheFolder(t *testing.T) {
	f := newFake(t, 3, 1000)
	v := view(t, f.dir, buildcache.Options{})
	other := view(t, f.dir, buildcache.Options{})
	in(t, other).export("latest", "other", 1, 1000)
	if err := other.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, v.Dir, buildcache.Options{}); !r.Whole() || r.Entries[0].Layers != 3 {
		t.Errorf("got %+v, flaws %+v, want the folder as it was", r.Entries, r.Flaws)
	}
}

func TestTheLedgerKnowsABlobThatAViewLinked(t *testing.T) {
	f := newFake(t, 3, 1000)
	settle(t, f)
	o := buildcache.Options{Ledger: filepath.Join(t.TempDir(), "ledger")}
	view(t, f.dir, o)
	if r := verify(t, f.dir, o); r.Hashed != 0 {
		// A manifest and an index are read in any case and do not count.
		t.Errorf("%d bytes were hashed again after a view", r.Hashed)
	}
}

func TestWhatThereIsNoTimeToProveIsLeftOut(t *testing.T) {
	f := newFake(t, 3, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := buildcache.NewView(ctx, f.dir, buildcache.Options{})
	if err != nil {
		return // the lock was not had
	}
	defer v.Close()
	if v.Entries != 0 {
		t.Errorf("got %d entries that nobody proved", v.Entries)
	}
}

func TestManyBuildsShareAFolder(t *testing.T) {
	f := newFake(t, 3, 1000)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 5 {
				v, err := buildcache.NewView(context.Background(), f.dir, buildcache.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if len(v.Flaws) != 0 || v.Entries != 1 {
					t.Errorf("a view has flaws %+v and %d entries", v.Flaws, v.Entries)
				}
				in(t, v).export("latest", string(rune('a'+i)), 2, 1000)
				if err := v.Keep(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if r := verify(t, f.dir, buildcache.Options{}); !r.Whole() || r.Unused != 0 || r.Entries[0].Layers != 2 {
		t.Errorf("got %+v, flaws %+v, %d unused", r.Entries, r.Flaws, r.Unused)
	}
	nothingBeside(t, f.dir)
}

// TestMain lets this program be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BUILDCACHE_EXPORT"); dir != "" {
		exportForever(dir)
	}
	testenv.Main(m)
}

// exportForever views, exports and keeps until it is killed.
func exportForever(dir string) {
	t := &child{}
	for i := 0; ; i++ {
		v, err := buildcache.NewView(context.Background(), dir, buildcache.Options{})
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		in(t, v).export("latest", string(rune('a'+i%26)), 3, 100_000)
		if err := v.Keep(context.Background()); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Stdout.Write([]byte{'.'})
	}
}

// child is the testing.TB of a process that is no test.
type child struct{ testing.TB }

func (*child) Helper()           {}
func (*child) Fatal(args ...any) { os.Exit(1) }

func TestAKillLeavesTheFolderWhole(t *testing.T) {
	f := newFake(t, 3, 100_000)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "BUILDCACHE_EXPORT="+f.dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The kill comes somewhere in the i-th round or the one after: how far
		// into it is chance, and every place must do.
		buf := make([]byte, 1)
		for range i % 4 {
			if _, err := out.Read(buf); err != nil {
				t.Fatal("the child ended by itself")
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if r := verify(t, f.dir, buildcache.Options{}); !r.Whole() || len(r.Entries) != 1 || r.Entries[0].Layers != 3 {
			t.Fatalf("after kill %d: %+v, flaws %+v", i, r.Entries, r.Flaws)
		}
	}
	view(t, f.dir, buildcache.Options{}).Close()
	nothingBeside(t, f.dir)
}
