package buildx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// start starts the daemon in dir and waits until it answers.
func start(ctx context.Context, dir string, env []string) (DaemonStatus, error) {
	s := DaemonStatus{Root: filepath.Join(dir, "root"), Log: filepath.Join(dir, "buildkitd.log")}
	socket, err := socketPath(dir)
	if err != nil {
		return s, err
	}
	s.Address = "unix://" + socket
	argv, err := command(dir, s, env)
	if err != nil {
		return s, err
	}
	log, err := openLog(s.Log)
	if err != nil {
		return s, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	// Those of a job or a session would go away under it.
	tmp, run := filepath.Join(dir, "tmp"), filepath.Join(dir, "run")
	if err := errors.Join(os.MkdirAll(tmp, 0o700), os.MkdirAll(run, 0o700)); err != nil {
		return s, err
	}
	cmd.Dir, cmd.Env = "/", environ(env, "TMPDIR="+tmp, "XDG_RUNTIME_DIR="+run)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return s, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.PID, s.Started, s.Running = cmd.Process.Pid, time.Now(), true
	if s.Version, err = s.await(ctx, startLimit, ended); err != nil {
		_ = syscall.Kill(-s.PID, syscall.SIGKILL)
		return s, err
	}
	if s.Birth, err = birth(s.PID); err != nil {
		return s, err
	}
	return s, s.write(filepath.Join(dir, "daemon.json"))
}

// await waits until the daemon answers, and returns its version.
func (s DaemonStatus) await(ctx context.Context, limit time.Duration, ended <-chan error) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s, see %s", limit, s.Log))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if version, ok := answers(ctx, s.Address); ok {
			return version, nil
		}
		select {
		case <-ended:
			return "", fmt.Errorf("buildkitd ended at once: %s", tail(s.Log))
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (s DaemonStatus) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// command is the command line of the daemon. It uses the host's network, as
// the gateway is on its loopback address, and collects its own garbage.
func command(dir string, s DaemonStatus, env []string) ([]string, error) {
	buildkitd, err := Program(env, "buildkitd")
	if err != nil {
		return nil, errors.New("buildkitd is not on PATH")
	}
	runc, err := Program(env, "runc")
	if err != nil {
		if runc, err = Program(env, "crun"); err != nil {
			return nil, errors.New("buildkitd is there, but neither runc nor crun is on PATH")
		}
	}
	config := filepath.Join(dir, "buildkitd.toml")
	rootless := os.Geteuid() != 0
	socket := strings.TrimPrefix(s.Address, "unix://")
	text := fmt.Sprintf(settings, s.Root, s.Address, filepath.Join(filepath.Dir(socket), "otel"), runc, rootless)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	argv := []string{buildkitd, "--config", config}
	if !rootless {
		return argv, nil
	}
	rootlesskit, err := Program(env, "rootlesskit")
	if err != nil {
		return nil, errors.New("buildkitd is there, but you are not root and rootlesskit is not on PATH")
	}
	return append([]string{rootlesskit, "--net=host", "--state-dir=" + filepath.Join(dir, "rootlesskit")}, argv...), nil
}

// settings are the daemon's own.
const settings = `# Written by outlast at each start of its own buildkitd.
root = %q

[grpc]
  address = [%q]

[otel]
  socketPath = %q

[worker.containerd]
  enabled = false

[worker.oci]
  enabled = true
  gc = true
  networkMode = "host"
  binary = %q
  noProcessSandbox = %t
`

// socketLimit is how long the path of a socket may be: 108 bytes with the zero
// at its end on Linux, 104 elsewhere, less what a client may add.
const socketLimit = 96

// socketPath returns where the daemon listens: in dir, or where that is too
// long, in a folder of this user's alone among the temporary ones.
func socketPath(dir string) (string, error) {
	if path := filepath.Join(dir, "buildkitd.sock"); len(path) <= socketLimit {
		return path, nil
	}
	short := filepath.Join(os.TempDir(), fmt.Sprintf("outlast-%d-%s", os.Getuid(), shortHash(dir)))
	if err := os.Mkdir(short, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(short)
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s belongs to somebody else: set XDG_STATE_HOME to a shorter path", short)
	}
	path := filepath.Join(short, "s")
	if len(path) > socketLimit {
		return "", fmt.Errorf("no path for a socket is short enough: %s", path)
	}
	return path, nil
}

func openLog(path string) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// tail returns the last line of a log.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-4096), io.SeekStart)
	}
	data, _ := io.ReadAll(io.LimitReader(f, 4096))
	return lastLine(string(data), "its log is empty")
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
