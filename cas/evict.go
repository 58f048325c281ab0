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

// Trim looks through the store, and brings it down to nine tenths of its limit
// if it is above. It waits for another process that does the same. Commits do
// this by themselves, as often as it takes.
func (s *Store) Trim() error {
	s.sweep()
	return s.trim("", true)
}

// makeRoom trims after an addition, unless somebody else is at it. That it
// cannot be done is no reason to refuse what was added: it is tried again with
// the next.
func (s *Store) makeRoom(added digest.Digest) { _ = s.trim(added, false) }

func (s *Store) trim(keep digest.Digest, wait bool) error {
	if s.closed.Load() {
		return fmt.Errorf("trim: %w", fs.ErrClosed)
	}
	var f *os.File
	err := s.withFolder(s.dir, func() (err error) {
		f, err = os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, fileMode)
		return err
	})
	if err != nil {
		return resource("trim", err)
	}
	defer func() { _ = f.Close() }() // ends the lock
	if err := lock(f, wait); err != nil {
		return resource("trim", err)
	}
	if err := errors.Join(s.trimBlobs(keep), s.trimNames()); err != nil {
		return resource("trim", err)
	}
	return nil
}

// A candidate is a file that may have to go.
type candidate struct {
	size int64 // in blocks
	used time.Time
	drop func() error
}

// errUsed is the answer of a candidate that was used since it was looked at.
var errUsed = errors.New("used again")

// evict drops what was used longest ago until nine tenths of limit are kept, if
// there was more than limit, and returns what is left. The last used stays: it
// is what the room was made for. A tenth makes the next eviction worth its
// walk through the folders.
func evict(list []candidate, limit int64) (total int64, err error) {
	for _, c := range list {
		total += c.size
	}
	if limit == 0 || total <= limit {
		return total, nil
	}
	slices.SortFunc(list, func(a, b candidate) int { return a.used.Compare(b.used) })
	for i, c := range list {
		if total <= limit-limit/10 || i == len(list)-1 && total <= limit {
			break
		}
		switch dropErr := c.drop(); {
		case dropErr == nil, errors.Is(dropErr, fs.ErrNotExist):
			total -= c.size
		case !errors.Is(dropErr, errUsed):
			err = cmp.Or(err, dropErr)
		}
	}
	return total, err
}

// trimBlobs looks at last uses, which takes as long again, only if something
// has to go.
func (s *Store) trimBlobs(keep digest.Digest) error {
	stored := map[digest.Digest]fs.FileInfo{}
	var total int64
	err := s.each(func(d digest.Digest, blob fs.FileInfo) error {
		stored[d] = blob
		total += blocks(blob.Size())
		return nil
	})
	if err != nil {
		return err
	}
	if s.blobs.limit == 0 || total <= s.blobs.limit {
		s.blobs.saw(total)
		return nil
	}
	list := make([]candidate, 0, len(stored))
	now := time.Now()
	for d, blob := range stored {
		used := s.usedBefore(now, d, blob)
		if d == keep {
			used = now.Add(1)
		}
		list = append(list, candidate{blocks(blob.Size()), used, func() error { return s.drop(d, used) }})
	}
	total, err = evict(list, s.blobs.limit)
	s.blobs.saw(total)
	s.forget(stored)
	return err
}

// usedBefore returns when d was last used, by now at the latest. Where the clock
// was set back, a time to come would keep the entry for as long as the clock
// was wrong; marked as used now, it ages like the rest.
func (s *Store) usedBefore(now time.Time, d digest.Digest, blob fs.FileInfo) time.Time {
	used := s.lastUse(d, blob)
	if used.After(now) {
		used = now
		s.mark(s.place("used", d), now)
	}
	return used
}

// drop evicts d, unless it was used after the time used.
func (s *Store) drop(d digest.Digest, used time.Time) error {
	mark := s.place("used", d)
	if info, err := os.Lstat(mark); err == nil && info.ModTime().After(used) {
		return errUsed
	}
	if err := os.Remove(s.place("blobs", d)); err != nil {
		return err
	}
	_ = os.Remove(mark) // else forget does, another time
	s.proofs.Delete(d)
	return nil
}

// forget removes the marks and the proofs of content that is not stored.
func (s *Store) forget(stored map[digest.Digest]fs.FileInfo) {
	s.proofs.Range(func(d, _ any) bool {
		if _, ok := stored[d.(digest.Digest)]; !ok {
			s.proofs.Delete(d)
		}
		return true
	})
	for _, alg := range algorithms {
		folder := filepath.Join(s.dir, "used", string(alg))
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if _, ok := stored[digest.NewDigestFromEncoded(alg, e.Name())]; !ok {
				_ = os.Remove(filepath.Join(folder, e.Name()))
			}
		}
	}
}

// trimNames keeps the names that were set last.
func (s *Store) trimNames() error {
	folder := filepath.Join(s.dir, "names")
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var list []candidate
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(folder, e.Name())
		list = append(list, candidate{blocks(info.Size()), info.ModTime(), func() error { return os.Remove(path) }})
	}
	total, err := evict(list, s.names.limit)
	s.names.saw(total)
	return err
}
