package outlast

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/probe"
)

// SurveyOptions say which services are measured. The zero value of a field
// means what its comment says.
type SurveyOptions struct {
	Settings config.Settings
	Needs    []dockerfile.Need // of the build at hand
	Known    bool              // Needs are known, and decide; else there is no Dockerfile, and all checks do
	Env      []string          // the environment; nil means the process's own
	Board    *health.Board     // is told of each service that was asked; nil: nobody is
	Resolver *net.Resolver     // nil means the system's
}

// Survey asks all services at once whether they are well, within the budget of
// the settings, and gives points for it. What the build needs is marked. It
// asks as the build would: with the logins that belong to each host, for an
// image that the build names where there is one.
//
// A check is of the primary service. The mirrors of registries that are needed
// are asked as well, and stand in a category without points: that a mirror is
// well makes a way for the build, and does not make the registry well.
func Survey(ctx context.Context, o SurveyOptions) health.Scorecard {
	o = o.complete()
	start := time.Now()
	s := newSurvey(ctx, o)
	card := probe.Round{Categories: s.categories(), Budget: o.Settings.Probe.Budget, Began: start, Board: o.Board}.Ask(ctx)
	card.Known = o.Known
	return card
}

// complete puts in what is not said.
func (o SurveyOptions) complete() SurveyOptions {
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.Settings.Probe.Budget <= 0 {
		o.Settings.Probe.Budget = probe.DefaultBudget
	}
	return o
}

// fetcher returns a Fetcher of one check's own.
func (o SurveyOptions) fetcher() *fetch.Fetcher {
	l := o.Settings.Fetch
	return &fetch.Fetcher{Limits: fetch.Limits{Dial: l.Dial, Header: l.Header, Idle: l.Idle}, Resolver: o.Resolver}
}
