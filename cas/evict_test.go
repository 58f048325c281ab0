package cas_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

const block = 4096

// letters is a store whose contents are known by letters.
type letters struct {
	*cas.Store
	t   testing.TB
	ids map[digest.Digest]string
}

func (l *letters) data(id string, size int) []byte { return bytes.Repeat([]byte(id), size) }

// put stores size bytes as id, a while after what was before.
func (l *letters) put(id string, size int) {
	l.t.Helper()
	time.Sleep(time.Minute)
	l.ids[put(l.t, l.Store, l.data(id, size))] = id
}

func (l *letters) digest(id string) digest.Digest {
	for d, have := range l.ids {
		if have == id {
			return d
		}
	}
	l.t.Fatalf("nothing is %q", id)
	return ""
}

// get reads ids, one after the other.
func (l *letters) get(ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		time.Sleep(time.Minute)
		if _, err := read(l.Store, l.digest(id)); err != nil {
			l.t.Errorf("%s: %v", id, err)
		}
	}
}

// stored returns what is there, in order.
func (l *letters) stored() string {
	var have []string
	must(l.t, l.Walk(func(e cas.Entry) error { have = append(have, l.ids[e.Digest]); return nil }))
	slices.Sort(have)
	return strings.Join(have, "")
}

func TestTheLargestLimitKeepsAll(t *testing.T) {
	s := open(t, t.TempDir(), math.MaxInt64)
	for i := range 3 {
		put(t, s, []byte{byte(i)})
	}
	if err := s.Trim(); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Usage(); err != nil || u.Entries != 3 {
		t.Errorf("got %d contents kept (%v), want all 3", u.Entries, err)
	}
}

func TestEviction(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit int64 // blocks
		do    func(l *letters)
		want  string
	}{
		{"nothing goes while there is room", 10, func(l *letters) {
			for _, id := range "abcdefghij" {
				l.put(string(id), block)
			}
		}, "abcdefghij"},
		{"what was stored first goes first, down to nine tenths", 10, func(l *letters) {
			for _, id := range "abcdefghijk" {
				l.put(string(id), block)
			}
		}, "cdefghijk"},
		{"what was read stays", 10, func(l *letters) {
			for _, id := range "abcdefghij" {
				l.put(string(id), block)
			}
			l.get("a", "c", "b")
			l.put("k", block)
		}, "abcfghijk"},
		{"what was read by another process stays", 10, func(l *letters) {
			for _, id := range "abcdefghij" {
				l.put(string(id), block)
			}
			other := &letters{open(l.t, storeDir(l), 0), l.t, l.ids}
			other.get("a")
			l.put("k", block)
		}, "adefghijk"},
		{"what was stored again stays", 10, func(l *letters) {
			for _, id := range "abcdefghija" {
				l.put(string(id), block)
			}
			l.put("k", block)
		}, "adefghijk"},
		{"a look at the size is no use", 10, func(l *letters) {
			for _, id := range "abcdefghij" {
				l.put(string(id), block)
			}
			if _, err := l.Stat(l.digest("a")); err != nil {
				l.t.Error(err)
			}
			l.put("k", block)
		}, "cdefghijk"},
		{"the new stays, though it fills nearly all", 10, func(l *letters) {
			l.put("a", block)
			l.put("b", block)
			l.put("c", 10*block)
		}, "c"},
		{"small entries count as a block", 10, func(l *letters) {
			for _, id := range "abcdefghijk" {
				l.put(string(id), 1)
			}
		}, "cdefghijk"},
		{"what others stored counts", 10, func(l *letters) {
			other := &letters{open(l.t, storeDir(l), 0), l.t, l.ids}
			l.put("a", block)
			for _, id := range "bcdefghijk" {
				other.put(string(id), block)
			}
			l.put("l", block)
		}, "defghijkl"},
		{"the clock was set back a year", 10, func(l *letters) {
			for _, id := range "abcdefghij" {
				l.put(string(id), block)
			}
			future := time.Now().AddDate(1, 0, 0)
			for i, id := range []string{"a", "b"} {
				at := future.Add(time.Duration(i) * time.Hour)
				must(l.t, os.Chtimes(strings.Replace(l.Path(l.digest(id)), "blobs", "used", 1), at, at))
			}
			l.put("k", block) // from now on they are as old as this,
			l.get("e", "f", "g", "h", "i", "j", "k")
			l.put("l", block)
			l.put("m", block) // and go like any other
		}, "efghijklm"},
		{"marks are missing", 3, func(l *letters) {
			for _, id := range "abc" {
				l.put(string(id), block)
			}
			must(l.t, os.RemoveAll(filepath.Join(storeDir(l), "used")))
			for i, id := range []string{"b", "c", "a"} { // then the files' own times count
				at := time.Now().Add(time.Duration(i-9) * time.Hour)
				must(l.t, os.Chtimes(l.Path(l.digest(id)), at, at))
			}
			l.put("d", block)
		}, "ad"},
		{"without a limit", 0, func(l *letters) {
			for _, id := range "abcdefghijklmnop" {
				l.put(string(id), block)
			}
			must(l.t, l.Trim())
		}, "abcdefghijklmnop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				l := &letters{open(t, dir, tt.limit*block), t, map[digest.Digest]string{}}
				tt.do(l)
				got := l.stored()
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if marks := files(t, dir, "used"); len(marks) > len(got) && tt.limit > 0 {
					t.Errorf("got %d marks for %d entries", len(marks), len(got))
				}
			})
		})
	}
}

func storeDir(l *letters) string {
	return filepath.Dir(filepath.Dir(filepath.Dir(l.Path(digest.FromString("")))))
}

// Opened content outlives its entry.
func TestContentStaysReadableWhenEvicted(t *testing.T) {
	s := open(t, t.TempDir(), 4*block)
	data := noise(8, 2*block)
	d := put(t, s, data)
	c, err := s.Get(d)
	must(t, err)
	defer c.Close()
	if _, err := c.Seek(100, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	put(t, s, noise(9, 4*block))
	if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want it evicted", err)
	}
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data[100:]) {
		t.Errorf("got %d bytes, %v; want the rest", len(got), err)
	}
}

// What is being written is nobody's to remove, and does not count.
func TestEvictionLeavesSpoolsAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 4*block)
	w := create(t, s)
	data := noise(10, 4*block)
	write(t, w, data[:block])
	for i := range 8 {
		put(t, s, noise(uint64(20+i), block))
		must(t, s.Trim(), open(t, dir, 4*block).Trim())
	}
	write(t, w, data[block:])
	must(t, w.Commit(digest.FromBytes(data)))
	if got, err := read(s, digest.FromBytes(data)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir, 1<<20)
		first := time.Now()
		put(t, s, []byte("a"))
		time.Sleep(time.Hour)
		put(t, s, noise(1, block+1))
		got, err := s.Usage()
		must(t, err)
		got.Oldest = got.Oldest.UTC()
		want := cas.Usage{Bytes: 3 * block, Limit: 1 << 20, Entries: 2, Oldest: first.UTC()}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	})
}

// Names have a bound of their own.
func TestNamesAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), 1<<20) // leaves 1 MiB for names: 256 of them
	d := put(t, s, []byte("x"))
	for i := range 400 {
		must(t, s.SetName(fmt.Sprintf("name %03d", i), cas.Name{Digest: d}))
	}
	names, err := s.Names("")
	must(t, err)
	if len(names) > 256 || len(names) < 200 {
		t.Errorf("got %d names, want somewhat less than 256", len(names))
	}
	if len(names) > 0 && names[len(names)-1] != "name 399" {
		t.Errorf("got %q last, want the one set last", names[len(names)-1])
	}
}
