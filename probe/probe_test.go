package probe_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/probe"
)

// A question is a function.
type question func(ctx context.Context) (string, error)

func (q question) Ask(ctx context.Context) (string, error) { return q(ctx) }

func after(d time.Duration) question {
	return func(ctx context.Context) (string, error) {
		select {
		case <-time.After(d):
			return "fine", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func failing(err error) question { return func(context.Context) (string, error) { return "", err } }

// stubborn does not stop when it is told to.
func stubborn(d time.Duration) question {
	return func(context.Context) (string, error) { time.Sleep(d); return "late", nil }
}

func TestRound(t *testing.T) {
	const budget = 2 * time.Second
	for _, tt := range []struct {
		name     string
		question question
		want     health.Check
		took     time.Duration // of the round, at most
	}{
		{"answers", after(time.Second), health.Check{OK: true, Took: time.Second, Detail: "fine"}, time.Second},
		{"fails", failing(&fault.Error{Kind: fault.Outage, Err: errors.New("status 503")}),
			health.Check{Kind: fault.Outage, Detail: "status 503"}, 0},
		{"fails in a way that is not known", failing(errors.New("moon phase\nand more")), health.Check{Kind: fault.Unknown, Detail: "moon phase"}, 0},
		{"answers no", failing(&probe.No{Err: &fault.Error{Kind: fault.NotFound, Err: errors.New("status 404")}}),
			health.Check{OK: true, Kind: fault.NotFound, Detail: "status 404"}, 0},
		{"takes too long", after(time.Hour), health.Check{Kind: fault.Timeout, Took: budget, Detail: "no answer within 2s"}, budget},
		{"takes too long, and says that a name did not resolve", func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", &fault.Error{Kind: fault.DNS, Err: errors.New("i/o timeout")}
		}, health.Check{Kind: fault.Timeout, Took: budget, Detail: "no answer within 2s"}, budget},
		{"fails just when the budget ends, for another reason", func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", &fault.Error{Kind: fault.TLS, Err: errors.New("bad certificate")}
		}, health.Check{Kind: fault.TLS, Took: budget, Detail: "bad certificate"}, budget},
		{"does not stop", stubborn(time.Hour), health.Check{Kind: fault.Timeout, Took: budget + 50*time.Millisecond, Detail: "no answer within 2s"}, budget + 50*time.Millisecond},
		{"panics", func(context.Context) (string, error) { panic("oh") },
			health.Check{Kind: fault.Unknown, Detail: "the check itself broke down: oh"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := probe.Round{Budget: budget, Categories: []probe.Category{{Name: "c", Points: 10, Checks: []probe.Check{
					{Name: "k", Target: "at", Host: "h", For: "f", Needed: true, Weight: 3, Question: tt.question},
					{Name: "beside", Question: after(0)},
				}}}}.Ask(t.Context())
				if took := time.Since(start); took > tt.took || got.Took != took {
					t.Errorf("took %v and says %v, want at most %v", took, got.Took, tt.took)
				}
				want := tt.want
				want.Name, want.Target, want.Host, want.For, want.Needed, want.Weight = "k", "at", "h", "f", true, 3
				if diff := cmp.Diff(want, got.Categories[0].Checks[0]); diff != "" {
					t.Errorf("check (-want +got):\n%s", diff)
				}
				if !got.Categories[0].Checks[1].OK {
					t.Error("another check failed with it")
				}
				time.Sleep(time.Hour) // the stubborn one ends
			})
		})
	}
}

func TestRoundIsAsLongAsItsSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks []probe.Check
		for range 20 {
			checks = append(checks, probe.Check{Question: after(time.Second)})
		}
		if got := (probe.Round{Categories: []probe.Category{{Checks: checks}, {Checks: checks}}}).Ask(t.Context()); got.Took != time.Second {
			t.Errorf("took %v, want 1s: all at once", got.Took)
		}
	})
}

func TestRoundEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ctx, stop := context.WithCancel(ctx)
		time.AfterFunc(500*time.Millisecond, stop)
		got := probe.Round{Budget: time.Minute, Categories: []probe.Category{{Checks: []probe.Check{{Question: after(time.Hour)}}}}}.Ask(ctx)
		if got.Took != 500*time.Millisecond || got.Categories[0].Checks[0].Kind != fault.Canceled {
			t.Errorf("got %+v, want a check that was cancelled after 500ms", got)
		}
	})
}

func TestRoundTellsTheBoard(t *testing.T) {
	var board health.Board
	probe.Round{Board: &board, Categories: []probe.Category{{Checks: []probe.Check{
		{Host: "well.example.com", Question: after(0)},
		{Host: "down.example.com", Question: failing(&fault.Error{Kind: fault.Outage})},
		{Host: "no.example.com", Question: failing(&probe.No{Err: &fault.Error{Kind: fault.NotFound}})},
		{Question: failing(&fault.Error{Kind: fault.Outage})},
	}}}}.Ask(t.Context())
	s := board.Snapshot(time.Now())
	if s.Score("down.example.com") == 1 || s.Score("no.example.com") != 1 || s.Standing("well.example.com").Seen != 1 || s.Standing("").Last != fault.None {
		t.Errorf("got down %+v, no %+v, well %+v, and %+v of none", s.Standing("down.example.com"), s.Standing("no.example.com"),
			s.Standing("well.example.com"), s.Standing(""))
	}
}
