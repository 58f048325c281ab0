package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// errCut says that a build was ended because its time was up.
var errCut = errors.New("cut: it took too long")

// limit ends a build that hangs and should not.
const limit = 2 * time.Minute

// stockBuild runs stock buildx on the context dir, and says how long it took.
func (p *place) stockBuild(ctx context.Context, dir string, limit time.Duration) (time.Duration, error) {
	return p.build(ctx, limit, p.stock, "build", "--builder", p.builder, "--progress", "plain", "--output", "type=cacheonly", dir)
}

// outlastBuild runs outlast, with the same arguments.
func (p *place) outlastBuild(ctx context.Context, dir string) (time.Duration, error) {
	return p.build(ctx, limit, p.outlast, "build", "--config", p.settings, "--builder", p.builder, "--progress", "plain", "--output", "type=cacheonly", dir)
}

func (p *place) build(ctx context.Context, limit time.Duration, argv ...string) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errCut)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), p.buildx.Environ()...)
	cmd.Env = append(cmd.Env, "HOME="+p.dir, "XDG_STATE_HOME="+p.dir+"/state", "NO_COLOR=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	switch {
	case ctx.Err() != nil:
		return took, context.Cause(ctx)
	case err != nil:
		return took, fmt.Errorf("%s: %w:\n%s", strings.Join(argv, " "), err, out.String())
	}
	return took, nil
}
