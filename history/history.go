// Package history keeps the records of runs in a SQLite file, and answers
// questions about them. What goes in is a record.Run, and so is what comes out:
//
//	s, err := history.Open(folder, history.Options{})  // begins the file where there is none
//	added, err := history.Keep(ctx, folder, history.Options{}, run)  // all at once, for who keeps but one
//	added, err := s.Add(ctx, run)                      // once by its ID; kept when it returns
//	runs, err := s.Runs(ctx, history.Query{Repo: r, Limit: 50})  // the newest first
//	run, err := s.Get(ctx, "3F7K")                     // by the beginning of its ID, or history.Last
//	err = s.Each(ctx, history.Query{}, func(record.Run) error {…})  // as many as there are
//	days, err := s.Days(ctx, since, until, "")         // the sums of days, for stats.Of: as quick for a million runs
//	s.Close()
//
// Many processes may write at once: they take their turns in the order in
// which they came. A file that cannot be used is set aside and a new one begun,
// once, with a warning. The file is bounded by age and size.
//
// The package decides nothing: it never judges a run, and never takes secrets
// out of one. Whoever hands it a run has redacted it.
package history

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/outlast-build/outlast/record"
)

// FileName is the name of the file in its folder.
const FileName = "history.db"

// Options bound a Store. The zero value of a field means what its comment
// says.
type Options struct {
	MaxAge  time.Duration    // days that are longer ago are dropped with their runs; 0: none are
	MaxSize int64            // bytes of the file, beyond which the oldest runs are dropped; 0: no limit
	Warn    func(string)     // told, in a line, when a file was set aside; nil: nobody is
	Now     func() time.Time // nil: time.Now
}

// A Store is an open history. Its methods may be called at once from many
// places. Whoever opened it closes it.
type Store struct {
	options Options
	dir     string

	mu    sync.Mutex
	path  string
	db    *sql.DB
	found os.FileInfo // what was at path before it was opened; nil: nothing
}

// Open opens the history in the folder dir, which it makes where there is
// none. It is an error where the folder cannot be written, or the disk is
// full: then there is no history.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	s, err := begin(dir, o)
	if err == nil {
		err = s.locked(ctx, s.open)
	}
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return s, nil
}

// Keep opens the history in the folder dir, adds runs as Add does, and closes
// it, with one turn for all: of two hundred processes that come at once, each
// waits for the others once.
func Keep(ctx context.Context, dir string, o Options, runs ...record.Run) (added int, err error) {
	rows, err := rowsOf(runs)
	if err != nil {
		return 0, err
	}
	s, err := begin(dir, o)
	if err != nil {
		return 0, fmt.Errorf("open history: %w", err)
	}
	// What can be done before its turn is not waited for by others.
	if info, failed := os.Stat(s.path); failed == nil && info.Size() > 0 {
		if s.db, err = s.connect(ctx); err != nil {
			s.db = nil
		}
	}
	err = s.locked(ctx, func(ctx context.Context) error {
		if s.db == nil {
			if err := s.open(ctx); err != nil {
				return err
			}
		}
		added, err = s.insert(ctx, s.db, rows)
		if !damaged(err) {
			return err
		}
		broken := s.db
		defer broken.Close()
		if s.db, err = s.anew(ctx, err); err == nil {
			added, err = s.insert(ctx, s.db, rows)
		}
		return err
	})
	if s.db != nil {
		s.db.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("keep run: %w", err)
	}
	return added, nil
}

// begin is a store that is not open yet.
func begin(dir string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	return &Store{options: o, dir: dir, path: filepath.Join(dir, FileName)}, os.MkdirAll(dir, 0o700)
}

// Path is the file that s keeps its runs in.
func (s *Store) Path() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path
}

// Close closes the file. Nothing that was added is lost without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.db.Close()
}
