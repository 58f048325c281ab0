package trial

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
)

// An Outcome is what a build came to.
type Outcome string

// The outcomes.
const (
	Built  Outcome = "built"
	Failed Outcome = "failed"
	Hung   Outcome = "hung" // cut off
)

// A Result is how a build went.
type Result struct {
	Outcome Outcome
	Code    int // the exit code; -1 where it was cut off
	Took    time.Duration
	Said    []string // what Outlast said it did, or the error; addresses replaced by names
	Log     string   // all that was printed
}

// Outlast runs r with outlast build, with a BuildKit and a store that are new.
// It is cut off after limit.
func (b *Bench) Outlast(ctx context.Context, r Row, limit time.Duration) (Result, error) {
	l, err := b.lab(ctx, r, testenv.BuildkitdOptions{})
	if err != nil {
		return Result{}, err
	}
	defer l.Close()
	return l.outlast(ctx, limit)
}

// Stock runs r with docker buildx build and a BuildKit that is new and itself
// knows the mirrors. It is cut off after limit.
func (b *Bench) Stock(ctx context.Context, r Row, limit time.Duration) (Result, error) {
	l, err := b.lab(ctx, r, testenv.BuildkitdOptions{})
	if err != nil {
		return Result{}, err
	}
	defer l.Close()
	return l.stock(ctx, limit)
}

// execute runs cmd to its end, or kills it and all that it started when its time is up.
func execute(ctx context.Context, cmd *exec.Cmd, limit time.Duration, names *strings.Replacer) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return Result{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	cut := false
	select {
	case err = <-ended:
	case <-ctx.Done():
		cut = true
		err = end(cmd.Process.Pid, ended)
	}
	r := Result{Took: time.Since(began), Log: names.Replace(out.String())}
	var exit *exec.ExitError
	switch {
	case cut && ctx.Err() != context.DeadlineExceeded:
		return r, context.Cause(ctx)
	case cut:
		r.Outcome, r.Code = Hung, -1
	case errors.As(err, &exit):
		r.Outcome, r.Code = Failed, exit.ExitCode()
	case err != nil:
		return r, err
	default:
		r.Outcome = Built
	}
	r.Said = said(r.Log)
	return r, nil
}

// end interrupts a group of processes, and kills it where that does not help.
func end(group int, ended <-chan error) error {
	syscall.Kill(-group, syscall.SIGINT)
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		syscall.Kill(-group, syscall.SIGKILL)
		return <-ended
	}
}

var telling = regexp.MustCompile(`^(outlast: |ERROR: )(.*)$`)

// said are the lines of a log that sum the build up.
func said(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		m := telling.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.HasPrefix(m[2], "built ") || strings.HasPrefix(m[2], "warning: OUTLAST_") {
			continue
		}
		lines = append(lines, m[2])
	}
	return lines
}
