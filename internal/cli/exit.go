package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// The exit codes, for good.
const (
	ExitBuilt       = 0
	ExitFailed      = 1   // the build itself failed: the user's to mend
	ExitUsage       = 2   // usage or settings
	ExitNoSource    = 3   // services failed and no source was left
	ExitNoEngine    = 4   // no usable engine
	ExitInterrupted = 130 // by Ctrl-C or a signal to end
)

// exits are the exit codes with the outcomes that they stand for, and their
// words in the help of a build and of other commands.
var exits = []struct {
	code    int
	outcome record.Outcome
	build   string
	other   string
}{
	{ExitBuilt, record.Built, "built", "done"},
	{ExitFailed, record.Failed, "the build itself failed: yours to mend", "failed"},
	{ExitUsage, record.BadUsage, "wrong usage or settings", "wrong usage or settings"},
	{ExitNoSource, record.NoSource, "services failed or hung, and no source was left", "what was asked does not answer"},
	{ExitNoEngine, record.NoEngine, "no usable engine", "the engine does not do as it should"},
	{ExitInterrupted, record.Interrupted, "interrupted", "interrupted"},
}

// kindCodes are the codes of errors that no outcome came with. What is not
// listed is 1.
var kindCodes = map[fault.Kind]int{
	fault.Config:      ExitUsage,
	fault.Engine:      ExitNoEngine,
	fault.Canceled:    ExitInterrupted,
	fault.DNS:         ExitNoSource,
	fault.Connection:  ExitNoSource,
	fault.Timeout:     ExitNoSource,
	fault.TLS:         ExitNoSource,
	fault.Outage:      ExitNoSource,
	fault.RateLimited: ExitNoSource,
	fault.HTML:        ExitNoSource,
	fault.Truncated:   ExitNoSource,
	fault.Corrupt:     ExitNoSource,
	fault.Rejected:    ExitNoSource,
}

// buildCodes lists the exit codes for the help of outlast build.
func buildCodes() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exits {
		fmt.Fprintf(&b, "\n  %-3d  %s", e.code, e.build)
	}
	return b.String()
}

// codes lists some exit codes for the help of another command.
func codes(some ...int) string { return codesWith(nil, some...) }

// codesWith is codes for a command that gives some of them words of its own.
func codesWith(own map[int]string, some ...int) string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exits {
		if slices.Contains(some, e.code) {
			fmt.Fprintf(&b, "\n  %-3d  %s", e.code, cmp.Or(own[e.code], e.other))
		}
	}
	return b.String()
}

// A usageError is a slip in the use of the command line.
type usageError struct {
	err  error
	hint string // may be empty
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// A toldError is the end of a build that has been told already.
type toldError struct {
	outcome record.Outcome
	err     error
}

func (e *toldError) Error() string { return e.err.Error() }
func (e *toldError) Unwrap() error { return e.err }

// A hintedError is a failure with what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// exitCode is the one place where errors become exit codes.
func exitCode(ctx context.Context, err error) int {
	var told *toldError
	var usage *usageError
	var settings *config.Error
	switch {
	case err == nil:
		return ExitBuilt
	case errors.As(err, &told):
		return outcomeCode(told.outcome)
	case errors.As(err, &usage), errors.As(err, &settings):
		return ExitUsage
	case ctx.Err() != nil:
		return ExitInterrupted
	}
	if code, ok := kindCodes[fault.Of(err)]; ok {
		return code
	}
	return ExitFailed
}

func outcomeCode(o record.Outcome) int {
	for _, e := range exits {
		if e.outcome == o {
			return e.code
		}
	}
	return ExitFailed
}

// messages are the lines that say what went wrong.
func messages(err error) []string {
	var settings *config.Error
	if errors.As(err, &settings) {
		return strings.Split(settings.Error(), "\n")
	}
	return strings.Split(strings.TrimSpace(err.Error()), "\n")
}

// hints are the lines that say what a person can do.
func hints(err error) []string {
	var usage *usageError
	var hinted *hintedError
	var settings *config.Error
	switch {
	case errors.As(err, &hinted):
		return []string{hinted.hint}
	case errors.As(err, &usage):
		if usage.hint == "" {
			return nil
		}
		return []string{usage.hint}
	case errors.As(err, &settings):
		return []string{"outlast config shows what is in force; outlast config --help lists every setting"}
	}
	var own interface{ Hint() string }
	if errors.As(err, &own) && own.Hint() != "" {
		return []string{own.Hint()}
	}
	if kind := fault.Of(err); kind != fault.Unknown && kind.Hint() != "" {
		return []string{kind.Hint()}
	}
	return nil
}
