package cas

import (
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// A Writer is content on its way into the store: a file in the store's spool
// that nobody else sees. WriteAt and ReadAt may be called at once from many
// goroutines for ranges that do not meet; the other methods wait for writes
// that run. The caller closes it, committed or not.
//
// A writer remembers the first write that failed, and commits nothing after
// it. What it holds can be read until it is closed, whatever failed.
type Writer struct {
	store *Store
	file  *os.File
	gate  sync.RWMutex // shared by writes; taken whole where the bytes must stand still

	mu        sync.Mutex
	size      int64         // bytes
	next      int64         // where Write goes on
	claimed   spans         // what was or is being written
	written   spans         // what was written
	rewritten bool          // something was written twice: no hash so far counts
	proved    digest.Digest // what the bytes are known to be; "" after a write
	place     string        // where the content stands once it is committed
	failed    error         // the first failure of the disk
	closed    bool

	hashing sync.Mutex
	hash    hash.Hash // of the first hashed bytes
	hashed  int64
}

// Create returns a writer for new content. Its error is of kind
// fault.Resource where the store cannot be written.
func (s *Store) Create() (*Writer, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("create spool: %w", fs.ErrClosed)
	}
	f, err := s.spool()
	if err != nil {
		return nil, resource("create spool", err)
	}
	return &Writer{store: s, file: f, hash: digest.SHA256.Hash()}, nil
}

// resource makes a failure of the store's disk known as what it is: nothing
// that another upstream would help.
func resource(op string, err error) error {
	return &fault.Error{Op: op, Kind: fault.Resource, Err: err}
}

// Write appends after what was written by Write so far, hashing as it goes. It
// must not be called from several goroutines at once.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	off := w.next
	w.mu.Unlock()
	n, err := w.WriteAt(p, off)
	w.mu.Lock()
	w.next = off + int64(n)
	w.mu.Unlock()
	return n, err
}

// WriteAt writes p at off. Its error is of kind fault.Resource.
func (w *Writer) WriteAt(p []byte, off int64) (int, error) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if err := w.claim(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	n, err := w.file.WriteAt(p, off)
	if err != nil {
		err = resource("write spool", err)
	}
	w.mu.Lock()
	w.written.add(off, off+int64(n))
	w.size = max(w.size, off+int64(n))
	w.failed = first(w.failed, err)
	w.mu.Unlock()
	w.hashOn(p[:n], off)
	return n, err
}

// claim announces a write of n bytes at off.
func (w *Writer) claim(off, n int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writableLocked(); err != nil {
		return err
	}
	if off < 0 || off > math.MaxInt64-n {
		return fmt.Errorf("write spool: offset %d, %d bytes: out of range", off, n)
	}
	if w.claimed.meets(off, off+n) {
		w.rewritten = true
	}
	w.claimed.add(off, off+n)
	w.proved = ""
	return nil
}

func (w *Writer) writableLocked() error {
	switch {
	case w.closed:
		return fmt.Errorf("write spool: %w", fs.ErrClosed)
	case w.place != "":
		return errors.New("write spool: it is committed")
	}
	return w.failed
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// hashOn takes the hash forward over p, which was written at off, and then over
// what others wrote beyond: at most twice as much, so that no write is held up
// and the hash still keeps up with ranges that arrive in parallel.
func (w *Writer) hashOn(p []byte, off int64) {
	if !w.hashing.TryLock() {
		return
	}
	defer w.hashing.Unlock()
	w.mu.Lock()
	front, skip := w.written.front(), w.rewritten
	w.mu.Unlock()
	if skip {
		return
	}
	if off == w.hashed {
		w.hash.Write(p)
		w.hashed += int64(len(p))
	}
	n, _ := hashRange(w.hash, w.file, w.hashed, min(front, w.hashed+2*int64(len(p))))
	w.hashed += n
}

// ReadAt reads what was written. It may be called while writes run.
func (w *Writer) ReadAt(p []byte, off int64) (int, error) { return w.file.ReadAt(p, off) }

// Size returns how many bytes the content has so far, gaps included.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Truncate makes the content size bytes long. Write goes on there, if it was
// beyond.
func (w *Writer) Truncate(size int64) error {
	w.gate.Lock()
	defer w.gate.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writableLocked(); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("truncate spool: %d bytes: out of range", size)
	}
	if err := w.file.Truncate(size); err != nil {
		w.failed = resource("truncate spool", err)
		return w.failed
	}
	w.size, w.next, w.proved = size, min(w.next, size), ""
	w.claimed.cut(size)
	w.written.cut(size)
	if w.hashed > size {
		w.hash.Reset()
		w.hashed = 0
	}
	return nil
}
