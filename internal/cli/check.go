package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/plan"
	"github.com/outlast-build/outlast/report"
)

const checkLong = `Ask the services that builds depend on whether they are well, and say which
strategy a build would use. Each is asked for what a build would ask for: a
registry for a token and a manifest's bytes, a Go module proxy for a version, the
Actions cache for an entry, the resolver for names. All are asked at once, within
probe.budget (2s, or HEALTH_CHECK_TIMEOUT). A web page is no answer of an API,
whatever its status.

With PATH, a folder with a Dockerfile or a Dockerfile, what the build needs is
marked and decides the strategy; the other services are shown. Without, all do.
❌ is a service that is down and needed, ⚠️ one that is down or says no.

Each look gets a manifest from every registry. Docker Hub counts that as a pull.

Exit codes:
  0    done; also when Ctrl-C ends --watch
  1    the services that decide are below --fail-under
  2    wrong usage, settings or Dockerfile
  130  interrupted`

// shortestWatch keeps looks apart: they are requests to other people's
// services.
const shortestWatch = 5 * time.Second

// check is one run of outlast check.
type check struct {
	path      string
	format    string
	failUnder int
	watch     time.Duration
	unkept    bool
}

func (a *app) checkCommand() *cobra.Command {
	var k check
	c := &cobra.Command{
		Use:   "check [PATH]",
		Short: "Measure the services that builds depend on",
		Long:  checkLong,
		Example: `  outlast check                       every service
  outlast check .                     what the Dockerfile here needs decides
  outlast check deploy/Dockerfile --format json
  outlast check --fail-under 60 && make release
  outlast check --watch 30s`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				k.path = args[0]
			}
			if err := k.allowed(cmd.Flags().Changed("watch")); err != nil {
				return err
			}
			var flags []config.Flag
			if k.unkept {
				flags = append(flags, config.Flag{Name: "--no-history", Key: "history.keep", Value: "false"})
			}
			loaded, err := a.settings(k.projects(), flags...)
			if err != nil {
				return err
			}
			return a.check(cmd.Context(), k, loaded.Settings)
		},
	}
	c.Flags().IntVar(&k.failUnder, "fail-under", 0, "end with 1 if the percent that decides is under `N`")
	c.Flags().DurationVar(&k.watch, "watch", 0, "look again and again, with `TIME` in between, until Ctrl-C")
	c.Flags().BoolVar(&k.unkept, "no-history", false, "keep no record of this check")
	formatFlag(c, &k.format, "text", "json")
	return c
}

func (k check) allowed(watch bool) error {
	switch {
	case k.failUnder < 0 || k.failUnder > 100:
		return &usageError{err: fmt.Errorf("--fail-under %d: want a percent, 0 to 100", k.failUnder)}
	case watch && k.watch < shortestWatch:
		return &usageError{err: fmt.Errorf("--watch %s: want %s or more", k.watch, shortestWatch)}
	case watch && k.failUnder > 0:
		return &usageError{err: errors.New("--watch goes on until Ctrl-C: it does not go with --fail-under")}
	}
	return formatAllowed(k.format, "text", "json")
}

// projects are the folders that may hold the project's settings.
func (k check) projects() []string {
	if k.path == "" {
		return []string{"."}
	}
	if info, err := os.Stat(k.path); err == nil && !info.IsDir() {
		return projects(k.path, filepath.Dir(k.path))
	}
	return projects("", k.path)
}

func (a *app) check(ctx context.Context, k check, s config.Settings) error {
	ctx, _, stop := interrupts(ctx)
	defer stop()
	after := time.After
	if a.parts.After != nil {
		after = a.parts.After
	}
	for {
		card, err := a.parts.Check(ctx, CheckRequest{Path: k.path, Env: a.env, Settings: s})
		if ctx.Err() != nil {
			return k.ended(ctx)
		}
		if err != nil {
			return &usageError{err: err}
		}
		strategy := s.Build.Strategy // the user's own word decides, whatever the health
		if strategy == "auto" || strategy == "" {
			strategy = string(outlast.Levels(s).For(card.Deciding()))
		}
		if err := a.printCard(k, card, strategy); err != nil {
			return err
		}
		a.keepCheck(k, card, strategy, s.History)
		if k.watch == 0 {
			return a.under(k, card)
		}
		select {
		case <-after(k.watch):
		case <-ctx.Done():
			return nil
		}
	}
}

// ended is how an interrupt ends a look: that of a watch is how it is meant to
// end.
func (k check) ended(ctx context.Context) error {
	if k.watch > 0 {
		return nil
	}
	return context.Cause(ctx)
}

// errUnder is the end of a check whose services do too badly.
type errUnder struct{ got, want int }

func (e *errUnder) Error() string {
	return fmt.Sprintf("the services are at %d%%, under the %d%% of --fail-under", e.got, e.want)
}

func (a *app) under(k check, card health.Scorecard) error {
	if got := card.Deciding(); got < k.failUnder {
		return &errUnder{got, k.failUnder}
	}
	return nil
}

// clearScreen sends the cursor home and empties the screen.
const clearScreen = "\x1b[H\x1b[2J"

func (a *app) printCard(k check, card health.Scorecard, strategy string) error {
	if k.format == "json" {
		return a.printJSON(report.ScorecardOf(card, strategy))
	}
	color := colored(a.stdout, a.getenv)
	if k.watch > 0 && terminal(a.stdout) {
		io.WriteString(a.stdout, clearScreen)
	}
	if k.watch > 0 {
		fmt.Fprintf(a.stdout, "%s, every %s\n", card.Taken.Format(time.TimeOnly), k.watch)
	}
	if !a.quiet {
		for _, l := range report.Scorecard(card) {
			fmt.Fprintln(a.stdout, string(l.Mark)+" "+painted(clean(l.Text), markColors[l.Mark], color))
		}
	}
	lines := report.Score(card, strategy)
	_, err := fmt.Fprintf(a.stdout, "%s\n%s\n", lines[0], painted(lines[1], strategyColors[plan.Strategy(strategy)], color))
	return err
}

var markColors = map[report.Mark]string{report.Uneasy: yellow, report.Down: red}

var strategyColors = map[plan.Strategy]string{plan.Optimal: green, plan.Resilient: yellow, plan.Conservative: yellow, plan.Emergency: red}

// painted puts a colour around text, where there are colours.
func painted(text, color string, colors bool) string {
	if !colors || color == "" {
		return text
	}
	return color + text + reset
}
