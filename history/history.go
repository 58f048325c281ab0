// Package history keeps the records of runs in a SQLite file, and answers
// questions about them. What goes in is a record.Run, and so is what comes out:
//
//	s, err := history.Open(folder, history.Options{})  // begins the file where there is none
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
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	s := &Store{options: o, dir: dir, path: filepath.Join(dir, FileName)}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return s, nil
}

// Path is the file that s keeps its runs in.
func (s *Store) Path() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path
}

// closing is how long Close waits for its turn.
const closing = time.Second

// Close closes the file. Nothing that was added is lost without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	// Who closes last tidies up, which is in the way of who opens.
	if unlock, err := s.lock(ctx); err == nil {
		defer unlock()
	}
	return s.db.Close()
}
