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

// An Entry is stored content.
type Entry struct {
	Digest digest.Digest
	Size   int64     // bytes
	Used   time.Time // last Get or Commit, to the second
}

// algorithms are those that content can have.
var algorithms = [...]digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512}

// Walk calls fn for everything that is stored, in no order that would mean
// something, until fn fails, and returns that error. What comes or goes
// meanwhile may be missed. It proves nothing and counts as no use.
func (s *Store) Walk(fn func(Entry) error) error {
	if s.closed.Load() {
		return fmt.Errorf("walk: %w", fs.ErrClosed)
	}
	for _, alg := range algorithms {
		entries, err := os.ReadDir(filepath.Join(s.dir, "blobs", string(alg)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("walk: %w", err)
		}
		for _, e := range entries {
			d := digest.NewDigestFromEncoded(alg, e.Name())
			info, err := e.Info()
			if err != nil || !info.Mode().IsRegular() || d.Validate() != nil {
				continue
			}
			if err := fn(Entry{Digest: d, Size: info.Size(), Used: s.lastUse(d, info)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastUse returns when d was marked as used, or when its file was written where
// a process was killed before it marked it.
func (s *Store) lastUse(d digest.Digest, blob fs.FileInfo) time.Time {
	if mark, err := os.Lstat(s.place("used", d)); err == nil {
		return mark.ModTime()
	}
	return blob.ModTime()
}

// Usage is what a store holds.
type Usage struct {
	Bytes   int64 // as the limit counts them: in blocks of 4 KiB, at least one for each entry
	Limit   int64 // bytes; 0 for none
	Entries int
	Oldest  time.Time // the longest unused entry's last use; zero where there is no entry
}

// Usage looks through the store.
func (s *Store) Usage() (Usage, error) {
	u := Usage{Limit: s.limit}
	err := s.Walk(func(e Entry) error {
		u.Bytes += blocks(e.Size)
		u.Entries++
		if u.Oldest.IsZero() || e.Used.Before(u.Oldest) {
			u.Oldest = e.Used
		}
		return nil
	})
	return u, err
}

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
	slices.SortStableFunc(list, func(a, b candidate) int { return a.used.Compare(b.used) })
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

func (s *Store) trimBlobs(keep digest.Digest) error {
	now := time.Now()
	var list []candidate
	stored := map[digest.Digest]bool{}
	err := s.Walk(func(e Entry) error {
		stored[e.Digest] = true
		used := e.Used
		if used.After(now) {
			// The clock was set back. A time to come would keep the entry
			// for as long as it was wrong; from now on it ages like the rest.
			used = now
			s.mark(s.place("used", e.Digest), now)
		}
		if e.Digest == keep {
			used = now.Add(1)
		}
		list = append(list, candidate{blocks(e.Size), used, func() error { return s.drop(e.Digest, used, keep) }})
		return nil
	})
	if err != nil {
		return err
	}
	total, err := evict(list, s.blobs.limit)
	s.blobs.saw(total)
	s.dropMarks(stored)
	return err
}

// drop evicts d, unless it was used after the time used.
func (s *Store) drop(d digest.Digest, used time.Time, keep digest.Digest) error {
	mark := s.place("used", d)
	if info, err := os.Lstat(mark); err == nil && d != keep && info.ModTime().After(used) {
		return errUsed
	}
	if err := os.Remove(s.place("blobs", d)); err != nil {
		return err
	}
	_ = os.Remove(mark) // else dropMarks does, another time
	s.proofs.Delete(d)
	return nil
}

// dropMarks removes the marks of content that is not stored.
func (s *Store) dropMarks(stored map[digest.Digest]bool) {
	for _, alg := range algorithms {
		folder := filepath.Join(s.dir, "used", string(alg))
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !stored[digest.NewDigestFromEncoded(alg, e.Name())] {
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
