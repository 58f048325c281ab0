package cli_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/console"
	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/cli"
)

// looks are parts that find a registry of two down, and call seen with the
// number of each look. No time passes between looks; they tell waited.
func looks(seen func(n int), waited *[]time.Duration) cli.Parts {
	n := 0
	return cli.Parts{
		After: func(d time.Duration) <-chan time.Time {
			*waited = append(*waited, d)
			c := make(chan time.Time)
			close(c)
			return c
		},
		Check: func(context.Context, cli.CheckRequest) (health.Scorecard, error) {
			n++
			defer seen(n)
			return health.Scorecard{Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Categories: []health.Category{
				{Name: health.Registries, Points: 30, Checks: []health.Check{
					{Name: "gcr.io", OK: true, Took: 12 * time.Millisecond},
					{Name: "docker.io", Kind: fault.Outage, Detail: "status 503\x1b[31m"},
				}},
			}}, nil
		},
	}
}

func TestCheckWatchesUntilItIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	var waited []time.Duration
	code := cli.Run(ctx, looks(func(n int) {
		if n == 3 {
			cancel()
		}
	}, &waited), []string{"check", "--watch", "30s"}, nil, &stdout, &stderr, []string{"HOME=" + t.TempDir()})
	if code != 0 || stderr.Len() > 0 {
		t.Errorf("got code %d and %q, want 0: that is how a watch ends", code, &stderr)
	}
	if diff := cmp.Diff([]time.Duration{30 * time.Second, 30 * time.Second}, waited); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if got := strings.Count(stdout.String(), "03:04:05, every 30s\n✅ gcr.io"); got != 2 {
		t.Errorf("got %d looks in %q, want the two before the end", got, &stdout)
	}
	if strings.Contains(stdout.String(), "\x1b") {
		t.Errorf("got %q, want no signs for terminals in a file", &stdout)
	}
}

func TestCheckIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, looks(func(int) { cancel() }, new([]time.Duration)), []string{"check"}, nil, &stdout, &stderr, []string{"HOME=" + t.TempDir()})
	if code != cli.ExitInterrupted || stdout.Len() > 0 {
		t.Errorf("got code %d and %q, want 130 and no score of half a look", code, &stdout)
	}
}

func TestCheckOnATerminal(t *testing.T) {
	for _, tt := range []struct {
		name       string
		env        []string
		want, none string
	}{
		{"colours", []string{"TERM=xterm"}, "⚠️ \x1b[33mdocker.io may be experiencing issues: reports an outage: status 503\\x1b[31m\x1b[0m", ""},
		{"a user who wants none", []string{"TERM=xterm", "NO_COLOR=1"}, "⚠️ docker.io may", "\x1b[33m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pty, path, err := console.NewPty()
			if err != nil {
				t.Skipf("needs a pseudo terminal: %v", err)
			}
			defer pty.Close()
			slave, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var shown bytes.Buffer
			read := make(chan struct{})
			go func() {
				defer close(read)
				shown.ReadFrom(pty)
			}()
			cli.Run(ctx, looks(func(n int) {
				if n == 2 {
					cancel()
				}
			}, new([]time.Duration)), []string{"check", "--watch", "5s"}, nil, slave, &bytes.Buffer{}, append([]string{"HOME=" + t.TempDir()}, tt.env...))
			slave.Close()
			<-read
			got := shown.String()
			if !strings.Contains(got, tt.want) || tt.none != "" && strings.Contains(got, tt.none) {
				t.Errorf("got %q, want there %q and no %q", got, tt.want, tt.none)
			}
			if !strings.HasPrefix(got, "\x1b[H\x1b[2J") {
				t.Errorf("got %q, want each look on a clear screen", got)
			}
		})
	}
}
