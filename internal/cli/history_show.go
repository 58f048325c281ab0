package cli

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/report"
)

// showFormats are the formats of a report that a terminal or a pipe takes.
var showFormats = []string{"text", "json", "markdown", "html"}

func (a *app) historyShow() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Tell all of one run",
		Long: `Tell all of one run. The beginning of an ID is enough where no other begins so;
last is the newest.

Exit codes:
  0    done
  1    no run, or several, have an ID that begins so
  2    wrong usage or settings`,
		Example: `  outlast history show last
  outlast history show 3F7K --format html > report.html`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, showFormats...); err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(s *history.Store, _ config.Settings) error {
				run, err := s.Get(cmd.Context(), args[0])
				switch {
				case errors.Is(err, history.ErrAmbiguous):
					return &hintedError{err, "give more of it"}
				case errors.Is(err, fs.ErrNotExist):
					return &hintedError{err, "outlast history lists them"}
				case err != nil:
					return err
				}
				for _, f := range report.Formats() {
					if f.Name == format {
						return f.Write(a.stdout, report.Page{Run: run})
					}
				}
				return nil
			})
		},
	}
	formatFlag(c, &format, showFormats...)
	return c
}

// completeRuns completes the IDs of the newest runs.
func (a *app) completeRuns(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ids := []string{history.Last}
	_ = a.withHistory(cmd.Context(), func(s *history.Store, _ config.Settings) error {
		runs, err := s.Runs(cmd.Context(), history.Query{Limit: 20})
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		return err
	})
	return ids, cobra.ShellCompDirectiveNoFileComp
}
