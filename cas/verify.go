package cas

import (
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// Verify fails with an error of kind fault.Corrupt unless the bytes are those
// of d. What is verified may be served while Commit waits for the disk.
func (w *Writer) Verify(d digest.Digest) error {
	if err := w.store.check(d); err != nil {
		return fmt.Errorf("verify spool: %w", err)
	}
	w.gate.Lock()
	defer w.gate.Unlock()
	return w.verifyLocked(d)
}

// verifyLocked hashes what was not hashed while it was written. It holds gate.
func (w *Writer) verifyLocked(d digest.Digest) error {
	w.mu.Lock()
	size, known, restart := w.size, w.proved == d, w.rewritten
	w.mu.Unlock()
	if known {
		return nil
	}
	if err := w.cutTail(size); err != nil {
		return resource("read spool", err)
	}
	h, from := w.hash, w.hashed
	if own := d.Algorithm() != digest.SHA256; own || restart {
		if from = 0; own {
			h = d.Algorithm().Hash()
		} else {
			h.Reset()
		}
	}
	n, err := hashRange(h, w.file, from, size)
	if h == w.hash {
		w.hashed = from + n
	}
	if err == nil && from+n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return resource("read spool", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h == w.hash {
		w.rewritten = false
	}
	if got := digest.NewDigest(d.Algorithm(), h); got != d {
		return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf("%d bytes have the digest %s, want %s", size, got, d)}
	}
	w.proved = d
	return nil
}

// cutTail takes off what a write that failed half-way has left beyond the
// content: the system may have written more than it owned up to.
func (w *Writer) cutTail(size int64) error {
	u, err := inode(w.file)
	if err == nil && u.Size > size {
		err = w.file.Truncate(size)
	}
	return err
}
