package fetch

import (
	"errors"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A Failure is the error when no source was left. fault.Of and fault.After
// tell of it what Kind and After tell.
type Failure struct {
	Name  string
	Tries []Try // the last one of each source, in the order of the Ask
}

// Error says of each source what was wrong with it.
func (f *Failure) Error() string {
	if len(f.Tries) == 0 {
		return f.Name + ": no source"
	}
	lines := make([]string, len(f.Tries))
	for i, t := range f.Tries {
		lines[i] = t.Err.Error()
	}
	return f.Name + ": no source left: " + strings.Join(lines, "; ")
}

// Kind says what the failure comes down to. It is NotFound only when the
// origin said so, or when there is no origin and everyone did; else it is the
// kind of the origin's failure, or of the first source that did not say no.
func (f *Failure) Kind() fault.Kind {
	kind := fault.Unknown
	for _, t := range f.Tries {
		if t.Origin {
			return t.Kind
		}
		if kind == fault.Unknown || kind == fault.NotFound {
			kind = t.Kind
		}
	}
	return kind
}

// After returns the least that Retry-After asked for, or 0.
func (f *Failure) After() time.Duration {
	var least time.Duration
	for _, t := range f.Tries {
		if a := fault.After(t.Err); a > 0 && (least == 0 || a < least) {
			least = a
		}
	}
	return least
}

// Unwrap returns the failure as what callers ask for with fault.Of.
func (f *Failure) Unwrap() error {
	return &fault.Error{Op: f.Name, Kind: f.Kind(), After: f.After(), Err: errors.New("no source left")}
}
