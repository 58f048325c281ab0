package outlast_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/record"
)

// measured is a survey that ends when the test says so.
type measured struct {
	t     *testing.T
	ready chan struct{}
}

func (m measured) survey(ctx context.Context, _ outlast.SurveyOptions) health.Scorecard {
	select {
	case <-m.ready:
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		m.t.Error("the build waited for the survey")
	}
	return health.Scorecard{Taken: time.Now(), Categories: []health.Category{
		{Name: "registries", Points: 30, Checks: []health.Check{{Name: "docker.io", Kind: fault.Timeout}}}}}
}

func TestABuildWaitsForTheSurveyNoLongerThanNeeded(t *testing.T) {
	for _, tt := range []struct {
		name       string
		dockerfile string // behind FROM
		cold       bool
		fails      bool // the first attempt
		waits      bool
		strategies []string
	}{
		{name: "all is in the store: the build goes ahead", strategies: []string{"optimal"}},
		{name: "the second attempt knows more", fails: true, strategies: []string{"optimal", "emergency"}},
		{name: "an image is missing: the survey is waited for", cold: true, waits: true, strategies: []string{"emergency"}},
		{name: "packages are needed: the survey is waited for", dockerfile: "RUN go mod download\n", waits: true, strategies: []string{"emergency"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\n"+tt.dockerfile)
			if !tt.cold {
				if _, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{{Run: pull}}}); err != nil {
					t.Fatal(err)
				}
			}
			s.settings.Build.Wait = time.Minute
			m := measured{t, make(chan struct{})}
			if tt.waits {
				close(m.ready)
			}
			first := enginetest.Script{Run: pull}
			if tt.fails {
				first.Run = func(context.Context, engine.Request) error {
					close(m.ready)
					return errors.New("failed to solve: read tcp 10.0.0.2:443: connection reset by peer")
				}
			}
			run, err := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{"A=b"}, Settings: s.settings,
				Engine: &enginetest.Engine{Scripts: []enginetest.Script{first, {Run: pull}}}, Survey: m.survey, Jitter: func() float64 { return 0 }})
			if err != nil || run.Outcome != record.Built {
				t.Fatalf("got %s, %v, want built", run.Outcome, err)
			}
			var got []string
			for _, a := range run.Attempts {
				got = append(got, a.Strategy)
			}
			if known := len(run.Card.Categories) > 0; known != (tt.waits || tt.fails) {
				t.Errorf("the record has an assessment: %t", known)
			}
			if !slices.Equal(got, tt.strategies) {
				t.Errorf("got strategies %s, want %s", strings.Join(got, ", "), strings.Join(tt.strategies, ", "))
			}
		})
	}
}

func TestServicesAreMeasuredAgainWhereTheyMadeABuildFail(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  string // of every attempt; empty: none
		want bool
	}{
		{"a service failed", "failed to solve: read tcp 10.0.0.2:443: connection reset by peer", true},
		{"the user's own error", "failed to solve: dockerfile parse error on line 1: unknown instruction: FORM", false},
		{"built", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.settings.Build.Wait = time.Minute
			looks := 0
			run, _ := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{"A=b"}, Settings: s.settings,
				Jitter: func() float64 { return 0 },
				Engine: &enginetest.Engine{Scripts: []enginetest.Script{{Run: func(context.Context, engine.Request) error {
					if tt.err == "" {
						return nil
					}
					return errors.New(tt.err)
				}}}},
				Survey: func(context.Context, outlast.SurveyOptions) health.Scorecard {
					looks++
					return health.Scorecard{Taken: time.Now(), Categories: []health.Category{
						{Name: "registries", Points: float64(10 * looks), Checks: []health.Check{{Name: "docker.io", OK: true}}}}}
				}})
			if got := run.After != nil; got != tt.want {
				t.Fatalf("%s: a second assessment: %t, want %t", run.Outcome, got, tt.want)
			}
			if tt.want && (run.Card.Categories[0].Points != 10 || run.After.Categories[0].Points != 20) {
				t.Errorf("got %+v before and %+v after", run.Card, run.After)
			}
		})
	}
}
