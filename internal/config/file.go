package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFile bounds a settings file, in bytes. A file with every registry there
// is stays far below; the parser's work grows with more than the length.
const maxFile = 64 << 10

// readFile reads the settings file at path. Where it is missing, that is an
// error only if somebody named it.
func (l *loader) readFile(path string, s Source, named bool) {
	text, err := readBounded(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return
	case errors.Is(err, fs.ErrNotExist):
		l.problem(s, "", "no such file")
		return
	case err != nil:
		l.problem(s, "", err.Error())
		return
	}
	l.files = append(l.files, s.Name)
	l.readText(text, s, place{dir: filepath.Dir(path), home: l.home()})
}

// readBounded reads a regular file of at most maxFile bytes. It does not wait
// for a pipe that lies in its place.
func readBounded(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, bare(err)
	case info.IsDir():
		return nil, errors.New("is a folder, not a file")
	case !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("is larger than %s", formatSize(maxFile))
	}
	return text, nil
}

// bare takes the path off an error of the file system: its messages name the
// file already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
