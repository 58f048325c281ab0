package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/outlast-build/outlast/record"
)

// A Query says which runs are meant: those that all of its fields are true of.
// The zero value of a field excludes none.
type Query struct {
	Since, Until time.Time // Since <= began < Until
	Kind         record.Kind
	Outcome      record.Outcome
	Repo, Branch string
	Strategy     string
	Before       string // the ID of a run: those that stand after it in the list
	Limit        int    // how many, of the newest; 0: all
}

// Last stands for the newest run in Get.
const Last = "last"

// ErrAmbiguous means that several runs have an ID that begins so.
var ErrAmbiguous = errors.New("several runs have an ID that begins so")

// Runs returns the runs that q means, the newest first. It reads them all:
// a q without a Limit is for Each.
func (s *Store) Runs(ctx context.Context, q Query) ([]record.Run, error) {
	var runs []record.Run
	err := s.Each(ctx, q, func(r record.Run) error {
		runs = append(runs, r)
		return nil
	})
	return runs, err
}

// Each calls f with the runs that q means, the newest first, until f returns
// an error, which it returns. Runs that are added meanwhile are not among
// them. A run that can no longer be read is passed over, with a warning.
func (s *Store) Each(ctx context.Context, q Query, f func(record.Run) error) error {
	text, args := q.sql()
	err := s.each(ctx, f, text, args...)
	var own *stopped
	switch {
	case errors.As(err, &own):
		return own.err
	case err != nil:
		return fmt.Errorf("read history: %w", err)
	}
	return nil
}

// each calls f with the records that a SELECT of one column finds.
func (s *Store) each(ctx context.Context, f func(record.Run) error, text string, args ...any) error {
	return s.use(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var data sql.RawBytes
			if err := rows.Scan(&data); err != nil {
				return err
			}
			r, err := decode(data)
			if err != nil {
				s.options.Warn(fmt.Sprintf("a run in the history is passed over: %v", err))
				continue
			}
			if err := f(r); err != nil {
				return &stopped{err}
			}
		}
		return rows.Err()
	})
}

// stopped is an error of who was handed runs.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

// sql writes q for SQLite.
func (q Query) sql() (string, []any) {
	var where []string
	var args []any
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	for _, c := range []struct{ column, value string }{
		{"repo", clip(q.Repo)}, {"branch", clip(q.Branch)}, {"outcome", string(q.Outcome)}, {"kind", string(q.Kind)}, {"strategy", q.Strategy},
	} {
		if c.value != "" {
			and(c.column+" = ?", c.value)
		}
	}
	if !q.Since.IsZero() {
		and("started >= ?", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		and("started < ?", q.Until.UnixMicro())
	}
	if q.Before != "" {
		and("(started, seq) < (SELECT started, seq FROM runs WHERE id = ?)", q.Before)
	}
	text := `SELECT data FROM (SELECT seq, started FROM runs`
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	text += " ORDER BY started DESC, seq DESC LIMIT ?) JOIN records USING (seq) ORDER BY started DESC, seq DESC"
	if q.Limit <= 0 {
		return text, append(args, -1)
	}
	return text, append(args, q.Limit)
}

// Get returns the run whose ID is id or, where there is but one, begins with
// it; Last is the newest. It returns an error that wraps fs.ErrNotExist where
// there is none, and ErrAmbiguous where there are several.
func (s *Store) Get(ctx context.Context, id string) (record.Run, error) {
	if id == Last {
		runs, err := s.Runs(ctx, Query{Limit: 1})
		if err == nil && len(runs) == 0 {
			err = fmt.Errorf("there is no run yet: %w", fs.ErrNotExist)
		}
		if err != nil {
			return record.Run{}, err
		}
		return runs[0], nil
	}
	if !ids.MatchString(id) {
		return record.Run{}, fmt.Errorf("%.80q is no ID of a run: %w", id, fs.ErrNotExist)
	}
	found, err := s.begins(ctx, id)
	switch {
	case err != nil:
		return record.Run{}, err
	case len(found) == 0:
		return record.Run{}, fmt.Errorf("no run has an ID that begins with %s: %w", id, fs.ErrNotExist)
	case len(found) > 1 && found[0].ID != id:
		return record.Run{}, fmt.Errorf("%s: %w", id, ErrAmbiguous)
	}
	return found[0], nil
}

// begins returns up to two runs whose IDs begin with id, the shortest first.
func (s *Store) begins(ctx context.Context, id string) ([]record.Run, error) {
	var found []record.Run
	err := s.each(ctx, func(r record.Run) error {
		found = append(found, r)
		return nil
	}, `SELECT data FROM runs JOIN records USING (seq) WHERE id >= ? AND id < ? ORDER BY id LIMIT 2`, id, id+"~")
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return found, nil
}
