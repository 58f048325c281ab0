package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

const diagnoseLong = `Read the log of a failed build, of any builder and any CI system, and say what
failed, why it is thought so, and whether another try or another route can help.
The log may be long, coloured, and dressed as GitHub, GitLab, Jenkins or compose
dress lines. Nothing is executed, opened or sent anywhere.

With --batch, FILE has a JSON object with id and text in each line; for each, in
order, a line with the same id and the diagnosis is written.`

const diagnoseCodes = `Exit codes:
  0    diagnosed, whatever the cause
  1    the log, or a line of a batch, could not be read
  2    wrong usage`

const diagnoseExample = `  outlast diagnose build.log
  docker buildx build . 2>&1 | outlast diagnose -
  gh run view --log-failed | outlast diagnose -
  outlast diagnose --format json build.log
  outlast diagnose --batch failures.jsonl`

func (a *app) diagnoseCommand() *cobra.Command {
	var format, batch string
	c := &cobra.Command{
		Use:     "diagnose FILE | -",
		Short:   "Say why a build failed, from its log",
		Long:    diagnoseLong + "\n\n" + diagnoseCodes,
		Example: diagnoseExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			if cmd.Flags().Changed("batch") {
				return a.diagnoseBatch(batch, args)
			}
			return a.diagnose(args, format)
		},
	}
	formatFlag(c, &format, "text", "json")
	c.Flags().StringVar(&batch, "batch", "", "diagnose each object of the JSON lines in `FILE` (- is standard input)")
	return c
}

const diagnoseHint = "give the log's FILE, or pipe it in: docker buildx build . 2>&1 | outlast diagnose -"

// open opens what an argument names: a file, or standard input, but for a
// terminal, where nobody knows that they are waited for.
func (a *app) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return f, nil
}

func (a *app) diagnose(args []string, format string) error {
	name := "-"
	if len(args) > 0 {
		name = args[0]
	}
	if name == "-" && a.fromTerminal() {
		return &usageError{errors.New("there is no log: standard input is a terminal"), diagnoseHint}
	}
	log, err := a.open(name)
	if err != nil {
		return err
	}
	defer log.Close()
	d, err := diagnose.Read(log)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if format == "json" {
		return a.printJSON(d)
	}
	return a.tellDiagnosis(d)
}

// fromTerminal reports whether standard input is a terminal.
func (a *app) fromTerminal() bool {
	f, ok := a.stdin.(*os.File)
	return ok && terminal(f)
}

// tellDiagnosis tells a person, in ten lines at most.
func (a *app) tellDiagnosis(d diagnose.Diagnosis) error {
	paint := func(color, s string) string {
		if colored(a.stdout, a.getenv) {
			return color + s + reset
		}
		return s
	}
	var b strings.Builder
	say := func(head, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s%s\n", head, text)
		}
	}
	say("failed:", paint(red, what(d)))
	if d.Evidence.Line > 0 {
		say("because:", fmt.Sprintf("line %d: %s", d.Evidence.Line, clean(d.Evidence.Text)))
	}
	say("whose:", whose(d))
	say("again:", again(d))
	say("instead:", instead(d))
	say("do:", paint(cyan, d.Hint))
	say("sure:", sure(d))
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// what names what failed: the service, the endpoint and the kind.
func what(d diagnose.Diagnosis) string {
	if d.Kind == fault.Unknown {
		return "the cause is not known"
	}
	s := d.Service
	if d.Endpoint != "" && !d.UserError {
		s += " (" + clean(d.Endpoint) + ")"
	}
	return s + ": " + string(d.Kind)
}

func whose(d diagnose.Diagnosis) string {
	if d.UserError {
		return "yours: the files, settings or credentials of this build"
	}
	if d.Kind == fault.Unknown {
		return ""
	}
	return "not yours"
}

func again(d diagnose.Diagnosis) string {
	switch {
	case d.Retryable:
		return "the same build may pass within the hour"
	case d.Kind == fault.Unknown:
		return "nothing says that another try would help"
	}
	return "another try, unchanged, will fail in the same way"
}

func instead(d diagnose.Diagnosis) string {
	if d.FallbackHelps {
		return "another route would pass now: a mirror, no cache, no saved login, or more room"
	}
	return ""
}

func sure(d diagnose.Diagnosis) string {
	if d.Pattern == "" {
		return ""
	}
	return fmt.Sprintf("%.0f %% (pattern %s)", 100*d.Confidence, d.Pattern)
}

// A batched diagnosis is a line of the answer to --batch. The id is written as
// it came: a string or a number.
type batched struct {
	ID json.RawMessage `json:"id"`
	diagnose.Diagnosis
}

// maxTold bounds the lines of a batch that are named one by one as wrong.
const maxTold = 20

// diagnoseBatch diagnoses each line of a file. A line that is no such object
// is named, and takes no other with it.
func (a *app) diagnoseBatch(name string, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("--batch %s and %s: want one of them", name, args[0]), "see outlast diagnose --help"}
	}
	if name == "" || name == "-" && a.fromTerminal() {
		return &usageError{errors.New("--batch needs a FILE"), "a file of JSON lines with id and text, or - and a pipe"}
	}
	in, err := a.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	var wrong []error
	err = eachLine(bufio.NewReaderSize(in, 1<<16), func(n int, line []byte) error {
		b, err := diagnoseLine(line)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", name, n, err))
			return nil
		}
		return enc.Encode(b)
	})
	if more := len(wrong) - maxTold; more > 0 {
		wrong = append(wrong[:maxTold], fmt.Errorf("and %d lines more", more))
	}
	return errors.Join(append(wrong, err)...)
}

func diagnoseLine(line []byte) (batched, error) {
	var in struct {
		ID   json.RawMessage `json:"id"`
		Text *string         `json:"text"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return batched{}, fmt.Errorf("want a JSON object with id and text: %w", err)
	}
	if in.ID == nil || in.Text == nil {
		return batched{}, errors.New("want a JSON object with id and text")
	}
	d, err := diagnose.Read(strings.NewReader(*in.Text))
	return batched{in.ID, d}, err
}

// maxBatchLine bounds a line of a batch: a log of 200 MB, escaped.
const maxBatchLine = 512 << 20

// eachLine calls f with each line of r that is not blank, and its number.
func eachLine(r *bufio.Reader, f func(n int, line []byte) error) error {
	var line []byte
	for n := 1; ; {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxBatchLine {
			return fmt.Errorf("line %d is longer than %d MiB", n, maxBatchLine>>20)
		}
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read line %d: %w", n, err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if err := f(n, line); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		line, n = line[:0], n+1
	}
}
