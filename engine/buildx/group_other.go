//go:build unix && !linux

package buildx

import (
	"os"
	"os/exec"
	"syscall"
)

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func holdThread() func() { return func() {} }

// A group is a process group, by the process that leads it.
type group int

func (g group) signal(s os.Signal) {
	if n, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(-int(g), n) // ESRCH: it has ended
	}
}

func reap(cmd *exec.Cmd, g group) error {
	err := cmd.Wait()
	g.signal(syscall.SIGKILL)
	return err
}
