package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
)

func (a *app) historyExport() *cobra.Command {
	var k chosen
	c := &cobra.Command{
		Use:   "export",
		Short: "Write runs as JSON lines",
		Long: `Write runs as JSON lines to standard output, the newest first: for another
machine's outlast history import, where this one's disk goes with its job.

Exit codes:
  0    done
  1    the history cannot be read, or the lines cannot be written
  2    wrong usage or settings`,
		Example: `  outlast history export > runs.jsonl
  outlast history export --since 1h | ssh ci.example.com outlast history import -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := k.query(time.Now())
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(s *history.Store, _ config.Settings) error {
				w := bufio.NewWriter(a.stdout)
				lines := json.NewEncoder(w)
				if err := s.Each(cmd.Context(), q, func(r record.Run) error { return lines.Encode(r) }); err != nil {
					return err
				}
				return w.Flush()
			})
		},
	}
	k.flags(c)
	c.Flags().IntVar(&k.limit, "limit", 0, "no more than `N`; 0: all")
	return c
}

func (a *app) historyImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE | -",
		Short: "Read runs that outlast history export wrote",
		Long: `Read runs from the JSON lines that outlast history export wrote. A run that is
known by its ID already is passed over: to import twice changes nothing. What
looks like a secret is taken out once more. A line that is no run, or is longer
than a record may be (1 MiB), is named and passed over.

Exit codes:
  0    done
  1    some lines are no runs, or the history cannot be written
  2    wrong usage or settings`,
		Example: `  outlast history import runs.jsonl
  cat */runs.jsonl | outlast history import -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			return a.withHistory(cmd.Context(), func(s *history.Store, _ config.Settings) error { return a.importRuns(cmd.Context(), s, f) })
		},
	}
}

// What an import takes at a time, and tells of what it does not take.
const (
	importBatch  = 200
	importedLine = history.MaxRecord + 1<<10 // a record with a line's end
	toldLines    = 5
)

// importRuns adds the runs of r's lines.
func (a *app) importRuns(ctx context.Context, s *history.Store, r io.Reader) error {
	var batch []record.Run
	read, added, bad := 0, 0, 0
	flush := func() error {
		n, err := s.Add(ctx, batch...)
		read, added, batch = read+len(batch), added+n, nil
		return err
	}
	lines := bufio.NewReaderSize(r, importedLine)
	for number := 1; ; number++ {
		run, err := readRun(lines)
		if err == io.EOF {
			break
		}
		var broken *lineError
		switch {
		case errors.As(err, &broken):
			if bad++; bad <= toldLines {
				a.say.warning(fmt.Sprintf("line %d is passed over: %v", number, broken.err))
			}
		case err != nil:
			return fmt.Errorf("read runs: %w", err)
		case run.ID != "":
			batch = append(batch, run)
		}
		if len(batch) == importBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if !a.quiet {
		fmt.Fprintf(a.stdout, "%d runs read, %d of them new\n", read, added)
	}
	if bad > 0 {
		return fmt.Errorf("%d lines are no runs", bad)
	}
	return nil
}

// A lineError is what is wrong with one line; those behind it can be read.
type lineError struct{ err error }

func (e *lineError) Error() string { return e.err.Error() }

// readRun reads the run in the next line; an empty line is none. It returns
// io.EOF at the end.
func readRun(lines *bufio.Reader) (record.Run, error) {
	line, err := lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		return record.Run{}, &lineError{errors.New("it is too long")}
	}
	line = bytes.TrimSpace(line)
	if err != nil && (err != io.EOF || len(line) == 0) {
		return record.Run{}, err
	}
	if len(line) == 0 {
		return record.Run{}, nil
	}
	var run record.Run
	if err := json.Unmarshal(line, &run); err != nil {
		return record.Run{}, &lineError{err}
	}
	if err := history.Valid(run); err != nil {
		return record.Run{}, &lineError{err}
	}
	return run.Redacted(redact.Text), nil
}
