package buildx

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupAttr puts a child into a process group of its own, and has the kernel
// kill it when the thread that started it ends, as it does when this process
// is killed.
func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// holdThread keeps the calling goroutine on its thread until the function that
// it returns is called: Pdeathsig counts the end of a thread as the parent's.
func holdThread() func() {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// A group is a process group, by the process that leads it.
type group int

func (g group) signal(s os.Signal) {
	if n, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(-int(g), n) // ESRCH: it has ended
	}
}

// reap waits for the child, and kills what it has left behind: while the child
// is not waited for, its number, which is its group's, is given to nobody else.
func reap(cmd *exec.Cmd, g group) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	g.signal(syscall.SIGKILL)
	return cmd.Wait()
}
