package cas

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// spool creates a file in the spool and locks it, so that no sweep takes it for
// one that a dead process left. The lock goes with the descriptor.
func (s *Store) spool() (*os.File, error) {
	folder := filepath.Join(s.dir, "spool")
	for {
		var f *os.File
		err := s.withFolder(folder, func() (err error) {
			f, err = os.CreateTemp(folder, "")
			return err
		})
		if err != nil {
			return nil, err
		}
		// A sweep between creation and lock has removed the file by the time
		// the lock is ours.
		u, err := (*unix.Stat_t)(nil), lock(f, true)
		if err == nil {
			u, err = inode(f)
		}
		if err == nil && u.Nlink > 0 {
			return f, nil
		}
		_ = os.Remove(f.Name())
		_ = f.Close() // nothing was written
		if err != nil {
			return nil, err
		}
	}
}

// sweep removes the spools whose processes are gone: nobody holds their locks.
func (s *Store) sweep() {
	folder := filepath.Join(s.dir, "spool")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // there is none, or nothing can be done about it
	}
	for _, e := range entries {
		sweepFile(filepath.Join(folder, e.Name()))
	}
}

func sweepFile(path string) {
	f, err := os.OpenFile(path, readFlags, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // and the lock ends, after the file is gone
	if lock(f, false) != nil {
		return
	}
	// A commit may have renamed it away in between, and another spool may have
	// its name: only the file whose lock this is may go.
	if u, err := inode(f); err == nil && regular(u) && samePlace(path, stampFrom(u)) {
		_ = os.Remove(path)
	}
}
