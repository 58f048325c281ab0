package history

import (
	"context"
	"database/sql"
	"fmt"
)

// dropped is how many runs are dropped at most when one is added. It keeps a
// turn short; and a clock that was a year ahead for one build costs no more,
// and the sums of one day.
const dropped = 100

// trim drops the oldest runs where there are too old ones, or too many, after
// added ones came.
func (s *Store) trim(ctx context.Context, tx *sql.Tx, added int) error {
	most := dropped + 2*added
	if s.options.MaxAge > 0 {
		oldest := dayOf(s.options.Now().Add(-s.options.MaxAge))
		if err := drop(ctx, tx, `SELECT seq FROM runs WHERE started < ? ORDER BY started LIMIT ?`, oldest*daySeconds*1e6, most); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM days WHERE day < ? AND day = (SELECT min(day) FROM days WHERE repo = '')`, oldest); err != nil {
			return err
		}
	}
	if s.options.MaxSize > 0 {
		size, err := s.used(ctx, tx)
		if err != nil {
			return err
		}
		if size > s.options.MaxSize {
			if err := drop(ctx, tx, `SELECT seq FROM runs ORDER BY started LIMIT ?`, most); err != nil {
				return err
			}
		}
	}
	return giveBack(ctx, tx)
}

// drop deletes the runs whose numbers a SELECT finds.
func drop(ctx context.Context, tx *sql.Tx, which string, args ...any) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM records WHERE seq IN (`+which+`)`, args...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM runs WHERE seq IN (`+which+`)`, args...)
	return err
}

// used returns the bytes of the file that hold something.
func (s *Store) used(ctx context.Context, tx *sql.Tx) (int64, error) {
	var bytes int64
	err := tx.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&bytes)
	return bytes, err
}

// givenBack is how many pages go back to the file system at most at a time.
const givenBack = 200

// giveBack makes the file smaller where it has pages that hold nothing.
func giveBack(ctx context.Context, tx *sql.Tx) error {
	// A step gives back one page.
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", givenBack))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}
