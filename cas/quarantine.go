package cas

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The quarantine keeps what may help to find out why a disk or a program
// spoiled content, and no more.
const (
	quarantineEntries       = 16
	quarantineBytes   int64 = 256 << 20
)

// setAside moves what stands at path to the quarantine, or removes it where
// that cannot be done. Nothing is left to do where neither can: what is at path
// is not served.
func (s *Store) setAside(path string) {
	folder := filepath.Join(s.dir, "quarantine")
	// The time makes the name new, and its order that of arrival.
	name := fmt.Sprintf("%019d-%s", time.Now().UnixNano(), filepath.Base(path))
	err := s.withFolder(folder, func() error {
		if _, err := os.Lstat(path); err != nil {
			return nil // somebody else was faster
		}
		return os.Rename(path, filepath.Join(folder, name))
	})
	if err != nil {
		_ = os.RemoveAll(path)
		return
	}
	s.boundQuarantine(folder)
}

// boundQuarantine removes what came first until the rest is within the bounds.
func (s *Store) boundQuarantine(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(b.Name(), a.Name()) })
	var count int
	var bytes int64
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		count++
		bytes += treeSize(path)
		if count > quarantineEntries || bytes > quarantineBytes {
			_ = os.RemoveAll(path)
		}
	}
}

// treeSize returns the bytes of the files at and below path. What is no longer
// there counts nothing.
func treeSize(path string) (n int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
