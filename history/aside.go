package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keptAside is how many files that were set aside are kept: a disk that breaks
// one after the other must not be filled with them.
const keptAside = 3

// anew sets the file aside, why being what is wrong with it, and begins a new
// one, unless another process did meanwhile. It needs the lock.
func (s *Store) anew(ctx context.Context, why error) (*sql.DB, error) {
	aside, err := s.setAside()
	if err != nil {
		return nil, fmt.Errorf("%w; and it cannot be set aside: %w", why, err)
	}
	db, err := s.connect(ctx)
	if err == nil && aside != "" {
		s.options.Warn(fmt.Sprintf("the history could not be read (%v): it is set aside as %s, and a new one is begun", why, aside))
	}
	return db, err
}

// setAside renames the file that was found, unless another process did, and
// returns its new name.
func (s *Store) setAside() (string, error) {
	now, _ := os.Stat(s.path)
	if now != nil && (s.found == nil || !os.SameFile(now, s.found)) {
		return "", nil
	}
	s.dropAside()
	aside := s.path + ".damaged-" + s.options.Now().UTC().Format("20060102T150405.000000")
	for i, part := range parts(s.path) {
		if err := os.Rename(part, parts(aside)[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// dropAside removes the oldest of those that were set aside before.
func (s *Store) dropAside() {
	var all []string // by their names, which are times
	entries, _ := os.ReadDir(s.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(s.path)+".damaged-") && !strings.HasSuffix(e.Name(), "-wal") && !strings.HasSuffix(e.Name(), "-shm") {
			all = append(all, filepath.Join(s.dir, e.Name()))
		}
	}
	for len(all) >= keptAside {
		for _, part := range parts(all[0]) {
			_ = os.RemoveAll(part) // what cannot be removed is left
		}
		all = all[1:]
	}
}
