package outlast

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/plan"
)

// A DiagnosedError is a failure of the engine with its cause, as far as that
// is known.
type DiagnosedError struct {
	Diagnosis diagnose.Diagnosis
	Err       error // what the engine made of it
}

// Error is that of the engine.
func (e *DiagnosedError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the engine.
func (e *DiagnosedError) Unwrap() error { return e.Err }

// Service reports whether a service failed, and not what the user wrote.
func (e *DiagnosedError) Service() bool { return e.Diagnosis.Retryable && !e.Diagnosis.UserError }

// Cause says in a line what failed, with the evidence; empty where the engine
// has said all that is known.
func (e *DiagnosedError) Cause() string {
	d := e.Diagnosis
	if !e.Service() {
		return ""
	}
	what := d.Service
	if d.Endpoint != "" {
		what = d.Endpoint
	}
	line := what + " " + d.Kind.Verb()
	if d.Evidence.Text != "" {
		line += ": " + d.Evidence.Text
	}
	return line
}

// Hint says what to do.
func (e *DiagnosedError) Hint() string { return e.Diagnosis.Hint }

// learn makes a failed attempt into a value for the next plan, and into the
// error that is told where there is no next one.
func (b *build) learn(ctx context.Context, p plan.Plan, r engine.Result, err error) (plan.Past, error) {
	p.UsersCaches = p.UsersCaches && b.usesCaches()
	past := plan.Past{Plan: p, Spoiled: r.Spoiled, Unreachable: r.GatewayUnreachable, Diagnosis: diagnosis(r, err), After: fault.After(err)}
	var over *LimitError
	past.TimedOut = errors.As(err, &over) && !over.Silent
	past.Made = over != nil && (over.Push || exportsCache(over.Step))
	name, step := "", r.FailedStep()
	if step != nil {
		name = step.Name
		past.Made = past.Made || made(step)
		past.Stage, _ = stageOf(step.Name)
		if past.Diagnosis.Consequence() {
			b.run.Attempts[len(b.run.Attempts)-1].Swallowed = clipped(swallowed(r, past.Stage))
		}
		past.Swallowed = b.run.Attempts[len(b.run.Attempts)-1].Swallowed != ""
	}
	if b.mirror != nil {
		past.Absent = b.mirror.absent(b.refs(p))
		// What the gateway could not have from anywhere, the builder knows as
		// an answer of the gateway alone. Offline, that goes for packages too.
		known := step == nil || !isRun(step.Name) || b.Offline && !past.Diagnosis.UserError
		if missing := b.mirror.missing(b.cacheRepos()); len(missing) > 0 && known {
			past.Diagnosis, past.After = ofFailure(missing[0]), missing[0].After()
		}
	}
	if over != nil && over.Push {
		past.Diagnosis.Service, past.Diagnosis.Endpoint = "registry", b.target()
	}
	if b.drop(b.broken, err) {
		past.Diagnosis, past.LeftOut = ofCache(b.broken[0], err), true
	} else {
		past.Diagnosis = b.confirm(ctx, past.Diagnosis)
		b.shortage(ctx, name, &past)
	}
	d := past.Diagnosis
	b.run.Attempts[len(b.run.Attempts)-1].Diagnosis = &d
	return past, b.explain(err, d)
}

// refs are the images that an attempt may have asked for.
func (b *build) refs(p plan.Plan) []string {
	var refs []string
	for _, n := range b.recipeOf(p).needs {
		if n.Registry() {
			refs = append(refs, n.Ref)
		}
		if s := p.Substitutes[n.Ref]; s != "" {
			refs = append(refs, s)
		}
	}
	return refs
}

// explain puts what could not be had from anywhere in the place of what the
// engine made of it, or the diagnosis beside it.
func (b *build) explain(err error, d diagnose.Diagnosis) error {
	if b.mirror != nil && !d.UserError {
		if missing := b.mirror.missing(b.cacheRepos()); len(missing) > 0 {
			return &NoSourceError{Missing: missing, Offline: b.Offline, Err: err}
		}
	}
	return &DiagnosedError{Diagnosis: d, Err: err}
}

// diagnosis names the cause of a failed attempt.
func diagnosis(r engine.Result, err error) diagnose.Diagnosis {
	var over *LimitError
	var failure *fetch.Failure
	switch {
	case errors.As(err, &over) && exportsCache(over.Step):
		return diagnose.Diagnosis{Kind: fault.CacheExport, Service: "registry-cache", Retryable: true, FallbackHelps: true, Confidence: 1,
			Evidence: diagnose.Evidence{Text: over.Error()}, Hint: fault.CacheExport.Hint()}
	case errors.As(err, &over):
		return diagnose.Diagnosis{Kind: fault.Timeout, Service: "other", Retryable: over.Silent, Confidence: 1,
			Evidence: diagnose.Evidence{Text: over.Error()}, Hint: over.Hint()}
	case errors.As(err, &failure):
		return ofFailure(failure)
	case r.Outcome == engine.Unavailable:
		return diagnose.Diagnosis{Kind: fault.Engine, Service: "buildkit", Retryable: true, FallbackHelps: true, Confidence: 1,
			Evidence: diagnose.Evidence{Text: err.Error()}, Hint: fault.Engine.Hint()}
	case r.Outcome != engine.Failed:
		k := fault.Of(err)
		return diagnose.Diagnosis{Kind: k, Service: "other", UserError: k.User(), Hint: k.Hint()}
	}
	s := diagnose.Step{Error: err.Error()}
	if step := r.FailedStep(); step != nil {
		s = diagnose.Step{Name: step.Name, Log: strings.Split(strings.TrimRight(string(step.Log), "\n"), "\n"), Error: step.Error}
	}
	if f := r.Failure; f != nil && f.Source != nil {
		s.Source = strings.Split(f.Source.Excerpt, "\n")
	}
	return diagnose.Diagnose(s)
}

// ofFailure is the diagnosis of what no source gave to the gateway.
func ofFailure(f *fetch.Failure) diagnose.Diagnosis {
	k := f.Kind()
	return diagnose.Diagnosis{Kind: k, Service: "registry", Endpoint: registryOf(f.Name), Retryable: k.Action() == fault.Retry,
		FallbackHelps: true, UserError: k.User(), Confidence: 1, Evidence: diagnose.Evidence{Text: f.Error()}, Hint: k.Hint()}
}

// step is what BuildKit shows before a step of a stage: "[build 3/7] RUN x",
// "[linux/amd64 build 3/7]", "[3/7]".
var step = regexp.MustCompile(`^\[(?:[a-z0-9]+/[a-z0-9/]+(?:->[a-z0-9/]+)? )?(?:(\S+) +)?\d+/\d+\] (.*)`)

// stageOf returns the name of a step's stage, "stage-0" where it has none, and
// whether the step is one of a stage at all.
func stageOf(name string) (string, bool) {
	m := step.FindStringSubmatch(name)
	switch {
	case m == nil:
		return "", false
	case m[1] == "":
		return "stage-0", true
	}
	return m[1], true
}

// exportsCache reports whether a step is the export of a build cache.
func exportsCache(name string) bool { return strings.HasPrefix(name, "exporting cache to ") }

// made reports whether all that failed came after the image was made. What
// fails in the rest of an export may be a layer that could not be read.
func made(s *engine.Step) bool {
	return exportsCache(s.Name) || strings.HasPrefix(s.Name, "exporting to ") && strings.Contains(s.Error, "failed to push ")
}

func isRun(name string) bool {
	m := step.FindStringSubmatch(name)
	return m != nil && strings.HasPrefix(m[2], "RUN ")
}

// swallowed returns the name of a step of the stage that ended well, although
// what it wrote tells of a service that failed; empty where there is none.
func swallowed(r engine.Result, stage string) string {
	for _, s := range r.Steps {
		if s.Error != "" || s.Completed.IsZero() || len(s.Log) == 0 || !isRun(s.Name) {
			continue
		}
		if own, ok := stageOf(s.Name); !ok || own != stage {
			continue
		}
		d := diagnose.Diagnose(diagnose.Step{Name: s.Name, Log: strings.Split(string(s.Log), "\n")})
		if d.Retryable && !d.UserError {
			return s.Name
		}
	}
	return ""
}
