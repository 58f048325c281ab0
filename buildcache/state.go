package buildcache

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A state tells whether a file is still the one that was looked at: every
// change of its bytes changes one of these, as far as the clock of the file
// system ticks. The time of the last change of the inode cannot be set by hand.
type state struct {
	Size  int64  `json:"s"`
	Inode uint64 `json:"i"`
	Mtime int64  `json:"m"` // ns
	Ctime int64  `json:"c"` // ns
}

func stateOf(u *unix.Stat_t) state {
	return state{u.Size, u.Ino, u.Mtim.Nano(), u.Ctim.Nano()}
}

func plain(u *unix.Stat_t) bool { return u.Mode&unix.S_IFMT == unix.S_IFREG }

// lookAt returns the state of what stands at path, and whether it is a plain
// file. It follows no link.
func lookAt(path string) (s state, ok bool, err error) {
	var u unix.Stat_t
	if err := unix.Lstat(path, &u); err != nil {
		return state{}, false, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return stateOf(&u), plain(&u), nil
}

// openPlain opens a plain file, and no link, pipe or device: a pipe would be
// waited for without end.
func openPlain(path string) (*os.File, state, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, state{}, err
	}
	s, ok, err := lookInto(file)
	if err == nil && !ok {
		err = &os.PathError{Op: "open", Path: path, Err: errors.New("is no plain file")}
	}
	if err != nil {
		file.Close()
		return nil, state{}, err
	}
	return file, s, nil
}

// lookInto is lookAt for an open file.
func lookInto(file *os.File) (state, bool, error) {
	var u unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &u); err != nil {
		return state{}, false, &os.PathError{Op: "fstat", Path: file.Name(), Err: err}
	}
	return stateOf(&u), plain(&u), nil
}

// readBounded reads a plain file of at most limit bytes.
func readBounded(dir, path string, limit int64) ([]byte, error) {
	file, _, err := openPlain(filepath.Join(dir, path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errTooLarge
	}
	return data, err
}

var errTooLarge = errors.New("larger than anything that a cache has there")
