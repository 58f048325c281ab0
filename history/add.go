package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/outlast-build/outlast/record"
)

// Add keeps runs, all or none of them, and returns how many of them it did not
// have yet: a run is known by its ID. What it said it kept outlives the
// process, however that ends; after a loss of power the last runs may be
// missing. It waits for its turn until ctx ends.
func (s *Store) Add(ctx context.Context, runs ...record.Run) (added int, err error) {
	rows, err := rowsOf(runs)
	if err != nil {
		return 0, err
	}
	err = s.use(ctx, func(db *sql.DB) error {
		return s.locked(ctx, func(ctx context.Context) error {
			added, err = s.insert(ctx, db, rows)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("keep run: %w", err)
	}
	return added, nil
}

// A row is a run as the file has it.
type row struct {
	run     record.Run
	started int64 // microseconds
	data    []byte
}

func rowsOf(runs []record.Run) ([]row, error) {
	rows := make([]row, len(runs))
	for i, r := range runs {
		err := Valid(r)
		if err == nil {
			rows[i], err = rowOf(r)
		}
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func rowOf(r record.Run) (row, error) {
	if r.Kind == "" {
		r.Kind = record.KindBuild
	}
	data, err := encode(r)
	return row{r, r.Started.UnixMicro(), data}, err
}

func (s *Store) insert(ctx context.Context, db *sql.DB, rows []row) (added int, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var kept []record.Run
	for _, r := range rows {
		seq, err := insertRun(ctx, tx, r)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO records (seq, data) VALUES (?, ?)`, seq, r.data); err != nil {
			return 0, err
		}
		kept = append(kept, r.run)
	}
	added = len(kept)
	if err := sumUp(ctx, tx, kept); err != nil {
		return 0, err
	}
	if err := s.trim(ctx, tx, added); err != nil {
		return 0, err
	}
	return added, tx.Commit()
}

// insertRun returns the number of the new run, or sql.ErrNoRows where there is
// one of its ID.
func insertRun(ctx context.Context, tx *sql.Tx, r row) (seq int64, err error) {
	err = tx.QueryRowContext(ctx, `INSERT INTO runs (id, started, kind, outcome, repo, branch, strategy) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING RETURNING seq`,
		r.run.ID, r.started, string(r.run.Kind), string(r.run.Outcome), clip(r.run.Context.Repo), clip(r.run.Context.Branch), clip(r.run.Strategy)).Scan(&seq)
	return seq, err
}

// maxColumn bounds what is looked for: a branch's name has hardly more.
const maxColumn = 255

// clip cuts a text where a column has room for no more.
func clip(s string) string { return s[:min(len(s), maxColumn)] }

// use hands f the file. Where that turns out to be damaged, it is set aside,
// and f gets a new one.
func (s *Store) use(ctx context.Context, f func(*sql.DB) error) error {
	s.mu.Lock()
	db := s.db
	s.mu.Unlock()
	err := f(db)
	if !damaged(err) {
		return err
	}
	if db, err = s.instead(ctx, db, err); err != nil {
		return err
	}
	return f(db)
}

// instead returns what stands in the place of broken from now on.
func (s *Store) instead(ctx context.Context, broken *sql.DB, why error) (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != broken {
		return s.db, nil // another was first
	}
	err := s.locked(ctx, func(ctx context.Context) error {
		fresh, err := s.anew(ctx, why)
		if err == nil {
			broken.Close()
			s.db = fresh
		}
		return err
	})
	return s.db, err
}
