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

// Digest returns the SHA-256 digest of the bytes as they are. Its error is of
// kind fault.Resource.
func (w *Writer) Digest() (digest.Digest, error) {
	w.gate.Lock()
	defer w.gate.Unlock()
	return w.sumLocked(digest.SHA256)
}

// verifyLocked fails unless the bytes are those of d. It holds gate.
func (w *Writer) verifyLocked(d digest.Digest) error {
	w.mu.Lock()
	size, known := w.size, w.proved == d
	w.mu.Unlock()
	if known {
		return nil
	}
	got, err := w.sumLocked(d.Algorithm())
	if err != nil {
		return err
	}
	if got != d {
		return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf("%d bytes have the digest %s, want %s", size, got, d)}
	}
	return nil
}

// sumLocked hashes what was not hashed while it was written, and remembers
// what the bytes are. It holds gate.
func (w *Writer) sumLocked(alg digest.Algorithm) (digest.Digest, error) {
	w.mu.Lock()
	size, restart := w.size, w.rewritten
	w.mu.Unlock()
	if err := w.cutTail(size); err != nil {
		return "", resource("read spool", err)
	}
	h, from := w.hash, w.hashed
	if own := alg != digest.SHA256; own || restart {
		if from = 0; own {
			h = alg.Hash()
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
		return "", resource("read spool", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h == w.hash {
		w.rewritten = false
	}
	w.proved = digest.NewDigest(alg, h)
	return w.proved, nil
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
