package history

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

// maxRepos bounds what Repos lists.
const maxRepos = 1000

// Days returns the sums of each day that has runs, the oldest first: those
// of which since and until, where they are not zero, are not beyond, of the
// repository repo, or of all where it is empty. They count each run that was
// added, also those whose records were dropped for the file's size. The cost
// does not depend on how many runs there were.
func (s *Store) Days(ctx context.Context, since, until time.Time, repo string) ([]stats.Day, error) {
	var days []stats.Day
	var texts [][]byte
	first, last := int64(0), int64(1)<<40
	if !since.IsZero() {
		first = dayOf(since)
	}
	if !until.IsZero() {
		last = dayOf(until)
	}
	err := s.use(ctx, func(db *sql.DB) error {
		days, texts = nil, nil
		rows, err := db.QueryContext(ctx, `SELECT day, tally FROM days WHERE repo = ? AND day BETWEEN ? AND ? ORDER BY day`, clip(repo), first, last)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			var text sql.RawBytes
			if err := rows.Scan(&n, &text); err != nil {
				return err
			}
			days = append(days, stats.Day{Day: time.Unix(n*daySeconds, 0).UTC()})
			texts = append(texts, bytes.Clone(text))
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return s.tallies(days, texts), nil
}

// tallies reads the sums of days, on all processors: it is most of the work.
// Days whose sums can no longer be read are left out, with a warning.
func (s *Store) tallies(days []stats.Day, texts [][]byte) []stats.Day {
	broken := make([]error, len(days))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range days {
		group.Go(func() error {
			broken[i] = json.Unmarshal(texts[i], &days[i].Tally)
			return nil
		})
	}
	_ = group.Wait() // none of them returns one
	whole := days[:0]
	for i, d := range days {
		if broken[i] != nil {
			s.options.Warn(fmt.Sprintf("the sums of %s are passed over: %v", d.Day.Format(time.DateOnly), broken[i]))
			continue
		}
		whole = append(whole, d)
	}
	return whole
}

// Repos returns the repositories that runs were of, in the order of their
// names, a thousand at most.
func (s *Store) Repos(ctx context.Context) ([]string, error) {
	var repos []string
	err := s.use(ctx, func(db *sql.DB) error {
		repos = nil
		rows, err := db.QueryContext(ctx, `SELECT DISTINCT repo FROM days WHERE repo <> '' ORDER BY repo LIMIT ?`, maxRepos)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var repo string
			if err := rows.Scan(&repo); err != nil {
				return err
			}
			repos = append(repos, repo)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return repos, nil
}

const daySeconds = 24 * 60 * 60

// dayOf numbers the days, of UTC, since 1970.
func dayOf(t time.Time) int64 { return stats.DayOf(record.Run{Started: t}).Unix() / daySeconds }

// A sum is what a row of days is found by. All repositories together have the
// empty name.
type sum struct {
	day  int64
	repo string
}

// sumUp adds runs to the sums of their days, once for each sum.
func sumUp(ctx context.Context, tx *sql.Tx, runs []record.Run) error {
	sums := make(map[sum]*stats.Tally)
	for _, r := range runs {
		keys := []sum{{dayOf(r.Started), ""}}
		if r.Context.Repo != "" {
			keys = append(keys, sum{dayOf(r.Started), clip(r.Context.Repo)})
		}
		for _, key := range keys {
			if sums[key] == nil {
				sums[key] = new(stats.Tally)
			}
			sums[key].Add(r)
		}
	}
	for key, t := range sums {
		if err := addSum(ctx, tx, key, t); err != nil {
			return err
		}
	}
	return nil
}

func addSum(ctx context.Context, tx *sql.Tx, key sum, t *stats.Tally) error {
	var before string
	err := tx.QueryRowContext(ctx, `SELECT tally FROM days WHERE day = ? AND repo = ?`, key.day, key.repo).Scan(&before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var all stats.Tally
	if before != "" && json.Unmarshal([]byte(before), &all) != nil {
		all = stats.Tally{} // of no more use to anybody
	}
	all.Merge(*t)
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO days (day, repo, tally) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tally = excluded.tally`, key.day, key.repo, string(text))
	return err
}
