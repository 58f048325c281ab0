package buildx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Daemon is the buildkitd that Outlast starts where a machine has no engine.
// It outlives the build that started it. All that is kept of it lies in one
// folder; several processes at once share one daemon.
type Daemon struct{ dir string }

// Own returns the daemon whose folder is dir; empty means that of StateDir.
func Own(dir string) Daemon { return Daemon{dir} }

// A DaemonStatus is what is known of Outlast's own buildkitd.
type DaemonStatus struct {
	Running bool      `json:"running"`
	PID     int       `json:"pid"`
	Address string    `json:"address"` // for BUILDKIT_HOST
	Version string    `json:"version"` // of BuildKit
	Started time.Time `json:"started"`
	Root    string    `json:"root"` // where it keeps its content
	Log     string    `json:"log"`

	Birth uint64 `json:"birth"` // of the process, in the system's ticks
}

// The limits of starting and stopping.
const (
	startLimit = 30 * time.Second // a cold buildkitd needs under one
	hungLimit  = 5 * time.Second  // a busy one answers in a tenth of a second
	stopLimit  = 10 * time.Second // a wedged one ignores SIGTERM for ever
	logLimit   = 8 << 20          // of the log that is kept from runs before
)

// Status tells whether the daemon runs. It starts nothing and makes no folder.
func (d Daemon) Status() (DaemonStatus, error) {
	dir, err := stateDir(d.dir)
	if err != nil {
		return DaemonStatus{}, err
	}
	return read(dir), nil
}

// Start returns the running daemon, and starts it where it does not run.
// buildkitd and runc are looked for as Program does; where the user is not
// root, rootlesskit too.
func (d Daemon) Start(ctx context.Context, env []string) (DaemonStatus, error) {
	l, err := d.lock(ctx)
	if err != nil {
		return DaemonStatus{}, err
	}
	defer l.Close()
	dir := filepath.Dir(l.Name())
	s := read(dir)
	if s.Running {
		if _, err := s.await(ctx, hungLimit, nil); err == nil {
			return s, nil
		}
		// It holds the lock of its folder: a second one could not start.
		if err := halt(ctx, s, hungLimit); err != nil {
			return DaemonStatus{}, err
		}
	}
	return start(ctx, dir, env)
}

// Stop stops the daemon if it runs, and reports whether it did. What it has
// stored stays. After 10 s it is killed.
func (d Daemon) Stop(ctx context.Context) (bool, error) {
	dir, err := stateDir(d.dir)
	if err != nil || !exists(dir) {
		return false, err
	}
	l, err := d.lock(ctx)
	if err != nil {
		return false, err
	}
	defer l.Close()
	s := read(dir)
	if !s.Running {
		return false, nil
	}
	return true, halt(ctx, s, stopLimit)
}

// lock makes the daemon's folder and takes its lock, which ends with the file.
func (d Daemon) lock(ctx context.Context) (*os.File, error) {
	dir, err := stateDir(d.dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(startLimit + stopLimit)
	defer limit.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-tick.C:
		case <-limit.C:
			f.Close()
			return nil, fmt.Errorf("lock %s: another process has held it for %s", f.Name(), startLimit+stopLimit)
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// read returns what is written down of the daemon, and whether it still holds.
func read(dir string) DaemonStatus {
	var s DaemonStatus
	data, err := readBounded(filepath.Join(dir, "daemon.json"), 1<<16)
	if err != nil || json.Unmarshal(data, &s) != nil {
		return DaemonStatus{Root: filepath.Join(dir, "root"), Log: filepath.Join(dir, "buildkitd.log")}
	}
	born, err := birth(s.PID)
	s.Running = err == nil && born == s.Birth
	return s
}

// halt stops the daemon and whatever it runs. After the limit it is killed.
func halt(ctx context.Context, s DaemonStatus, limit time.Duration) error {
	if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop buildkitd: %w", err)
	}
	if gone(ctx, s, limit) {
		return nil
	}
	_ = syscall.Kill(-s.PID, syscall.SIGKILL)
	if gone(context.WithoutCancel(ctx), s, stopLimit) {
		return nil
	}
	return fmt.Errorf("buildkitd (process %d) does not end", s.PID)
}

// gone waits until the daemon's process has ended.
func gone(ctx context.Context, s DaemonStatus, limit time.Duration) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		if born, err := birth(s.PID); err != nil || born != s.Birth {
			return true
		}
		select {
		case <-tick.C:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
