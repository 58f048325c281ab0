package cas

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// readFlags open what is expected to be a plain file: a symbolic link is an
// error, and a named pipe does not block.
const readFlags = os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// A stamp changes whenever somebody changes the file, as far as the clock of
// the file system ticks (a few milliseconds): the time of the last change of
// the inode cannot be set by hand.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func stampFrom(u *unix.Stat_t) stamp {
	return stamp{dev: uint64(u.Dev), ino: u.Ino, size: u.Size, mtime: u.Mtim, ctime: u.Ctim}
}

func regular(u *unix.Stat_t) bool { return u.Mode&unix.S_IFMT == unix.S_IFREG }

// inode returns what the file system knows about f.
func inode(f *os.File) (*unix.Stat_t, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	u := new(unix.Stat_t)
	if cerr := conn.Control(func(fd uintptr) { err = unix.Fstat(int(fd), u) }); cerr != nil {
		err = cerr
	}
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return u, nil
}

// samePlace reports whether path leads to the file of st.
func samePlace(path string, st stamp) bool {
	var u unix.Stat_t
	return unix.Lstat(path, &u) == nil && uint64(u.Dev) == st.dev && u.Ino == st.ino
}

// lock takes the exclusive lock of f, which ends with the last descriptor of
// f's: also when the process is killed. Unless wait is set, a lock that is held
// elsewhere is syscall.EWOULDBLOCK.
func lock(f *os.File, wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := conn.Control(func(fd uintptr) {
		for {
			if err = unix.Flock(int(fd), how); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}); cerr != nil {
		err = cerr
	}
	if err != nil {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

// withFolder runs do, and once more with the folder made where do did not find
// it: the folders of a store are made when they are needed, also again when
// somebody deleted the store while it was open.
func (s *Store) withFolder(folder string, do func() error) error {
	err := do()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(folder, dirMode); err != nil {
		return err
	}
	for parent := filepath.Dir(folder); len(parent) >= len(s.dir); parent = filepath.Dir(parent) {
		if err := syncDir(parent); err != nil {
			return err
		}
		if parent == filepath.Dir(parent) {
			break
		}
	}
	return do()
}

// syncDir makes renames within dir last through a loss of power. File systems
// that cannot do that for a directory say EINVAL.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	_ = f.Close() // only read
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// mark makes the file at path, which is empty, carry the time at. A store that
// cannot be written is not marked: that costs order, never content.
func (s *Store) mark(path string, at time.Time) {
	if err := os.Chtimes(path, at, at); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	_ = s.withFolder(filepath.Dir(path), func() error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, fileMode)
		if err != nil {
			return err
		}
		_ = f.Close() // nothing was written
		return os.Chtimes(path, at, at)
	})
}
