package cas

import (
	_ "crypto/sha256" // makes the algorithm available to go-digest
	_ "crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

const (
	dirMode  fs.FileMode = 0o700 // content may be private
	fileMode fs.FileMode = 0o600

	// leastNames is the room for names of a small store: some 250 of them.
	leastNames = 1 << 20
)

// A Store is a directory of content by digest and of names that point to it.
// Its methods may be called at once from many goroutines, and several stores,
// also of other processes, may be open on one directory.
type Store struct {
	dir    string
	limit  int64 // of one content
	closed atomic.Bool
	proofs sync.Map // digest.Digest to *proof: what this process knows about content
	blobs  meter
	names  meter
}

// Open opens the store in dir and makes the directory where there is none. The
// content may take limit bytes, counted in blocks of 4 KiB; 0 means that there
// is no limit. Names may take a sixteenth of it beside. A directory that cannot
// be written opens too: what it has can be read. What dead processes left in
// the spool is removed.
//
// The limit is kept on every commit, roughly: a process looks at the disk again
// whenever it has added a twentieth of the limit itself, and then makes room
// down to nine tenths. The caller closes the store.
func Open(dir string, limit int64) (*Store, error) {
	if dir == "" || limit < 0 {
		return nil, &fault.Error{Op: "open store", Kind: fault.Config,
			Err: fmt.Errorf("directory %q, limit %d: want a directory, and a limit that is not negative", dir, limit)}
	}
	dir, err := filepath.Abs(dir) // survives a change of the working directory
	if err == nil {
		err = os.MkdirAll(dir, dirMode)
	}
	if err == nil {
		err = readable(dir)
	}
	if err != nil {
		return nil, &fault.Error{Op: "open store", Kind: openKind(err), Err: err}
	}
	limit = min(limit, mostLimit)
	s := &Store{dir: dir, limit: limit}
	if limit > 0 {
		s.blobs.limit = blocks(limit)
		s.names.limit = max(limit/16, leastNames)
	}
	s.sweep()
	return s, nil
}

// mostLimit leaves room for sums: nobody has a disk of an exbibyte.
const mostLimit = 1 << 60

// folders are the parts of a store that hold files.
var folders = []string{"blobs", "used", "names", "spool", "quarantine"}

// readable fails for a directory that cannot be listed or searched, and for one
// in which something else stands where a folder of the store belongs.
func readable(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = f.Close() // only read
	for _, name := range folders {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !info.IsDir():
			return &fs.PathError{Op: "open", Path: filepath.Join(dir, name), Err: syscall.ENOTDIR}
		}
	}
	return nil
}

// openKind is Config for what the user can mend by naming another place, and
// Resource for what the machine lacks.
func openKind(err error) fault.Kind {
	for _, cause := range []error{syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, fs.ErrPermission, fs.ErrExist, syscall.EROFS} {
		if errors.Is(err, cause) {
			return fault.Config
		}
	}
	return fault.Resource
}

// Close closes the store: its methods fail from now on with fs.ErrClosed.
// Content and writers that were handed out stay usable until they are closed
// themselves; a writer can no longer be committed.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// Path returns where the content of d stands while it is stored, whether it is
// or not, or "" for a digest that is not valid. Who reads there reads without
// a proof; Get first.
func (s *Store) Path(d digest.Digest) string {
	if d.Validate() != nil {
		return ""
	}
	return s.place("blobs", d)
}

// Stat returns the size in bytes of the content of d, without proof and without
// counting as a use. The error is fs.ErrNotExist where it is not stored.
func (s *Store) Stat(d digest.Digest) (int64, error) {
	if err := s.check(d); err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	info, err := os.Lstat(s.place("blobs", d))
	if err != nil {
		return 0, fmt.Errorf("stat %s: %w", d, err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("stat %s: not a file: %w", d, fs.ErrNotExist)
	}
	return info.Size(), nil
}

// check fails when the store is closed or d is not the digest of anything.
func (s *Store) check(d digest.Digest) error {
	if s.closed.Load() {
		return fs.ErrClosed
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %.200q: %w", string(d), err)
	}
	return nil
}

// place returns the path of d, which is valid, below folder.
func (s *Store) place(folder string, d digest.Digest) string {
	return s.dir + "/" + folder + "/" + string(d.Algorithm()) + "/" + d.Encoded()
}
