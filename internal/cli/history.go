package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

const historyLong = `List the builds and checks that were run on this machine, the newest first. Each
has an ID: outlast history show tells all of one.

The records are kept in history.path, without secrets, and are sent nowhere.

Exit codes:
  0    done, also where nothing is found
  1    the history cannot be read
  2    wrong usage or settings`

// withHistory opens the history of the settings for f.
func (a *app) withHistory(ctx context.Context, f func(*history.Store, config.Settings) error) error {
	loaded, err := a.settings([]string{"."})
	if err != nil {
		return err
	}
	s := loaded.Settings.History
	if s.Path == "" {
		return &usageError{err: errors.New("there is no folder for a history: neither HOME nor XDG_STATE_HOME is set"), hint: "name one: --set history.path=FOLDER"}
	}
	store, err := history.Open(ctx, s.Path, a.historyOptions(s))
	if err != nil {
		return &hintedError{err, "history.path in the settings says where it is"}
	}
	defer store.Close()
	return f(store, loaded.Settings)
}

func (a *app) historyCommand() *cobra.Command {
	var k chosen
	var format string
	c := &cobra.Command{
		Use:   "history",
		Short: "List the builds and checks that were run",
		Long:  historyLong,
		Example: `  outlast history
  outlast history --since 7d --outcome no-source
  outlast history --repo github.com/acme/app --branch main --limit 5 --format json
  outlast history show last`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			q, err := k.query(time.Now())
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(s *history.Store, _ config.Settings) error {
				runs, err := s.Runs(cmd.Context(), q)
				if err != nil {
					return err
				}
				return a.listRuns(runs, format)
			})
		},
	}
	k.flags(c)
	c.Flags().IntVar(&k.limit, "limit", 20, "no more than `N`; 0: all")
	formatFlag(c, &format, "text", "json")
	c.AddCommand(a.historyShow(), a.historyExport(), a.historyImport())
	return c
}

func (a *app) listRuns(runs []record.Run, format string) error {
	if format == "json" {
		return a.printJSON(append([]record.Run{}, runs...))
	}
	if len(runs) == 0 {
		if !a.quiet {
			a.say.plain("no runs are kept that are so")
		}
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if !a.quiet {
		fmt.Fprintln(w, "ID\tBEGAN\tKIND\tOUTCOME\tSTRATEGY\tSCORE\tTOOK\tTRIES\tWHERE")
	}
	for _, r := range runs {
		kind, score := record.KindBuild, "-"
		if r.Is(record.KindCheck) {
			kind = record.KindCheck
		}
		if len(r.Card.Categories) > 0 {
			score = fmt.Sprintf("%d%%", r.Card.Deciding())
		}
		cells := []string{r.ID[:min(len(r.ID), 10)], r.Started.Local().Format(time.DateTime), string(kind), string(r.Outcome), r.Strategy, score,
			r.Took().Round(100 * time.Millisecond).String(), strconv.Itoa(len(r.Attempts)), strings.TrimSpace(r.Context.Repo + " " + r.Context.Branch)}
		for i := range cells {
			cells[i] = strings.ReplaceAll(clean(cells[i]), "\t", " ")
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}
