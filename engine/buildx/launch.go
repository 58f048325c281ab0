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
)

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
