package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/record"
)

// chosen are the flags that choose runs.
type chosen struct {
	since, until, repo, branch, outcome, kind, strategy string
	limit                                               int
}

func (k *chosen) flags(c *cobra.Command) {
	c.Flags().StringVar(&k.since, "since", "", "of the time since `WHEN`: 12h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z")
	c.Flags().StringVar(&k.until, "until", "", "of the time before `WHEN`")
	c.Flags().StringVar(&k.repo, "repo", "", "of the repository `NAME`, as in github.com/acme/app")
	c.Flags().StringVar(&k.branch, "branch", "", "of the branch `NAME`")
	c.Flags().StringVar(&k.outcome, "outcome", "", "that ended so: "+strings.Join(outcomes(), ", "))
	c.Flags().StringVar(&k.kind, "kind", "", "build or check")
	c.Flags().StringVar(&k.strategy, "strategy", "", "whose last attempt was `NAME`: optimal, resilient, conservative, emergency")
	fixed(c, "outcome", outcomes()...)
	fixed(c, "kind", "build", "check")
	fixed(c, "strategy", "optimal", "resilient", "conservative", "emergency")
}

func outcomes() []string {
	all := make([]string, 0, len(exits)+1)
	for _, e := range exits {
		all = append(all, string(e.outcome))
	}
	return append(all, string(record.Checked))
}

// query reads the flags.
func (k chosen) query(now time.Time) (history.Query, error) {
	q := history.Query{Repo: k.repo, Branch: k.branch, Outcome: record.Outcome(k.outcome), Kind: record.Kind(k.kind), Strategy: k.strategy, Limit: k.limit}
	for _, w := range []struct {
		flag, word string
		known      []string
	}{{"outcome", k.outcome, outcomes()}, {"kind", k.kind, []string{"build", "check"}}} {
		if w.word != "" && !slices.Contains(w.known, w.word) {
			return q, &usageError{err: fmt.Errorf("--%s %s: allowed: %s", w.flag, w.word, strings.Join(w.known, ", "))}
		}
	}
	if k.limit < 0 {
		return q, &usageError{err: fmt.Errorf("--limit %d: want a number, or 0 for all", k.limit)}
	}
	var err error
	if q.Since, err = when("since", k.since, now); err != nil {
		return q, err
	}
	q.Until, err = when("until", k.until, now)
	return q, err
}

// when reads a time: how long ago, or which day or moment.
func when(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, &usageError{err: fmt.Errorf("--%s %s: want a time ago or a day: 12h, 30d, 2026-03-01, 2026-03-01T12:00:00Z", flag, text)}
}
