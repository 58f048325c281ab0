package cas_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

// rewrite changes a file in place until the file system's clock has ticked:
// within one tick nothing tells of a change.
func rewrite(t *testing.T, path string, data []byte) {
	before, err := os.Stat(path)
	must(t, err)
	for {
		must(t, os.WriteFile(path, data, 0o600))
		after, err := os.Stat(path)
		must(t, err)
		if after.Sys().(*syscall.Stat_t).Ctim != before.Sys().(*syscall.Stat_t).Ctim {
			return
		}
	}
}

// replace puts something else at path.
func replace(t *testing.T, path string, make func(path string) error) {
	must(t, os.Remove(path), make(path))
}

var damages = []struct {
	name string
	do   func(t *testing.T, path string, data []byte)
}{
	{"a byte flipped", func(t *testing.T, path string, data []byte) {
		bad := bytes.Clone(data)
		bad[len(bad)/2] ^= 1
		rewrite(t, path, bad)
	}},
	{"a byte flipped, and the time set back", func(t *testing.T, path string, data []byte) {
		info, err := os.Stat(path)
		must(t, err)
		bad := bytes.Clone(data)
		bad[0] ^= 0x80
		rewrite(t, path, bad)
		must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	}},
	{"cut by a byte", func(t *testing.T, path string, data []byte) { rewrite(t, path, data[:len(data)-1]) }},
	{"emptied", func(t *testing.T, path string, _ []byte) { rewrite(t, path, nil) }},
	{"grown by a byte", func(t *testing.T, path string, data []byte) { rewrite(t, path, append(bytes.Clone(data), 0)) }},
	{"replaced by another file", func(t *testing.T, path string, data []byte) {
		replace(t, path, func(path string) error { return os.WriteFile(path, bytes.ToUpper(data), 0o600) })
	}},
	{"replaced by a directory", func(t *testing.T, path string, _ []byte) {
		replace(t, path, func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "x"), nil, 0o600))
		})
	}},
	{"replaced by a link to the same bytes", func(t *testing.T, path string, data []byte) {
		target := filepath.Join(t.TempDir(), "target")
		must(t, os.WriteFile(target, data, 0o600))
		replace(t, path, func(path string) error { return os.Symlink(target, path) })
		t.Cleanup(func() {
			if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the target of the link: %d bytes, %v; want it untouched", len(got), err)
			}
		})
	}},
	{"replaced by a link to nowhere", func(t *testing.T, path string, _ []byte) {
		replace(t, path, func(path string) error { return os.Symlink("/nowhere/at/all", path) })
	}},
	{"replaced by a pipe", func(t *testing.T, path string, _ []byte) {
		replace(t, path, func(path string) error { return syscall.Mkfifo(path, 0o600) })
	}},
}

func TestDamagedContentIsAMiss(t *testing.T) {
	for _, tt := range damages {
		for _, who := range []string{"found by a store that has read it", "found by the next process"} {
			t.Run(tt.name+", "+who, func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir, 0)
				data := noise(5, 10_000)
				d := put(t, s, data)
				if _, err := read(s, d); err != nil {
					t.Fatal(err)
				}
				tt.do(t, s.Path(d), data)
				if who == "found by the next process" {
					s = open(t, dir, 0)
				}
				for range 2 {
					if got, err := read(s, d); !errors.Is(err, fs.ErrNotExist) {
						t.Fatalf("got %d bytes, %v; want a miss", len(got), err)
					}
				}
				if _, err := os.Lstat(s.Path(d)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("still in its place: %v", err)
				}
				if got, err := os.ReadDir(filepath.Join(dir, "quarantine")); len(got) != 1 {
					t.Errorf("set aside: %v, %v; want one", got, err)
				}
				put(t, s, data)
				if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
					t.Errorf("put again: got %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

// What is damaged and was not asked for since gives way to a commit.
func TestCommitReplacesDamage(t *testing.T) {
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir(), 0)
			data := noise(6, 10_000)
			d := put(t, s, data)
			tt.do(t, s.Path(d), data)
			put(t, s, data)
			if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestNoDamageIsServedToAnybody(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	data := noise(7, 3<<20)
	d := put(t, s, data)
	s = open(t, filepath.Dir(filepath.Dir(filepath.Dir(s.Path(d)))), 0)
	bad := bytes.Clone(data)
	bad[1<<20] ^= 1
	rewrite(t, s.Path(d), bad)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got, err := read(s, d); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %d bytes, %v; want a miss", len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestQuarantineIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	spoil := func(i int, size int64) digest.Digest {
		d := put(t, s, noise(uint64(i), 100))
		must(t, os.Truncate(s.Path(d), size))
		if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("got %v, want a miss", err)
		}
		return d
	}
	var last digest.Digest
	for i := range 40 {
		last = spoil(i, 99)
	}
	got := files(t, dir, "quarantine")
	if len(got) == 0 || len(got) > 16 {
		t.Errorf("got %d entries, want up to 16", len(got))
	}
	if !slices.ContainsFunc(got, func(path string) bool { return strings.HasSuffix(path, last.Encoded()) }) {
		t.Errorf("got %q, want what came last (%s) among them", got, last)
	}
	spoil(41, 257<<20) // more than all of it may be, though a hole on the disk
	for _, path := range files(t, dir, "quarantine") {
		if info, err := os.Stat(path); err == nil && info.Size() > 256<<20 {
			t.Errorf("%s is kept with %d bytes", path, info.Size())
		}
	}
}

// A store that several open: a verdict of one is none for another.
func TestEachProcessProvesForItself(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, 0)
	d := put(t, a, []byte("content"))
	b := open(t, dir, 0)
	rewrite(t, a.Path(d), []byte("CONTENT"))
	for name, s := range map[string]*cas.Store{"a": a, "b": b} {
		if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want a miss", name, err)
		}
	}
}
