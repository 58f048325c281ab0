package cas

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// Free gives the disk at least want bytes back where it can, however far below
// its limit the store is: spools of dead processes and the quarantine go first,
// then content, what was used longest ago before the rest. Content that was used
// after the time since stays. It returns how many bytes went, content in
// blocks of 4 KiB. A kill at any time leaves a store that is whole: names
// whose content went are misses.
//
// It writes nothing, so that it works on a disk that is full. The error is that
// of the first file that did not go; the others went all the same.
func (s *Store) Free(want int64, since time.Time) (freed int64, err error) {
	if s.closed.Load() {
		return 0, fmt.Errorf("free: %w", fs.ErrClosed)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist): // nobody has trimmed yet
	case err != nil:
		return 0, resource("free", err)
	default:
		defer func() { _ = f.Close() }() // ends the lock
		if err := lock(f, true); err != nil {
			return 0, resource("free", err)
		}
	}
	spools := filepath.Join(s.dir, "spool")
	before := treeSize(spools)
	s.sweep()
	freed += max(0, before-treeSize(spools))
	quarantine := filepath.Join(s.dir, "quarantine")
	aside := treeSize(quarantine)
	err = os.RemoveAll(quarantine)
	freed += max(0, aside-treeSize(quarantine))
	dropped, dropErr := s.freeBlobs(want-freed, since)
	freed += dropped
	if err = cmp.Or(err, dropErr); err != nil {
		return freed, resource("free", err)
	}
	return freed, nil
}

// freeBlobs drops content that was last used before since, the oldest first,
// until want bytes went.
func (s *Store) freeBlobs(want int64, since time.Time) (freed int64, err error) {
	var list []candidate
	var total int64
	walkErr := s.each(func(d digest.Digest, blob fs.FileInfo) error {
		total += blocks(blob.Size())
		if used := s.lastUse(d, blob); used.Before(since) {
			list = append(list, candidate{blocks(blob.Size()), used, func() error { return s.drop(d, used) }})
		}
		return nil
	})
	if walkErr != nil {
		return 0, walkErr
	}
	slices.SortFunc(list, func(a, b candidate) int { return a.used.Compare(b.used) })
	for _, c := range list {
		if freed >= want {
			break
		}
		switch dropErr := c.drop(); {
		case dropErr == nil:
			freed += c.size
		case !errors.Is(dropErr, fs.ErrNotExist) && !errors.Is(dropErr, errUsed):
			err = cmp.Or(err, dropErr)
		}
	}
	s.blobs.saw(total - freed)
	return freed, err
}
