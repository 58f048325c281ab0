package outlast_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// An absent engine goes away in its first build, and its builder comes back a
// while after. What stands in its place until then is the next builder.
type absent struct {
	away  time.Duration // 0: for ever
	lost  time.Time     // when it went
	asked int           // how often it was looked for
}

func (a *absent) Build(ctx context.Context, req engine.Request, emit func(engine.Event)) (engine.Result, error) {
	e := enginetest.Engine{}
	if a.lost.IsZero() {
		a.lost = time.Now()
		e.Scripts = []enginetest.Script{{Result: engine.Result{Outcome: engine.Unavailable}}}
	}
	return e.Build(ctx, req, emit)
}

func (a *absent) Returned(context.Context) (engine.Engine, bool) {
	a.asked++
	if a.away == 0 || time.Since(a.lost) < a.away {
		return nil, false
	}
	return &enginetest.Engine{}, true
}

// Time passes in the test's own clock.
func TestABuilderThatWentAwayIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name        string
		away        time.Duration
		waits       time.Duration // build.wait
		least, most time.Duration // until the next attempt
		asked       int
		told        bool // that it is back
	}{
		{"it is back at once", time.Nanosecond, time.Minute, 0, time.Second, 1, true},
		{"it is back after a while", 7 * time.Second, time.Minute, 7 * time.Second, 13 * time.Second, 5, true},
		{"it stays away: no more than 20 s", 0, time.Minute, 5 * time.Second, 21 * time.Second, 5, false},
		{"it would be back after 20 s", 25 * time.Second, time.Minute, 5 * time.Second, 21 * time.Second, 5, false},
		{"the time for waiting is up", 0, 3 * time.Second, 0, 3 * time.Second, 3, false},
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
			loaded.Settings.Build.Wait = tt.waits
			synctest.Test(t, func(t *testing.T) {
				e := &absent{away: tt.away}
				var told []string
				run, err := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: dir, Env: []string{}, Settings: loaded.Settings, Engine: e,
					Direct: true, Jitter: func() float64 { return 0.75 }, Note: func(line string) { told = append(told, line) }})
				if run.Outcome != record.Built || len(run.Attempts) != 2 {
					t.Fatalf("got %s after %d attempts, %v, want it built by the second", run.Outcome, len(run.Attempts), err)
				}
				if waited := run.Attempts[1].Started.Sub(e.lost); waited < tt.least || waited > tt.most {
					t.Errorf("waited %v, want %v to %v", waited, tt.least, tt.most)
				}
				back := strings.Contains(strings.Join(told, "\n"), "is back")
				if e.asked != tt.asked || back != tt.told {
					t.Errorf("looked for it %d times, told that it is back %v, want %d times, %v: %q", e.asked, back, tt.asked, tt.told, told)
				}
			})
		})
	}
}
