package buildx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

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
