package cas

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	return s.each(func(d digest.Digest, blob fs.FileInfo) error {
		return fn(Entry{Digest: d, Size: blob.Size(), Used: s.lastUse(d, blob)})
	})
}

// each calls fn for the file of everything that is stored.
func (s *Store) each(fn func(d digest.Digest, blob fs.FileInfo) error) error {
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
			if err := fn(d, info); err != nil {
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
