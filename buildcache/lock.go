package buildcache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/fault"
)

// lockFile is held shared by BuildKit's exporter while it writes to a cache
// (cacheExportStore in its client package, since 0.34), and never removed.
const lockFile = "cache.lock"

// locks reports whether who exports to dir takes the lock: the file is there.
func locks(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, lockFile))
	return err == nil
}

// patience is how long a lock is waited for where ctx has no end of its own:
// an export takes seconds.
const patience = 10 * time.Second

// acquire keeps everybody else from changing dir until release is called: other
// processes of ours by a lock on the folder itself, BuildKit's exporters by
// their own. It leaves no file behind.
func acquire(ctx context.Context, dir string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own, err := lockFolder(ctx, dir, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	exports, err := flock(ctx, filepath.Join(dir, lockFile), unix.O_NOFOLLOW|unix.O_NONBLOCK, unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return func() { own.Close() }, nil
	}
	if err != nil {
		own.Close()
		return nil, err
	}
	return func() { exports.Close(); own.Close() }, nil
}

// lockFolder locks the folder that stands at dir: one that another took the
// place of meanwhile is let go again.
func lockFolder(ctx context.Context, dir string, how int) (*os.File, error) {
	for {
		lock, err := flock(ctx, dir, unix.O_DIRECTORY, how)
		if err != nil {
			return nil, err
		}
		mine, err := lock.Stat()
		there, thereErr := os.Stat(dir)
		if err == nil && thereErr == nil && os.SameFile(mine, there) {
			return lock, nil
		}
		lock.Close()
		if err := errors.Join(err, thereErr); err != nil {
			return nil, err
		}
	}
}

// flock opens path and waits for its lock until ctx ends. Closing the file lets
// go of it.
func flock(ctx context.Context, path string, flags, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return nil, err
		}
		return nil, failed("lock", path, err)
	}
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return file, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			file.Close()
			return nil, failed("lock", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, &fault.Error{Op: "lock cache", Kind: fault.Resource, Err: fmt.Errorf("%s is in use by another process", path)}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// failed makes an error of the file system one with a kind: Config for what
// the user can mend by naming another place, Resource for what the machine
// lacks.
func failed(op, dir string, err error) error {
	if err == nil {
		return nil
	}
	kind := fault.Resource
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		kind = fault.Config
	}
	return &fault.Error{Op: op + " cache", Kind: kind, Err: fmt.Errorf("%s: %w", dir, err)}
}
