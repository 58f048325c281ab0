package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"modernc.org/sqlite"
)

// busy is how long SQLite itself waits for another process, in milliseconds.
// Writers have their turn by then; a checkpoint may be under way.
const busy = 5000

// open opens the file, and sets aside what cannot be used. It needs the lock.
func (s *Store) open(ctx context.Context) error {
	db, err := s.connect(ctx)
	if errors.Is(err, errNewer) {
		// It is whole, and in use by another version: this one keeps its own.
		s.path = filepath.Join(s.dir, fmt.Sprintf("history.v%d.db", len(migrations)))
		if _, missing := os.Lstat(s.path); missing != nil {
			s.options.Warn(fmt.Sprintf("a newer version of outlast wrote %s: this one keeps its history in %s", FileName, s.path))
		}
		db, err = s.connect(ctx)
	}
	if damaged(err) {
		db, err = s.anew(ctx, err)
	}
	s.db = db
	return err
}

// connect opens the file as it is, and begins it where there is none. It needs
// the lock unless there is one with something in it, as two that begin one
// would be in each other's way.
func (s *Store) connect(ctx context.Context) (*sql.DB, error) {
	s.found, _ = os.Stat(s.path)
	if err := s.regular(); err != nil {
		return nil, err
	}
	// SQLite would let others read what it begins.
	if f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	} else if s.found, err = f.Stat(); err != nil || f.Close() != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: s.path}).EscapedPath()}).String()+
		fmt.Sprintf("?_txlock=immediate&_pragma=busy_timeout(%d)&_pragma=synchronous(NORMAL)&_pragma=trusted_schema(0)", busy))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	if err := s.ready(ctx, db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// regular reports, as an error, what stands in the place of the file and is
// none: to open a pipe would wait for ever.
func (s *Store) regular() error {
	for _, part := range parts(s.path) {
		info, err := os.Stat(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return &irregularError{part}
		}
	}
	return nil
}

// An irregularError names what should be a file.
type irregularError struct{ path string }

func (e *irregularError) Error() string { return filepath.Base(e.path) + " is no file" }

// parts are the files of a database: SQLite keeps what is not yet in the first
// in the second.
func parts(path string) []string { return []string{path, path + "-wal", path + "-shm"} }

// ready brings the schema up to date.
func (s *Store) ready(ctx context.Context, db *sql.DB) error {
	seen, err := version(ctx, db)
	if err != nil {
		return err
	}
	if seen < len(migrations) {
		if err := migrate(ctx, db, seen); err != nil {
			return err
		}
	}
	return complete(ctx, db)
}

// The codes of SQLite that are told apart, without what they say in detail.
const (
	generic = 1  // SQLITE_ERROR: what is asked for does not exist
	corrupt = 11 // SQLITE_CORRUPT
	notADB  = 26 // SQLITE_NOTADB
)

// code returns the code of SQLite in err, 0 where there is none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// damaged reports whether err says that the file is of no use to anybody.
func damaged(err error) bool {
	var irregular *irregularError
	return errors.Is(err, errForeign) || errors.Is(err, errLacking) || errors.As(err, &irregular) ||
		slices.Contains([]int{corrupt, notADB}, code(err))
}
