package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// application marks the file as ours, in SQLite's application_id: "OuLa".
const application = 0x4f754c61

// migrations make the schema of version n from that of n-1; the file's
// user_version says how many it has seen. One that was released never changes.
var migrations = []string{
	// The lists and the filters read runs and its indexes alone; a record's
	// bytes stand in a table of their own, so that they are not waded through.
	`CREATE TABLE runs (
		seq      INTEGER PRIMARY KEY,
		id       TEXT    NOT NULL UNIQUE,
		started  INTEGER NOT NULL, -- microseconds since 1970
		kind     TEXT    NOT NULL,
		outcome  TEXT    NOT NULL,
		repo     TEXT    NOT NULL,
		branch   TEXT    NOT NULL,
		strategy TEXT    NOT NULL
	) STRICT;
	-- Each filter has an index, which has the other fields besides: whoever asks
	-- for several, and for what hardly ever was, reads no more than one of them.
	CREATE INDEX by_time     ON runs (started);
	CREATE INDEX by_repo     ON runs (repo, started, outcome, kind, strategy, branch);
	CREATE INDEX by_branch   ON runs (branch, started, outcome, kind, strategy, repo);
	CREATE INDEX by_outcome  ON runs (outcome, started, kind, strategy);
	CREATE INDEX by_kind     ON runs (kind, started, outcome, strategy);
	CREATE INDEX by_strategy ON runs (strategy, started, kind, outcome);
	CREATE TABLE records (
		seq  INTEGER PRIMARY KEY REFERENCES runs,
		data BLOB NOT NULL -- of a record.Run, as codec.go writes it
	) STRICT;
	CREATE TABLE days (
		day   INTEGER NOT NULL, -- since 1970, of UTC
		repo  TEXT    NOT NULL, -- empty: all together
		tally TEXT    NOT NULL, -- a stats.Tally as JSON
		PRIMARY KEY (repo, day)
	) STRICT;`,
}

// What makes a file no history of ours, or one that this program cannot know.
var (
	errForeign = errors.New("it is another program's")
	errNewer   = errors.New("a newer version of outlast wrote it")
	errLacking = errors.New("it lacks what a history has")
)

// version returns how many migrations db has seen; 0 is a new file.
func version(ctx context.Context, db *sql.DB) (int, error) {
	var app, seen, objects int
	row := db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`)
	if err := row.Scan(&app, &seen, &objects); err != nil {
		return 0, err
	}
	switch {
	case app == 0 && seen == 0 && objects == 0:
		return 0, nil
	case app != application || seen < 1:
		return 0, errForeign
	case seen > len(migrations):
		return seen, errNewer
	}
	return seen, nil
}

// migrate brings db from version seen to the newest.
func migrate(ctx context.Context, db *sql.DB, seen int) error {
	if seen == 0 {
		// Both can only be said before the first table, and outside of a transaction.
		for _, pragma := range []string{"auto_vacuum = INCREMENTAL", "journal_mode = WAL"} {
			if _, err := db.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
				return err
			}
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, m := range migrations[seen:] {
		if _, err := tx.ExecContext(ctx, m); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", application, len(migrations))); err != nil {
		return err
	}
	return tx.Commit()
}

// complete reports, as an error, what db lacks of the newest schema.
func complete(ctx context.Context, db *sql.DB) error {
	stmt, err := db.PrepareContext(ctx, `SELECT r.seq, r.id, r.started, r.kind, r.outcome, r.repo, r.branch, r.strategy, d.seq, d.data, t.day, t.repo, t.tally FROM runs r, records d, days t`)
	if err == nil {
		return stmt.Close()
	}
	if code(err) == generic {
		return errLacking
	}
	return err
}
