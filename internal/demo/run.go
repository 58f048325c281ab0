package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A result is what a command came to.
type result struct {
	code   int // -1 where it was cut
	output string
	took   time.Duration
}

// cutOff reports whether the command was ended because its time was up.
func (r result) cutOff() bool { return r.code < 0 }

func (r result) seconds() string { return fmt.Sprintf("%.1f s", r.took.Seconds()) }

// grace is how long a child has after an interrupt.
const grace = 5 * time.Second

// A command is one that is run and shown.
type command struct {
	path  string
	args  []string
	dir   string
	env   []string
	lines func(at time.Duration, line string) // told of each line; nil: nobody is
	limit time.Duration                       // it is cut after that; 0 is no limit
}

// run runs c to its end. It must be called where the process's first thread
// is, so that the child cannot outlive it.
func (c command) run(ctx context.Context) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	// A group of its own: the terminal's Ctrl-C reaches it by us alone, once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	began := time.Now()
	var late atomic.Bool
	out := &feed{tell: func(line string) {
		if c.lines != nil {
			c.lines(time.Since(began), line)
		}
	}}
	if c.limit > 0 {
		timer := time.AfterFunc(c.limit, func() { late.Store(true); cancel() })
		defer timer.Stop()
	}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.end()
	r := result{output: out.all.String(), took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case late.Load():
		r.code = -1
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		return r, err
	}
	return r, nil
}

// A feed tells of lines as they come.
type feed struct {
	tell func(string)

	mu   sync.Mutex
	all  bytes.Buffer
	rest string
}

var _ io.Writer = (*feed)(nil)

func (f *feed) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.Write(b)
	f.rest += string(b)
	for {
		line, rest, ok := strings.Cut(f.rest, "\n")
		if !ok {
			return len(b), nil
		}
		f.rest = rest
		f.tell(strings.TrimRight(line, "\r"))
	}
}

func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rest != "" {
		f.tell(f.rest)
		f.rest = ""
	}
}

// runIn runs a program in the file system at root, with nothing else.
func runIn(ctx context.Context, root, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
