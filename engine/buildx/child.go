package buildx

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// answerLimit bounds what a question to a client program may answer.
const answerLimit = 4 << 20

// ask runs the CLI with args and returns what it printed, also beside an
// exitError. It waits no longer than limit, whatever the CLI or the daemon behind
// it does, and leaves nothing running.
func (c CLI) ask(ctx context.Context, env []string, limit time.Duration, args ...string) (string, error) {
	var out, errs capped
	out.limit, errs.limit = answerLimit, 64<<10
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	p := process{
		Path: c.Path, Args: append(append([]string(nil), c.Args...), args...), Env: env,
		Stdout: &out, Stderr: &errs, Grace: -1,
	}
	code, err := p.run(ctx, nil)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", err
	case code != 0:
		return out.String(), exitError(lastLine(errs.String(), fmt.Sprintf("exit code %d", code)))
	}
	return out.String(), nil
}

// An exitError is what a client program says that ended with an error.
type exitError string

func (e exitError) Error() string { return string(e) }

// lastLine returns the last line of s with anything in it, without the word
// that clients put before an error; or other.
func lastLine(s, other string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return other
	}
	return strings.TrimPrefix(last, "ERROR: ")
}

// A capped keeps the first limit bytes that are written to it.
type capped struct {
	bytes.Buffer
	limit int
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.limit - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// A process is a child that is stopped as a whole: it has a process group of
// its own, and whatever it started ends with it.
type process struct {
	Path string
	Args []string
	Dir  string
	Env  []string

	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	// Grace is how long the group may take to stop after an interrupt; it is
	// killed then. A negative one kills it at once.
	Grace time.Duration
}

// pipesLimit bounds how long output is awaited of a child that has ended
// itself but left its pipes to somebody else.
const pipesLimit = 2 * time.Second

// run runs the child to its end and returns its exit code, -1 where a signal
// ended it. The error says why there was no such end. After ctx ends, or kill
// is closed, the group is stopped; nothing of it runs when run returns.
func (p process) run(ctx context.Context, kill <-chan struct{}) (int, error) {
	if ctx.Err() != nil {
		return -1, context.Cause(ctx)
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir, cmd.Env = p.Dir, p.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	cmd.SysProcAttr = groupAttr()
	cmd.WaitDelay = pipesLimit
	started, done := make(chan error, 1), make(chan error, 1)
	go func() {
		defer holdThread()()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		done <- reap(cmd, group(cmd.Process.Pid))
	}()
	if err := <-started; err != nil {
		return -1, err
	}
	err := p.await(ctx, kill, group(cmd.Process.Pid), done)
	if cmd.ProcessState == nil {
		return -1, err
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && state.Signaled() {
		return -1, nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

func (p process) await(ctx context.Context, kill <-chan struct{}, g group, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-kill:
	case <-ctx.Done():
		if p.Grace < 0 {
			break
		}
		g.signal(os.Interrupt)
		timer := time.NewTimer(p.Grace)
		defer timer.Stop()
		select {
		case err := <-done:
			return err
		case <-kill:
		case <-timer.C:
		}
	}
	g.signal(syscall.SIGKILL)
	return <-done
}
