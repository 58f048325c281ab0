package history_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

// measuredRuns is how many runs the file has whose answers are measured: 1500,
// or what OUTLAST_HISTORY_RUNS says. docs/history.md has the numbers
// of a million.
func measuredRuns(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("OUTLAST_HISTORY_RUNS"))
	if err != nil {
		return 1500
	}
	return n
}

// TestAnswersOfManyRuns measures questions to a year of runs, and the keeping
// of one more. Its limits are those of a million runs, which those of a few
// stay far below; what it prints is what docs/history.md has.
func TestAnswersOfManyRuns(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("writes a large file, and measures")
	}
	n := measuredRuns(t)
	own := min(n, maxOwn)
	dir := t.TempDir()
	s := bounded(t, dir, history.Options{})
	r := rand.New(rand.NewPCG(1, 1))
	var batch []record.Run
	gap := 365 * 24 * time.Hour / time.Duration(own)
	began := time.Now()
	for i := range own {
		if batch = append(batch, runs.Synthetic(r, begin.Add(time.Duration(i)*gap))); len(batch) == 1000 || i == own-1 {
			add(t, s, batch...)
			batch = nil
		}
	}
	multiply(t, s.Path(), own, n/own)
	t.Logf("%d runs added in %s, a thousand at a time", n, time.Since(began).Round(time.Second))
	for _, q := range []struct {
		name string
		ask  func() error
	}{
		{"stats of a year", func() error {
			days, err := s.Days(t.Context(), time.Time{}, time.Time{}, "")
			stats.Of(days)
			return err
		}},
		{"stats of a year, of a repository", func() error {
			days, err := s.Days(t.Context(), time.Time{}, time.Time{}, "git.example.com/acme/app3")
			stats.Of(days)
			return err
		}},
		{"the repositories", func() error { _, err := s.Repos(t.Context()); return err }},
		{"the newest 50", ask(t, s, history.Query{Limit: 50})},
		{"50 in the middle", ask(t, s, history.Query{Until: begin.AddDate(0, 6, 0), Limit: 50})},
		{"50 of an outcome", ask(t, s, history.Query{Outcome: record.NoEngine, Limit: 50})},
		{"50 of a repository and an outcome", ask(t, s, history.Query{Repo: "git.example.com/acme/app3", Outcome: record.NoEngine, Limit: 50})},
		{"50 of a branch and an outcome", ask(t, s, history.Query{Branch: "feat/7", Outcome: record.NoEngine, Limit: 50})},
		{"none of a repository", ask(t, s, history.Query{Repo: "git.example.com/acme/app3", Outcome: record.BadUsage, Limit: 50})},
		{"none of all fields", ask(t, s, history.Query{Repo: "git.example.com/acme/app3", Branch: "main", Outcome: record.Built, Kind: record.KindCheck, Strategy: "optimal", Limit: 50})},
		{"none of a kind and a strategy", ask(t, s, history.Query{Kind: record.KindCheck, Strategy: "none", Limit: 50})},
		{"the last", func() error { _, err := s.Get(t.Context(), history.Last); return err }},
	} {
		took := median(t, 5, q.ask)
		t.Logf("%-34s %s", q.name, took)
		if took.busy > 200*time.Millisecond {
			t.Errorf("%s kept the processors busy for %s, want less than 200ms", q.name, took.busy)
		}
	}
	one := median(t, 200, func() error {
		_, err := s.Add(t.Context(), runs.Synthetic(r, begin.AddDate(1, 0, 0)))
		return err
	})
	t.Logf("%-34s %s", "one more run is kept in", one)
	if one.busy > 5*time.Millisecond {
		t.Errorf("a run kept the processors busy for %s, want less than 5ms", one.busy)
	}
	fresh := median(t, 20, func() error {
		_, err := history.Keep(t.Context(), dir, history.Options{}, runs.Synthetic(r, begin.AddDate(1, 0, 0)))
		return err
	})
	t.Logf("%-34s %s", "with opening and closing the file", fresh)
	s.Close()
	info, err := os.Stat(filepath.Join(dir, history.FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%-34s %d (%d bytes each)", "bytes of the file", info.Size(), info.Size()/int64(n))
	// The sums of a day weigh as much for a few runs as for thousands.
	if each := info.Size() / int64(n); each > 6000 {
		t.Errorf("got %d bytes for each run, want less than 6000", each)
	}
}

// maxOwn is how many runs are added one by one. Of more, the rest are copies of
// them in the file, with other IDs and times; the sums of days are those of the
// first; BenchmarkAYear of package stats has those of a million.
const maxOwn = 20_000

func multiply(t *testing.T, path string, own, times int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for k := 1; k < times; k++ {
		for _, text := range []string{
			`INSERT INTO runs SELECT seq + ?1 * ?2, 'K' || ?1 || '-' || id, started + ?1 * 1000000, kind, outcome, repo, branch, strategy FROM runs WHERE seq <= ?2`,
			`INSERT INTO records SELECT seq + ?1 * ?2, data FROM records WHERE seq <= ?2`,
		} {
			if _, err := db.Exec(text, k, own); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func ask(t *testing.T, s *history.Store, q history.Query) func() error {
	return func() error { _, err := s.Runs(t.Context(), q); return err }
}

// times are how long something took, and how long it kept processors busy: the
// second is the same on a machine that does other things besides.
type times struct{ took, busy time.Duration }

func (d times) String() string {
	return fmt.Sprintf("%s (busy %s)", d.took.Round(10*time.Microsecond), d.busy.Round(10*time.Microsecond))
}

// median does something n times, and returns the medians.
func median(t *testing.T, n int, do func() error) times {
	t.Helper()
	var took, used []time.Duration
	for range n {
		began, before := time.Now(), busy(t)
		if err := do(); err != nil {
			t.Fatal(err)
		}
		took, used = append(took, time.Since(began)), append(used, busy(t)-before)
	}
	slices.Sort(took)
	slices.Sort(used)
	return times{took[n/2], used[n/2]}
}

// busy is how long processors worked for this process.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
