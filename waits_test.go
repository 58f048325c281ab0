package outlast_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/config"
)

// Time passes in the test's own clock.
func TestWaits(t *testing.T) {
	date := func(in time.Duration) string { return time.Now().Add(in).UTC().Format(http.TimeFormat) }
	seconds := func(text string) func() string { return func() string { return text } }
	for _, tt := range []struct {
		name       string
		jitter     float64
		budget     time.Duration
		retryAfter func() string
		want       []time.Duration // before the second attempt, and so on
	}{
		{"no jitter", 0, time.Minute, nil, []time.Duration{0, 0, 0, 0}},
		{"half", 0.5, time.Minute, nil, []time.Duration{time.Second / 2, time.Second, 2 * time.Second, 4 * time.Second}},
		{"all but the end", 0.999, time.Minute, nil, []time.Duration{999 * time.Millisecond, 1998 * time.Millisecond, 3996 * time.Millisecond, 7992 * time.Millisecond}},
		{"a wait that the budget does not hold is not begun", 0.5, 2 * time.Second, nil, []time.Duration{time.Second / 2, time.Second}},
		{"the budget is for all waits together", 0.5, 4 * time.Second, nil, []time.Duration{time.Second / 2, time.Second, 2 * time.Second}},
		{"no budget", 0.5, 0, nil, nil},
		{"Retry-After in seconds", 0.5, time.Minute, seconds("7"), []time.Duration{7500 * time.Millisecond, 7500 * time.Millisecond, 7500 * time.Millisecond, 7500 * time.Millisecond}},
		// A date has no parts of a second: from half past one it is half less.
		{"Retry-After as a date", 0.5, time.Minute, func() string { return date(20 * time.Second) }, []time.Duration{20500 * time.Millisecond, 20 * time.Second}},
		{"Retry-After as a date that is past", 0.5, time.Minute, func() string { return date(-time.Hour) }, []time.Duration{time.Second / 2, time.Second, 2 * time.Second, 4 * time.Second}},
		{"Retry-After beyond the budget", 0.5, time.Minute, seconds("3600"), nil},
		{"Retry-After that says nothing", 0.5, time.Minute, seconds("soon"), []time.Duration{time.Second / 2, time.Second, 2 * time.Second, 4 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := config.Load(config.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			loaded.Settings.Build.Attempts, loaded.Settings.Build.Wait = 5, tt.budget
			synctest.Test(t, func(t *testing.T) {
				e := &limited{after: tt.retryAfter}
				run, _ := outlast.Build(context.Background(), outlast.Options{Args: []string{"."}, Dir: dir, Env: []string{}, Settings: loaded.Settings,
					Engine: e, Direct: true, Jitter: func() float64 { return tt.jitter }})
				var waited []time.Duration
				for i := range e.began[1:] {
					waited = append(waited, e.began[i+1].Sub(e.began[i]))
				}
				if !slices.Equal(waited, tt.want) || len(run.Attempts) != len(tt.want)+1 {
					t.Errorf("got %d attempts after %v, want %v", len(run.Attempts), waited, tt.want)
				}
			})
		})
	}
}

// A limited engine finds a registry that has had enough, whenever it builds.
type limited struct {
	after func() string // the Retry-After; nil: none
	began []time.Time
}

func (l *limited) Build(ctx context.Context, req engine.Request, emit func(engine.Event)) (engine.Result, error) {
	l.began = append(l.began, time.Now())
	s := fails("[1/2] FROM r.example.com/x:1", "", "unexpected status from HEAD request to https://r.example.com/v2/x/manifests/1: 429 Too Many Requests")
	if l.after != nil {
		s.Err = &fault.Error{Op: "build", After: fault.RetryAfter(l.after(), time.Now()), Kind: fault.RateLimited}
	}
	e := enginetest.Engine{Scripts: []enginetest.Script{s}}
	return e.Build(ctx, req, emit)
}
