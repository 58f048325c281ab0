package enginetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/fault"
)

func TestScripted(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, scripts ...enginetest.Script) enginetest.Setup {
		return enginetest.Setup{Engine: &enginetest.Engine{Scripts: scripts}, Base: "alpine:3"}
	})
}

func TestScriptsAreForTheirBuilds(t *testing.T) {
	e := &enginetest.Engine{Scripts: []enginetest.Script{
		{Err: errors.New("first")},
		{Run: func(_ context.Context, req engine.Request) error { return errors.New(req.Args[0]) }},
		{Result: engine.Result{Outcome: engine.Unavailable}},
		{},
	}}
	for i, want := range []struct {
		outcome engine.Outcome
		message string
		kind    fault.Kind
	}{
		{engine.Failed, "first", fault.Unknown},
		{engine.Failed, "arg", fault.Unknown},
		{engine.Unavailable, "unavailable", fault.Engine},
		{engine.Built, "", fault.None},
		{engine.Built, "", fault.None},
	} {
		r, err := e.Build(t.Context(), engine.Request{Args: []string{"arg"}}, nil)
		message := ""
		if r.Failure != nil {
			message = r.Failure.Message
		}
		if r.Outcome != want.outcome || message != want.message || fault.Of(err) != want.kind {
			t.Errorf("build %d: got %q, %q, %v, want %q, %q, %q", i+1, r.Outcome, message, err, want.outcome, want.message, want.kind)
		}
	}
	if n := len(e.Requests()); n != 5 {
		t.Errorf("got %d requests, want 5", n)
	}
}
