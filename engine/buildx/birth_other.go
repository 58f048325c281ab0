//go:build unix && !linux

package buildx

import (
	"os"
	"syscall"
)

// birth reports an error where the process has ended. Only Linux runs a
// buildkitd of Outlast's own; elsewhere nothing better is needed.
func birth(pid int) (uint64, error) {
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return 0, os.ErrProcessDone
	}
	return 1, nil
}
