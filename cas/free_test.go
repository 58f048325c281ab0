package cas_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
)

func TestFree(t *testing.T) {
	for _, tt := range []struct {
		name  string
		want  int64         // blocks to be freed
		since time.Duration // before now
		do    func(l *letters)
		freed int64 // blocks
		left  string
	}{
		{"nothing is wanted", 0, 0, func(*letters) {}, 0, "abcd"},
		{"what was used longest ago goes", 2, 0, func(*letters) {}, 2, "cd"},
		{"a use counts", 2, 0, func(l *letters) { l.get("a") }, 2, "ad"},
		{"no more than there is", 9, 0, func(*letters) {}, 4, ""},
		{"what was used since stays", 9, 90 * time.Second, func(l *letters) { l.get("b") }, 2, "bd"},
		{"the quarantine goes first", 1, 0, func(l *letters) {
			must(l.t, os.WriteFile(l.Path(l.digest("a")), l.data("x", block), 0o600))
			l.Get(l.digest("a"))
		}, 1, "bcd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				l := &letters{open(t, dir, 100*block), t, make(map[digest.Digest]string)}
				for _, id := range []string{"a", "b", "c", "d"} {
					l.put(id, block)
				}
				tt.do(l)
				time.Sleep(time.Second)
				freed, err := l.Free(tt.want*block, time.Now().Add(-tt.since))
				if err != nil || freed != tt.freed*block || l.stored() != tt.left {
					t.Errorf("got %d blocks, %v, left %q, want %d, left %q", freed/block, err, l.stored(), tt.freed, tt.left)
				}
			})
		})
	}
}

func TestContentInUseOutlivesFree(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	d := put(t, s, noise(1, 100_000))
	c, err := s.Get(d)
	must(t, err)
	defer c.Close()
	if _, err := s.Free(1<<30, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want a miss", err)
	}
	data := make([]byte, c.Size)
	if _, err := c.ReadAt(data, 0); err != nil || digest.FromBytes(data) != d {
		t.Errorf("what was handed out: got %v, want the content", err)
	}
}

// Nothing is written on the way: a full disk gives room.
func TestFreeOnAFullDisk(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir := smallDisk(t, "1m")
	s := open(t, filepath.Join(dir, "store"), 0)
	d := put(t, s, noise(1, 256<<10))
	fill, err := os.Create(filepath.Join(dir, "full"))
	must(t, err)
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	must(t, fill.Close())
	freed, err := s.Free(100_000, time.Now().Add(time.Hour))
	if err != nil || freed < 256<<10 {
		t.Errorf("got %d bytes, %v", freed, err)
	}
	if _, err := s.Stat(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that it went", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), make([]byte, 200<<10), 0o600); err != nil {
		t.Errorf("no room was made: %v", err)
	}
}
