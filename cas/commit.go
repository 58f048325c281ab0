package cas

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Commit gives the bytes their place as the content of d, after it has proved
// that they are and has brought them to the disk. Content that is there already
// stays or is replaced, which is the same. An error of kind fault.Corrupt says
// that the bytes are others; the writer goes on, and may be written and
// committed again. An error of kind fault.Resource says that the store cannot
// keep them: the disk failed, or the content is larger than the store's limit.
// Either way the bytes can still be read from the writer. After a commit
// nothing more is written.
func (w *Writer) Commit(d digest.Digest) error {
	if err := w.store.check(d); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.gate.Lock()
	defer w.gate.Unlock()
	size, err := w.ready(d)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if limit := w.store.limit; limit > 0 && size > limit {
		return resource("commit", fmt.Errorf("%d bytes are more than the %d that the store may hold in all", size, limit))
	}
	if err := w.verifyLocked(d); err != nil {
		return err
	}
	path := w.store.place("blobs", d)
	if w.store.proven(d, path) {
		w.moved(path)
		_ = os.Remove(w.file.Name()) // a sweep would find it, too
		w.store.use(d, w.store.proofOf(d))
		return nil
	}
	if err := w.install(path); err != nil {
		return w.fail(resource("commit", err))
	}
	w.moved(path)
	w.store.installed(d, w.file, size)
	return nil
}

// ready returns the size of what may be committed.
func (w *Writer) ready(d digest.Digest) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.place != "" && w.proved == d {
		return 0, errors.New("it is committed already")
	}
	return w.size, w.writableLocked()
}

func (w *Writer) moved(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.place = path
}

// fail remembers err: what the disk did not take once is not trusted to it a
// second time. After an fsync that failed, the next one succeeds, and the bytes
// are gone.
func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = first(w.failed, err)
	return err
}

// install brings the file to the disk and then to path.
func (w *Writer) install(path string) error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	return w.store.rename(w.file.Name(), path)
}

// rename moves a file of the spool to path, lastingly. What is no file at path
// is set aside.
func (s *Store) rename(from, path string) error {
	folder := filepath.Dir(path)
	move := func() error { return os.Rename(from, path) }
	err := s.withFolder(folder, move)
	if info, lerr := os.Lstat(path); err != nil && lerr == nil && info.IsDir() {
		s.setAside(path)
		err = move()
	}
	if err != nil {
		return err
	}
	return syncDir(folder)
}

// proven reports whether the file at path is one that this process knows to be
// the content of d.
func (s *Store) proven(d digest.Digest, path string) bool {
	p, ok := s.proofs.Load(d)
	if !ok {
		return false
	}
	var u unix.Stat_t
	v := p.(*proof).known.Load()
	return v != nil && v.good && unix.Lstat(path, &u) == nil && stampFrom(&u) == v.stamp
}

// installed makes f, which was just renamed to its place, known as the proved
// content of d, and makes room for it.
func (s *Store) installed(d digest.Digest, f *os.File, size int64) {
	p := s.proofOf(d)
	if u, err := inode(f); err == nil && u.Size == size {
		p.known.Store(&verdict{stamp: stampFrom(u), good: true})
	}
	now := time.Now()
	p.used.Store(now.UnixNano())
	s.mark(s.place("used", d), now)
	if s.blobs.add(blocks(size)) {
		s.makeRoom(d)
	}
}

// Close discards what was not committed. It may be called more than once, and
// its error says nothing about what was committed before.
func (w *Writer) Close() error {
	w.gate.Lock()
	defer w.gate.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	var err error
	if w.place == "" {
		if err = os.Remove(w.file.Name()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return errors.Join(err, w.file.Close())
}

// File opens what the writer holds as a file with an offset of its own, which
// stays readable after the writer is closed. Its bytes are content of a digest
// once Verify or Commit has said so; Commit may run, or have failed. The caller
// closes it.
func (w *Writer) File() (*Content, error) {
	w.mu.Lock()
	size, place := w.size, w.place
	w.mu.Unlock()
	u, err := inode(w.file)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	st := stampFrom(u)
	for _, open := range []func() (*os.File, error){
		func() (*os.File, error) { return os.OpenFile(w.file.Name(), readFlags, 0) },
		func() (*os.File, error) { return os.OpenFile(place, readFlags, 0) },
		w.reopen,
	} {
		f, err := open()
		if err != nil {
			continue
		}
		if u, err := inode(f); err == nil && uint64(u.Dev) == st.dev && u.Ino == st.ino {
			return &Content{File: f, Size: size}, nil
		}
		_ = f.Close() // only read
	}
	return nil, fmt.Errorf("open spool: %w", fs.ErrNotExist)
}

// reopen opens the file by its descriptor, where the system has a way to: that
// works also for a file that has lost its name.
func (w *Writer) reopen() (f *os.File, err error) {
	conn, err := w.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := conn.Control(func(fd uintptr) {
		f, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}); cerr != nil {
		return nil, cerr
	}
	return f, err
}

// Put stores what r gives, up to its end, as the content of d. An error of kind
// fault.Corrupt says that it is not that, one of kind fault.Resource that the
// store cannot keep it; an error of r's comes as it is.
func (s *Store) Put(d digest.Digest, r io.Reader) error {
	if err := s.check(d); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	w, err := s.Create()
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	defer func() { _ = w.Close() }() // what counts was said by Commit
	if s.limit > 0 {
		r = io.LimitReader(r, s.limit+1) // Commit refuses what is longer
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	if _, err := io.CopyBuffer(w, r, buf[:]); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if err := w.Commit(d); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return nil
}
