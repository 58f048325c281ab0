package buildcache_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/outlast-build/outlast/buildcache"
)

func repair(t testing.TB, dir string, dry bool) buildcache.Repair {
	t.Helper()
	r, err := buildcache.RepairAll(t.Context(), dir, buildcache.Options{}, dry)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRepairKeepsAllThatIsWhole(t *testing.T) {
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, 3, 1000)
			tt.do(f)
			before := f.files()
			planned := repair(t, f.dir, true)
			f.unchanged(before)

			did := repair(t, f.dir, false)
			if did.Layers != tt.whole {
				t.Errorf("%d layers are left, want %d: %+v", did.Layers, tt.whole, did.Actions)
			}
			if len(planned.Actions) != len(did.Actions) || len(did.Actions) == 0 {
				t.Errorf("planned %+v, did %+v", planned.Actions, did.Actions)
			}
			after := verify(t, f.dir, buildcache.Options{})
			if tt.whole > 0 {
				if !after.Whole() || len(f.layersOf("latest")) != tt.whole {
					t.Errorf("after the repair: layers %v, flaws %+v", f.layersOf("latest"), after.Flaws)
				}
			} else if len(after.Entries) != 0 {
				t.Errorf("after the repair: entries %+v, want none", after.Entries)
			}
			if again := repair(t, f.dir, false); tt.whole > 0 && len(again.Actions) != 0 {
				t.Errorf("a second repair did %+v", again.Actions)
			}
		})
	}
}

func TestRepairFallsBackOnAnOlderExport(t *testing.T) {
	f := newFake(t, 3, 1000)
	old := f.layers
	f.export("latest", "new", 2, 1000)
	f.damage(blobOf(f.manifest("latest").Config.Digest), "a byte flipped")
	repair(t, f.dir, false)
	if got := f.layersOf("latest"); !slices.Equal(got, old) {
		t.Errorf("got layers %v, want those of the export before", got)
	}
}

func TestRepairLeavesOtherTagsAlone(t *testing.T) {
	f := newFake(t, 3, 1000)
	first := f.layers
	f.export("other", "other", 2, 1000)
	f.damage(blobOf(f.layers[0]), "deleted")
	repair(t, f.dir, false)
	if got := f.layersOf("latest"); !slices.Equal(got, first) {
		t.Errorf("latest has layers %v, want %v", got, first)
	}
	if got := f.layersOf("other"); !slices.Equal(got, f.layers[1:]) {
		t.Errorf("other has layers %v, want %v", got, f.layers[1:])
	}
}

func TestRepairRemovesBadBlobsThatNobodyNeeds(t *testing.T) {
	f := newFake(t, 3, 1000)
	old := f.layers[0]
	f.export("latest", "new", 3, 1000)
	f.damage(blobOf(old), "a byte flipped")
	f.write("ingest/abc/data", []byte("half"))
	r := verify(t, f.dir, buildcache.Options{})
	if len(r.Flaws) != 2 || r.Flaws[0].Used || r.Flaws[1].Harms() {
		t.Errorf("got %+v, want a bad blob that nobody uses and an unfinished one", r.Flaws)
	}
	repair(t, f.dir, false)
	for _, path := range []string{blobOf(old), "ingest/abc"} {
		if _, err := os.Lstat(f.path(path)); err == nil {
			t.Errorf("%s is still there: an export would take it for whole", path)
		}
	}
	if got := f.layersOf("latest"); !slices.Equal(got, f.layers) {
		t.Errorf("got layers %v, want all of %v", got, f.layers)
	}
}

func TestTrim(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name   string
		bounds buildcache.Bounds
		at     time.Time
		layers int // that latest keeps of three
		most   int64
	}{
		{"without bounds only what nobody needs goes", buildcache.Bounds{}, now, 3, 1 << 30},
		{"all fits", buildcache.Bounds{Size: 1 << 20}, now, 3, 1 << 20},
		{"the last step goes first where all ran at their time", buildcache.Bounds{Size: 4000}, now, 2, 4000},
		{"one step is left", buildcache.Bounds{Size: 3000}, now, 1, 3000},
		{"nothing fits", buildcache.Bounds{Size: 100}, now, 0, 100},
		{"young enough", buildcache.Bounds{Age: time.Hour}, now.Add(time.Minute), 3, 1 << 30},
		{"too old", buildcache.Bounds{Age: time.Hour}, now.Add(2 * time.Hour), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, 3, 1000)
			f.export("latest", "new", 3, 1000)
			before := f.files()
			plan, err := buildcache.TrimAll(t.Context(), f.dir, tt.bounds, tt.at, true)
			if err != nil {
				t.Fatal(err)
			}
			f.unchanged(before)
			did, err := buildcache.TrimAll(t.Context(), f.dir, tt.bounds, tt.at, false)
			if err != nil {
				t.Fatal(err)
			}
			r := verify(t, f.dir, buildcache.Options{})
			if did.After != r.Bytes || plan.After != did.After || r.Bytes > tt.most {
				t.Errorf("planned %d, said %d, left %d bytes, want at most %d", plan.After, did.After, r.Bytes, tt.most)
			}
			if r.Unused != 0 {
				t.Errorf("%d blobs are left that nobody needs", r.Unused)
			}
			if tt.layers == 0 {
				if len(r.Entries) != 0 {
					t.Errorf("got entries %+v, want none", r.Entries)
				}
				return
			}
			if got := f.layersOf("latest"); !r.Whole() || !slices.Equal(got, f.layers[:tt.layers]) {
				t.Errorf("got layers %v, flaws %+v, want %v", got, r.Flaws, f.layers[:tt.layers])
			}
		})
	}
}

func TestTrimLeavesADamagedCacheToRepair(t *testing.T) {
	f := newFake(t, 3, 1000)
	f.damage("index.json", "garbage")
	before := f.files()
	if _, err := buildcache.TrimAll(t.Context(), f.dir, buildcache.Bounds{}, time.Now(), false); err == nil {
		t.Error("a cache without an index was trimmed: all of it would have gone")
	}
	f.unchanged(before)
}

func TestOldExportersTakeNoLock(t *testing.T) {
	f := newFake(t, 1, 1000)
	f.damage("cache.lock", "deleted")
	fresh := f.put([]byte("of an export under way"), "")
	if _, err := buildcache.TrimAll(t.Context(), f.dir, buildcache.Bounds{}, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.path(blobOf(fresh.Digest))); err != nil {
		t.Error("a blob of an export that may be under way is gone")
	}
	if _, err := buildcache.TrimAll(t.Context(), f.dir, buildcache.Bounds{}, time.Now().Add(time.Hour), false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.path(blobOf(fresh.Digest))); err == nil {
		t.Error("a blob that nobody came back for in an hour is still there")
	}
}
