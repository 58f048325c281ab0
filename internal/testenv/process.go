package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// grace is how long a daemon has to end after SIGTERM. A buildkitd that a
// remote cache has wedged never ends by itself, so this is waited out there.
const grace = 3 * time.Second

// startLimit is how long a daemon may take until it answers. They take less
// than a second on an idle machine; a busy one with two cores was seen at ten.
const startLimit = 60 * time.Second

// initScript is process 1 of the namespaces of a daemon. It hands SIGTERM on
// and reaps what the daemon's children leave behind. When it dies, the kernel
// kills all that is in its process namespace and forgets all that is mounted in its mount
// namespace: nothing can be left over.
//
// Its first argument is a folder to hide below an empty one, or nothing:
// containerd and dockerd leave sockets in /run whatever they are told.
const initScript = `
mount --make-rprivate / && mount -t proc proc /proc || exit 125
[ -z "$1" ] || mount -t tmpfs tmpfs "$1" || exit 125
shift
"$@" &
child=$!
trap 'kill -TERM $child' TERM
wait $child
code=$?
while kill -0 $child 2>/dev/null; do
	wait $child
	code=$?
done
exit $code
`

// A process is a child that cannot outlive this process.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	done    chan struct{} // closed after the end of the child, when err is set
	err     error
}

// start starts a child whose output goes to logPath.
func start(name, logPath string, env []string, argv ...string) (*process, error) {
	return startAttr(name, logPath, &syscall.SysProcAttr{}, env, argv...)
}

// startContained starts a child in a process namespace and a mount namespace
// of its own, where the folder hidden, unless empty, is an empty one.
func startContained(name, logPath, hidden string, env []string, argv ...string) (*process, error) {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return startAttr(name, logPath, attr, env, append([]string{"/bin/sh", "-c", initScript, "init", hidden}, argv...)...)
}

func startAttr(name, logPath string, attr *syscall.SysProcAttr, env []string, argv ...string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = attr
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	p := &process{name: name, cmd: cmd, logPath: logPath, done: make(chan struct{})}

	// The kernel sends the death signal when the thread that started the child
	// ends, so that thread is kept until the child has ended.
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// ready waits until check succeeds. When the child ends first, or ctx does, or
// the time is up, it stops the child and fails with the end of its log.
func (p *process) ready(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("no answer within %v", startLimit))
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended (%v):\n%s", p.name, p.err, p.tail())
		case <-ctx.Done():
			p.stop(0)
			return fmt.Errorf("%s: %w (%w):\n%s", p.name, context.Cause(ctx), err, p.tail())
		case <-tick.C:
		}
	}
}

// stop ends the child: SIGTERM, and SIGKILL where it still lives after d.
func (p *process) stop(d time.Duration) {
	if d > 0 {
		p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-p.done:
			return
		case <-timer.C:
		}
	}
	p.cmd.Process.Kill()
	<-p.done
}

// log returns at most the last megabyte of what the child printed.
func (p *process) log() string {
	const most = 1 << 20
	f, err := os.Open(p.logPath)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size > most {
		f.Seek(-most, io.SeekEnd)
	} else {
		f.Seek(0, io.SeekStart)
	}
	all, _ := io.ReadAll(io.LimitReader(f, most))
	return string(all)
}

func (p *process) tail() string {
	lines := strings.Split(strings.TrimSpace(p.log()), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// removeAll removes a daemon's folder. What was mounted there in a namespace
// that has just ended may still be going away, so it tries for a little.
func removeAll(dir string) error {
	var err error
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// cgroups returns the folders of the control group of that name, one in each hierarchy
// that has it.
func cgroups(name string) []string {
	one, _ := filepath.Glob("/sys/fs/cgroup/" + name)
	each, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	return append(one, each...)
}

// removeCgroups removes control groups with all below them. They must have no
// processes; one that has some stays.
func removeCgroups(roots []string) {
	for _, root := range roots {
		var dirs []string
		filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			os.Remove(dir)
		}
	}
}

// Run runs a command to its end and returns what it printed on both outputs;
// the error carries the last lines of that. ctx ends it.
func Run(ctx context.Context, env []string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		last := bytes.Join(lines[max(0, len(lines)-10):], []byte("\n"))
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			last = nil
		}
		return string(out), fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, last)
	}
	return string(out), nil
}
