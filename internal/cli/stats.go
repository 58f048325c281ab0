package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/advise"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

const statsLong = `Tell what the builds and checks of some time were like: how many were built, by
strategy and how long they took, what outages would have cost, which further
attempts helped, what caches and services are worth, and what to change.

The numbers are those of whole days, of UTC: --since 12h begins with the day
that 12 hours ago was. docs/history.md says what each of them means.

Exit codes:
  0    done
  1    the history cannot be read
  2    wrong usage or settings`

const adviseLong = `Say what the history of builds speaks for changing: mirrors, second sources,
caches, timeouts, base images, steps, logins. Each comes with its evidence in
numbers and the change as it is typed. Where there are few builds, nothing is
recommended. docs/history.md has the thresholds.

Exit codes:
  0    done, whatever there is to change
  1    the history cannot be read
  2    wrong usage or settings`

// span are the flags of a span of days.
type span struct{ since, until, repo, format string }

func (s *span) flags(c *cobra.Command, since string, formats ...string) {
	c.Flags().StringVar(&s.since, "since", since, "since the day of `WHEN`: 12h, 30d, 2026-03-01")
	c.Flags().StringVar(&s.until, "until", "", "up to the day of `WHEN`")
	c.Flags().StringVar(&s.repo, "repo", "", "of the repository `NAME`, as in github.com/acme/app")
	formatFlag(c, &s.format, formats...)
}

func (a *app) statsCommand() *cobra.Command {
	var s span
	c := &cobra.Command{
		Use:   "stats",
		Short: "Tell how builds went, and what outages would have cost",
		Long:  statsLong,
		Example: `  outlast stats
  outlast stats --since 90d --repo github.com/acme/app
  outlast stats --since 7d --format md >> "$GITHUB_STEP_SUMMARY"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.numbers(cmd.Context(), s, report.NumberFormats(), func(n report.Numbers) error { return n.Write(a.stdout, s.format) })
		},
	}
	s.flags(c, "30d", report.NumberFormats()...)
	return c
}

func (a *app) adviseCommand() *cobra.Command {
	var s span
	c := &cobra.Command{
		Use:   "advise",
		Short: "Say what the history of builds speaks for changing",
		Long:  adviseLong,
		Example: `  outlast advise
  outlast advise --since 30d --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.numbers(cmd.Context(), s, []string{"text", "json"}, func(n report.Numbers) error {
				if s.format == "json" {
					return a.printJSON(n.Advice)
				}
				return report.WriteAdvice(a.stdout, n.Advice)
			})
		},
	}
	s.flags(c, "90d", "text", "json")
	return c
}

// numbers hands the numbers of a span of days to f.
func (a *app) numbers(ctx context.Context, s span, formats []string, f func(report.Numbers) error) error {
	if err := formatAllowed(s.format, formats...); err != nil {
		return err
	}
	now := time.Now()
	since, err := when("since", s.since, now)
	if err != nil {
		return err
	}
	until, err := when("until", s.until, now)
	if err != nil {
		return err
	}
	return a.withHistory(ctx, func(store *history.Store, settings config.Settings) error {
		days, err := store.Days(ctx, since, until, s.repo)
		if err != nil {
			return err
		}
		return f(report.Numbers{Summary: stats.Of(days), Advice: advise.Of(adviceInput(stats.Sum(days), settings))})
	})
}

// adviceInput is what advice depends on.
func adviceInput(t stats.Tally, s config.Settings) advise.Input {
	in := advise.Input{Tally: t, Mirrors: make(map[string][]string), Timeouts: make(map[string]time.Duration)}
	for host, r := range s.Registries {
		for _, m := range r.Mirrors {
			in.Mirrors[host] = append(in.Mirrors[host], m.URL)
		}
	}
	for strategy, level := range outlast.Levels(s) {
		in.Timeouts[string(strategy)] = level.Timeout
	}
	return in
}
