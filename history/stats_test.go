package history_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/stats"
)

// TestSumsEqualASlowLookAtEachRecord draws runs, adds them in another order
// than that of their times, exports them and counts again, one by one.
func TestSumsEqualASlowLookAtEachRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	s := open(t, t.TempDir(), nil)
	var all []record.Run
	for n := range 1500 {
		all = append(all, runs.Synthetic(r, begin.Add(time.Duration(n)*17*time.Minute)))
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for chunk := range slices.Chunk(all, 97) {
		add(t, s, chunk...)
		add(t, s, chunk[0]) // that it is known already changes nothing
	}
	since, repo := begin.AddDate(0, 0, 5), "git.example.com/acme/app3"
	for _, of := range []struct {
		name  string
		since time.Time
		repo  string
	}{{"all", time.Time{}, ""}, {"since a day", since, ""}, {"of a repository", since, repo}} {
		t.Run(of.name, func(t *testing.T) {
			days, err := s.Days(t.Context(), of.since, time.Time{}, of.repo)
			if err != nil {
				t.Fatal(err)
			}
			var exported []record.Run
			q := history.Query{Since: of.since.Truncate(24 * time.Hour), Repo: of.repo}
			if of.since.IsZero() {
				q.Since = of.since
			}
			if err := s.Each(t.Context(), q, func(r record.Run) error { exported = append(exported, r); return nil }); err != nil {
				t.Fatal(err)
			}
			compare(t, exported, stats.Of(days))
		})
	}
}

// compare counts runs again, and wants what got says.
func compare(t *testing.T, all []record.Run, got stats.Summary) {
	t.Helper()
	builds := slices.DeleteFunc(slices.Clone(all), func(r record.Run) bool { return r.Kind == record.KindCheck })
	if got.Builds != len(builds) || got.Checks != len(all)-len(builds) || len(builds) < 20 {
		t.Errorf("got %d builds and %d checks, want %d of %d", got.Builds, got.Checks, len(builds), len(all))
	}
	for _, row := range got.Strategies {
		var took []time.Duration
		want := stats.StrategyRow{Strategy: row.Strategy, Median: row.Median, P90: row.P90}
		for _, r := range builds {
			if r.Strategy != row.Strategy {
				continue
			}
			want.Builds++
			switch r.Outcome {
			case record.Built:
				want.Built++
				took = append(took, r.Ended.Sub(r.Started))
			case record.NoSource, record.NoEngine:
				want.Lost++
			case record.Failed:
				want.Users++
			}
		}
		want.Success = float64(want.Built) / float64(want.Built+want.Lost)
		if diff := cmp.Diff(want, row); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		near(t, row.Strategy+", median", took, 0.5, row.Median)
		near(t, row.Strategy+", p90", took, 0.9, row.P90)
	}
	score, least := 0, 100
	for _, r := range all {
		score += r.Card.Deciding()
		least = min(least, r.Card.Deciding())
	}
	if want := (stats.ScoreRow{Runs: len(all), Mean: float64(score) / float64(len(all)), Least: least}); got.Score != want {
		t.Errorf("got %+v, want %+v", got.Score, want)
	}
	if want := slowOutages(builds); got.Outages != want {
		t.Errorf("got %+v, want %+v", got.Outages, want)
	}
	for _, row := range got.Retries {
		want := stats.RetryRow{After: row.After}
		var spent time.Duration
		for _, r := range builds {
			for i := 1; i < len(r.Attempts); i++ {
				if r.Attempts[i-1].Diagnosis.Kind != row.After {
					continue
				}
				want.Tried++
				if a := r.Attempts[i]; a.Kind == "" {
					want.Helped++
				} else {
					spent += a.Ended.Sub(a.Started) + a.Waited
				}
			}
		}
		if want.Spent = spent.Milliseconds(); row != want {
			t.Errorf("got %+v, want %+v", row, want)
		}
	}
	for _, row := range got.Caches {
		var took []time.Duration
		steps, hits := 0, 0
		for _, r := range builds {
			for _, a := range r.Attempts {
				if a.Kind == "" && (slices.Contains(a.Caches, row.Tier) || row.Tier == stats.NoCache && len(a.Caches) == 0) {
					took = append(took, a.Ended.Sub(a.Started))
					steps, hits = steps+a.Steps, hits+a.Cached
				}
			}
		}
		if row.Attempts != len(took) || row.Hits != float64(hits)/float64(steps) {
			t.Errorf("%s: got %+v, want %d attempts, %d of %d steps", row.Tier, row, len(took), hits, steps)
		}
		near(t, row.Tier, took, 0.5, row.Median)
	}
	for _, row := range got.Services {
		asked, bytes, bad, rated := 0, int64(0), 0, 0
		for _, r := range builds {
			for _, s := range r.Services {
				if s.Endpoint == row.Endpoint && s.Serves == row.Serves {
					asked, bytes, rated = asked+s.Asked, bytes+s.Bytes, rated+s.Asked-s.GivenUp
					for k, n := range s.Failed {
						if k != fault.NotFound {
							bad += n
						}
					}
				}
			}
		}
		for _, r := range all {
			for _, c := range r.Card.Categories {
				for _, k := range c.Checks {
					if k.Host == row.Endpoint && k.For == row.Serves {
						if rated++; !k.OK {
							bad++
						}
					}
				}
			}
		}
		if want := 1 - float64(bad)/float64(rated); row.Asked != asked || row.Bytes != bytes || math.Abs(row.Availability-want) > 1e-12 {
			t.Errorf("got %+v, want %d asked, %d bytes, availability %g", row, asked, bytes, want)
		}
	}
}

func slowOutages(builds []record.Run) stats.Outages {
	var o stats.Outages
	for _, r := range builds {
		lost, failed, out := 0, false, false
		for _, a := range r.Attempts {
			if a.Kind != "" && a.Diagnosis.Retryable {
				lost++
			}
		}
		for _, s := range r.Services {
			bad := 0
			for k, n := range s.Failed {
				if k != fault.NotFound {
					bad += n
				}
			}
			failed = failed || bad > 0 || s.GivenUp == s.Asked
			out = out || s.Origin && (bad+s.GivenUp == s.Asked)
		}
		o.AttemptsLost += lost
		if failed || lost > 0 || r.Outcome == record.NoSource {
			o.Met++
			if r.Outcome == record.Built {
				o.Survived++
				if out || lost > 0 {
					o.Saved++
				}
				if out && lost == 0 {
					o.AttemptsSaved++
				}
			}
		}
	}
	return o
}

// near wants a quantile of times, exact to 2.2 percent and the rounding to
// milliseconds.
func near(t *testing.T, name string, times []time.Duration, q float64, got int64) {
	t.Helper()
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	want := float64(times[max(1, int(math.Ceil(q*float64(len(times)))))-1]) / 1e6
	if math.Abs(float64(got)-want) > 0.0225*want+1 {
		t.Errorf("%s: got %d ms, want %.0f ms within 2.2 percent", name, got, want)
	}
}

func TestDaysAndRepos(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	a, b, none := run(0), run(24*60), run(3*24*60)
	b.Context.Repo, none.Context.Repo = "example.com/'other'", ""
	add(t, s, a, b, none)
	repos, err := s.Repos(t.Context())
	if err != nil || strings.Join(repos, " ") != "example.com/'other' example.com/app" {
		t.Errorf("got %q, %v", repos, err)
	}
	for _, tt := range []struct {
		name         string
		since, until time.Time
		repo         string
		want         int
	}{
		{"all", time.Time{}, time.Time{}, "", 3},
		{"since the second, at its end", b.Started.Add(11 * time.Hour), time.Time{}, "", 2},
		{"until the second, at its beginning", time.Time{}, b.Started.Add(-12 * time.Hour), "", 2},
		{"of a repository", time.Time{}, time.Time{}, "example.com/'other'", 1},
		{"of none", time.Time{}, time.Time{}, "example.com/none", 0},
	} {
		days, err := s.Days(t.Context(), tt.since, tt.until, tt.repo)
		if err != nil || len(days) != tt.want {
			t.Errorf("%s: got %d days, %v, want %d", tt.name, len(days), err, tt.want)
		}
	}
}
