package trial

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"regexp"
	"slices"
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
	Noticed string   `json:",omitempty"` // of an errand: what the package manager said of a failure
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

var (
	noted   = regexp.MustCompile(`^#\d+ \[outlast\] (.*)$`)
	summed  = regexp.MustCompile(`^outlast: (.*)$`)
	refused = regexp.MustCompile(`^ERROR: (?:failed to build: )?(?:failed to solve: )?(.*)$`)
	digests = regexp.MustCompile(`sha256:([0-9a-f]{12})[0-9a-f]{52}`)
	counts  = regexp.MustCompile(` \(\d+ of \d+ requests\)`)
)

// said are the lines of a log that sum the build up: what Outlast says at the
// end, what it noted on the way and said no more, and else BuildKit's error.
func said(log string) []string {
	var notes, sums, errs []string
	for line := range strings.Lines(log) {
		line = digests.ReplaceAllString(strings.TrimSpace(line), "sha256:$1…")
		for pattern, list := range map[*regexp.Regexp]*[]string{noted: &notes, summed: &sums, refused: &errs} {
			if m := pattern.FindStringSubmatch(line); m != nil {
				*list = append(*list, strings.TrimSpace(counts.ReplaceAllString(m[1], "")))
			}
		}
	}
	sums = slices.DeleteFunc(sums, func(s string) bool {
		return strings.HasPrefix(s, "built ") || strings.HasPrefix(s, "warning: OUTLAST_") || strings.HasPrefix(s, "strategy ") || strings.Contains(s, "; strategy ") || strings.HasSuffix(s, ": no other source had it")
	})
	for _, note := range notes {
		if !slices.ContainsFunc(sums, func(s string) bool { return strings.HasPrefix(s, note) }) {
			sums = append(sums, note)
		}
	}
	if len(sums) > 0 {
		return sums
	}
	return errs
}
