package cas

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// Content is stored content, open for reading: a file of its own, with an
// offset of its own, that stays readable when the store drops it meanwhile.
// Its bytes were proved against the digest. The caller closes it.
//
// It embeds the file, so that http.ServeContent lets the kernel copy it.
type Content struct {
	*os.File
	Size int64 // bytes
}

// Get opens the content of d, and counts as a use of it. The error is
// fs.ErrNotExist where the content is not stored, and also where it was
// damaged: a damaged entry is set aside. Any other error says that the store
// cannot be read; for a caller with another source that is a miss too.
//
// The first Get of an entry in a process reads and hashes it whole, later ones
// only when the file changed since. Callers who ask at once for the same
// unproved entry share one reading.
func (s *Store) Get(d digest.Digest) (*Content, error) {
	if err := s.check(d); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	path := s.place("blobs", d)
	f, err := os.OpenFile(path, readFlags, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.proofs.Delete(d)
		return nil, fmt.Errorf("get %s: %w", d, fs.ErrNotExist)
	case errors.Is(err, syscall.ELOOP): // a symbolic link: nothing of ours
		s.setAside(path)
		return nil, fmt.Errorf("get %s: not a file, set aside: %w", d, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("get %s: %w", d, err)
	}
	c, err := s.prove(f, d)
	if err != nil {
		_ = f.Close() // only read
		return nil, fmt.Errorf("get %s: %w", d, err)
	}
	return c, nil
}

// prove returns f as content of d if it is, sets it aside if it is not, and
// leaves closing it in case of an error to the caller.
func (s *Store) prove(f *os.File, d digest.Digest) (*Content, error) {
	u, err := inode(f)
	if err != nil {
		return nil, err
	}
	st := stampFrom(u)
	if !regular(u) {
		s.setAside(f.Name())
		return nil, fmt.Errorf("not a file, set aside: %w", fs.ErrNotExist)
	}
	p := s.proofOf(d)
	if !p.holds(f, st, d) {
		if samePlace(f.Name(), st) {
			s.setAside(f.Name())
		}
		return nil, fmt.Errorf("damaged, set aside: %w", fs.ErrNotExist)
	}
	s.use(d, p)
	return &Content{File: f, Size: st.size}, nil
}
