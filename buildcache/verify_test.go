package buildcache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/fault"
)

func verify(t testing.TB, dir string, o buildcache.Options) buildcache.Report {
	t.Helper()
	r, err := buildcache.Verify(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// damages are the ways in which a cache can be hurt: what becomes bad, what it
// is called, and how many of three steps are whole after a repair.
var damages = []struct {
	name  string
	do    func(f *fake)
	what  buildcache.What
	whole int
}{
	{"the second layer is truncated", func(f *fake) { f.damage(blobOf(f.layers[1]), "truncated") }, buildcache.Truncated, 2},
	{"the second layer is empty", func(f *fake) { f.damage(blobOf(f.layers[1]), "empty") }, buildcache.Truncated, 2},
	{"a byte of the last layer is flipped", func(f *fake) { f.damage(blobOf(f.layers[2]), "a byte flipped") }, buildcache.Corrupt, 2},
	{"the first layer is deleted", func(f *fake) { f.damage(blobOf(f.layers[0]), "deleted") }, buildcache.Missing, 2},
	{"a layer is a link", func(f *fake) { f.damage(blobOf(f.layers[0]), "a link") }, buildcache.Missing, 2},
	{"index.json is deleted", func(f *fake) { f.damage("index.json", "deleted") }, buildcache.Missing, 3},
	{"index.json is garbage", func(f *fake) { f.damage("index.json", "garbage") }, buildcache.Garbage, 3},
	{"index.json is empty", func(f *fake) { f.damage("index.json", "empty") }, buildcache.Garbage, 3},
	{"index.json is garbage and a layer is corrupt", func(f *fake) {
		f.damage("index.json", "garbage")
		f.damage(blobOf(f.layers[2]), "a byte flipped")
	}, buildcache.Garbage, 2},
	{"the configuration is garbage, and nothing older is there", func(f *fake) {
		f.damage(blobOf(f.manifest("latest").Config.Digest), "garbage")
	}, buildcache.Truncated, 0},
	{"every layer is deleted", func(f *fake) {
		for _, l := range f.layers {
			f.damage(blobOf(l), "deleted")
		}
	}, buildcache.Missing, 0},
}

func TestVerifyNamesWhatIsBad(t *testing.T) {
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, 3, 1000)
			tt.do(f)
			before := f.files()
			r := verify(t, f.dir, buildcache.Options{})
			if len(r.Flaws) == 0 || r.Flaws[0].What != tt.what || !r.Flaws[0].Used || r.Whole() {
				t.Errorf("got %+v, want a flaw %q that is used", r.Flaws, tt.what)
			}
			f.unchanged(before)
		})
	}
}

func TestVerifyOfAWholeCache(t *testing.T) {
	f := newFake(t, 3, 1000)
	f.export("latest", "again", 4, 1000)
	r := verify(t, f.dir, buildcache.Options{})
	if !r.Whole() || len(r.Flaws) != 0 {
		t.Errorf("got flaws %+v of a whole cache", r.Flaws)
	}
	if len(r.Entries) != 1 || r.Entries[0].Layers != 4 || !r.Entries[0].Usable || !r.Entries[0].Cache {
		t.Errorf("got entries %+v, want one with 4 layers", r.Entries)
	}
	// The export before left three layers, a configuration and a manifest.
	if r.Unused != 5 || r.Spare < 3000 {
		t.Errorf("got %d unused blobs of %d bytes, want 5 of over 3000", r.Unused, r.Spare)
	}
	if r.Hashed != r.Bytes {
		t.Errorf("hashed %d bytes of %d", r.Hashed, r.Bytes)
	}
}

func TestVerifyOfACacheThatIsAnIndex(t *testing.T) {
	f := newFake(t, 3, 1000)
	f.asIndex("latest")
	if r := verify(t, f.dir, buildcache.Options{}); len(r.Entries) != 1 || !r.Entries[0].Cache || r.Entries[0].Layers != 3 || !r.Whole() {
		t.Errorf("got %+v, flaws %+v, want three layers and no flaw", r.Entries, r.Flaws)
	}
}

func TestWhatWasProvedIsNotReadAgain(t *testing.T) {
	f := newFake(t, 3, 1000)
	settle(t, f)
	o := buildcache.Options{Ledger: filepath.Join(t.TempDir(), "verified", "ledger.json")}
	first := verify(t, f.dir, o)
	if got := verify(t, f.dir, o); got.Hashed != 0 || !got.Whole() {
		t.Errorf("the second time hashed %d bytes, flaws %v", got.Hashed, got.Flaws)
	}
	if got := verify(t, f.dir, buildcache.Options{Ledger: o.Ledger, Full: true}); got.Hashed != first.Bytes {
		t.Errorf("in full hashed %d bytes of %d", got.Hashed, first.Bytes)
	}

	// A change that hides behind the old size and time of the bytes.
	path := f.path(blobOf(f.layers[1]))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f.damage(blobOf(f.layers[1]), "a byte flipped")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if got := verify(t, f.dir, o); got.Whole() || got.Hashed != 1000 {
		t.Errorf("a change was not seen: hashed %d bytes, flaws %v", got.Hashed, got.Flaws)
	}

	if err := os.WriteFile(o.Ledger, []byte("{garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := verify(t, f.dir, o); got.Hashed != got.Bytes {
		t.Errorf("with a spoiled ledger hashed %d bytes of %d", got.Hashed, got.Bytes)
	}
}

// settle waits until the file system's clock has gone on since the last change
// of f, as a build's next run would.
func settle(t testing.TB, f *fake) {
	t.Helper()
	last := time.Now()
	for time.Since(last) < 150*time.Millisecond {
		time.Sleep(time.Millisecond)
	}
}

func TestWhatIsNoCache(t *testing.T) {
	plain := t.TempDir()
	if err := os.WriteFile(filepath.Join(plain, "main.go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"a folder of something else":  plain,
		"a folder that is not there":  filepath.Join(plain, "none"),
		"a file":                      filepath.Join(plain, "main.go"),
		"an index.json of a web site": web(t),
	} {
		t.Run(name, func(t *testing.T) {
			for what, err := range map[string]error{
				"verify": second(buildcache.Verify(t.Context(), dir, buildcache.Options{})),
				"repair": second(buildcache.RepairAll(t.Context(), dir, buildcache.Options{}, false)),
				"trim":   second(buildcache.TrimAll(t.Context(), dir, buildcache.Bounds{}, time.Now(), false)),
			} {
				if fault.Of(err) != fault.Config {
					t.Errorf("%s: got %v, want an error of kind %s", what, err, fault.Config)
				}
			}
		})
	}
	if left, err := os.ReadDir(plain); err != nil || len(left) != 1 {
		t.Errorf("something was left in a folder that is no cache: %v, %v", left, err)
	}
}

func second[T any](_ T, err error) error { return err }

func web(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"title":"home"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	f := newFake(t, 3, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := buildcache.Verify(ctx, f.dir, buildcache.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
