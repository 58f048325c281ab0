package outlast

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/record"
)

// A NoSourceError says what a build needed and no source could give, although
// nobody who knows said that it does not exist.
type NoSourceError struct {
	Missing []*fetch.Failure
	Offline bool  // no source was asked
	Err     error // what the engine made of it
}

// Error names what is missing. Sources has the details.
func (e *NoSourceError) Error() string {
	names := make([]string, len(e.Missing))
	for i, f := range e.Missing {
		names[i] = f.Name
	}
	slices.Sort(names)
	if e.Offline {
		return strings.Join(names, ", ") + ": not in the local store, and this build is offline"
	}
	return strings.Join(names, ", ") + ": no source was left"
}

// Hint says what to do about it, or nothing.
func (e *NoSourceError) Hint() string {
	if e.Offline {
		return "outlast warm fetches a build's images into the local store while there is a network, and a build leaves its packages there"
	}
	return ""
}

// Unwrap returns the error of the engine.
func (e *NoSourceError) Unwrap() error { return e.Err }

// Sources returns a line for each source that was asked: what was wrong with
// it.
func (e *NoSourceError) Sources() []string {
	var lines []string
	seen := make(map[string]bool)
	for _, f := range e.Missing {
		for _, t := range f.Tries {
			line := fmt.Sprintf("%s %s", t.Endpoint, t.Kind.Verb())
			if t.Err != nil {
				line += ": " + t.Err.Error()
			}
			if key := t.Endpoint + string(t.Kind); !seen[key] {
				seen[key] = true
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// outcomes maps kinds of failure to how a run ended. What is not listed is
// the build's own failure.
var outcomes = map[fault.Kind]record.Outcome{
	fault.None:     record.Built,
	fault.Canceled: record.Interrupted,
	fault.Timeout:  record.NoSource,
	fault.Engine:   record.NoEngine,
	fault.Config:   record.BadUsage,
}

// outcomeOf says how a run ended.
func outcomeOf(ctx context.Context, err error) record.Outcome {
	if err != nil && ctx.Err() != nil {
		return record.Interrupted
	}
	var missing *NoSourceError
	var failure *fetch.Failure
	if errors.As(err, &missing) || errors.As(err, &failure) && failure.Kind() != fault.NotFound && failure.Kind() != fault.Auth {
		return record.NoSource
	}
	var diagnosed *DiagnosedError
	if errors.As(err, &diagnosed) && diagnosed.Service() {
		if diagnosed.Diagnosis.Kind == fault.Engine {
			return record.NoEngine
		}
		return record.NoSource
	}
	if out, ok := outcomes[fault.Of(err)]; ok {
		return out
	}
	return record.Failed
}
