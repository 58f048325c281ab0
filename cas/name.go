package cas

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

// Bounds of a name and of its record, in bytes.
const (
	MaxName   = 4 << 10
	MaxRecord = 64 << 10
)

// A Name says which content a name stands for, and what else is to be known
// about it. The content need not be stored.
type Name struct {
	Digest    digest.Digest
	MediaType string
	Size      int64     // bytes
	At        time.Time // when it was last known to be so
	Note      map[string]string
}

// Name returns what was last set for name. The error is fs.ErrNotExist where
// nothing was, and also where the record cannot be believed.
func (s *Store) Name(name string) (Name, error) {
	if s.closed.Load() {
		return Name{}, fmt.Errorf("name: %w", fs.ErrClosed)
	}
	stored, n, err := readRecord(s.namePlace(name))
	if err != nil {
		return Name{}, fmt.Errorf("name %.200q: %w", name, err)
	}
	if stored != name {
		return Name{}, fmt.Errorf("name %.200q: the record is that of another: %w", name, fs.ErrNotExist)
	}
	return n, nil
}

// SetName makes name stand for n, at once for every reader. The name may be any
// string of up to MaxName bytes; the texts in n are valid UTF-8, and all
// together are within MaxRecord. The time is kept in UTC. A store that cannot
// be written is an error of kind fault.Resource.
func (s *Store) SetName(name string, n Name) error {
	if err := s.check(n.Digest); err != nil {
		return fmt.Errorf("set name: %w", err)
	}
	record, err := encodeRecord(name, n)
	if err != nil {
		return fmt.Errorf("set name %.200q: %w", name, err)
	}
	if err := s.replace(s.namePlace(name), record); err != nil {
		return resource("set name", err)
	}
	if s.names.add(blocks(int64(len(record)))) {
		s.makeRoom("")
	}
	return nil
}

// replace puts data at path in one step.
func (s *Store) replace(path string, data []byte) error {
	f, err := s.spool()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // synced before it counts
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // a sweep would find it, too
	}
	return err
}

// Remove forgets name. The content stays until it is not used for long. To
// remove what is not there is no error.
func (s *Store) Remove(name string) error {
	if s.closed.Load() {
		return fmt.Errorf("remove name: %w", fs.ErrClosed)
	}
	if err := os.Remove(s.namePlace(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return resource("remove name", err)
	}
	return nil
}

// Names lists the names that begin with prefix, in order. It reads the record
// of every name.
func (s *Store) Names(prefix string) ([]string, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("list names: %w", fs.ErrClosed)
	}
	folder := filepath.Join(s.dir, "names")
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list names: %w", err)
	}
	var names []string
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		name, _, err := readRecord(path)
		if err == nil && s.namePlace(name) == path && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Changed returns when a name was last set or removed, by any process and by
// the clock of the disk: the zero time where none ever was. Changes within one
// tick of that clock, some milliseconds, have the same time.
func (s *Store) Changed() (time.Time, error) {
	if s.closed.Load() {
		return time.Time{}, fmt.Errorf("look at names: %w", fs.ErrClosed)
	}
	info, err := os.Stat(filepath.Join(s.dir, "names"))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look at names: %w", err)
	}
	return info.ModTime(), nil
}

// namePlace returns where the record of name stands: any string is as good as
// any other in a path of its hash.
func (s *Store) namePlace(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(s.dir, "names", hex.EncodeToString(sum[:]))
}

// readRecord reads the record at path. What is no record is fs.ErrNotExist.
func readRecord(path string) (string, Name, error) {
	f, err := os.OpenFile(path, readFlags, 0)
	if errors.Is(err, syscall.ELOOP) { // a symbolic link: nothing of ours
		err = fmt.Errorf("no record: %w", fs.ErrNotExist)
	}
	if err != nil {
		return "", Name{}, err
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, MaxRecord+1))
	if err != nil {
		return "", Name{}, fmt.Errorf("unreadable (%w): %w", err, fs.ErrNotExist)
	}
	name, n, err := decodeRecord(data)
	if err != nil {
		return "", Name{}, fmt.Errorf("no record (%w): %w", err, fs.ErrNotExist)
	}
	return name, n, nil
}
