package fetch

import (
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// A proof tells whether what a sink holds matches a digest.
type proof interface {
	// reach says that everything before front is written.
	reach(front int64)
	// matches reports whether the first size bytes, which are written and all
	// there is, are what the digest says. An error is the sink's.
	matches(size int64) (bool, error)
	// wrong says what was found, after matches said no: "do not match …".
	wrong() error
	// stop ends the use of the sink.
	stop()
}

// newProof returns a proof of what is asked for in w. buf is used until it is
// stopped.
func newProof(w Sink, a *Ask, buf []byte) proof {
	if a.Digest == "" {
		return &askersProof{w: w, prove: a.Prove}
	}
	if v, ok := w.(verifier); ok {
		return ownProof{v, a.Digest}
	}
	return newProver(w, a.Digest, buf)
}

// askersProof is that of who asked, for content without a digest.
type askersProof struct {
	w      Sink
	prove  func(io.ReaderAt, int64) error
	found  error
	broken error // of the sink
}

func (p *askersProof) reach(int64)  {}
func (p *askersProof) stop()        {}
func (p *askersProof) wrong() error { return fmt.Errorf("cannot be right: %w", p.found) }

// ReadAt reads from the sink, and remembers where that failed: it is no fault
// of the content.
func (p *askersProof) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.w.ReadAt(b, off)
	if err != nil && err != io.EOF {
		p.broken = err
	}
	return n, err
}

func (p *askersProof) matches(size int64) (bool, error) {
	if err := cut(p.w, size); err != nil {
		return false, err
	}
	p.found = p.prove(p, size)
	switch {
	case p.broken != nil:
		return false, sinkError("read back", p.broken)
	case fault.Of(p.found) == fault.Resource:
		return false, p.found
	}
	return p.found == nil, nil
}

// A verifier is a sink that hashes what it is given as it comes, such as
// *cas.Writer. Its Verify fails with an error of kind fault.Corrupt where all
// that it holds does not match.
type verifier interface {
	Verify(digest.Digest) error
}

type ownProof struct {
	v verifier
	d digest.Digest
}

func (p ownProof) reach(int64)  {}
func (p ownProof) stop()        {}
func (p ownProof) wrong() error { return errNoMatch(p.d) }

func (p ownProof) matches(size int64) (bool, error) {
	if err := cut(p.v, size); err != nil {
		return false, err
	}
	err := p.v.Verify(p.d)
	if fault.Of(err) == fault.Corrupt {
		return false, nil
	}
	return err == nil, sinkError("read back", err)
}

// cut takes off what w may hold beyond size, from an earlier copy.
func cut(w any, size int64) error {
	t, ok := w.(interface{ Truncate(int64) error })
	if !ok {
		return nil
	}
	if s, ok := w.(interface{ Size() int64 }); ok && s.Size() == size {
		return nil
	}
	return sinkError("truncate", t.Truncate(size))
}

// sinkError makes an error of a sink known as one.
func sinkError(op string, err error) error {
	if err == nil || fault.Of(err) == fault.Resource {
		return err
	}
	return &fault.Error{Op: op, Kind: fault.Resource, Err: err}
}

// A prover hashes what a sink holds, from the beginning on, while the rest is
// still coming. It reads back what was written, which is in memory still: so
// parts may come in any order, and no transfer waits for the hash.
type prover struct {
	w   io.ReaderAt
	d   digest.Digest
	buf []byte

	mu      sync.Mutex
	change  sync.Cond
	front   int64 // may be read up to here
	running bool
	stopped bool
	hash    hash.Hash
	at      int64 // hashed up to here
	err     error
}

// behind is how much is left to the end where that is quicker than a goroutine.
const behind = 1 << 20

func newProver(w io.ReaderAt, d digest.Digest, buf []byte) *prover {
	p := &prover{w: w, d: d, buf: buf, hash: d.Algorithm().Hash()}
	p.change.L = &p.mu
	return p
}

func (p *prover) reach(front int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.front = max(p.front, front)
	if !p.running && !p.stopped && p.front-p.at >= behind {
		p.running = true
		go p.follow()
	}
	p.change.Broadcast()
}

func (p *prover) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.stopped && p.err == nil {
		if p.at == p.front {
			p.change.Broadcast() // who waits for matches
			p.change.Wait()
			continue
		}
		p.stepLocked()
	}
	p.running = false
	p.change.Broadcast()
}

// stepLocked hashes one buffer, without the lock.
func (p *prover) stepLocked() {
	at, n := p.at, min(p.front-p.at, int64(len(p.buf)))
	p.mu.Unlock()
	got, err := p.w.ReadAt(p.buf[:n], at)
	p.hash.Write(p.buf[:got])
	p.mu.Lock()
	p.at += int64(got)
	if int64(got) < n {
		p.err = sinkError("read back", err)
	}
}

func (p *prover) matches(size int64) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.front = size
	p.change.Broadcast()
	for p.at < p.front && p.err == nil {
		if p.running {
			p.change.Wait()
			continue
		}
		p.stepLocked()
	}
	return digest.NewDigest(p.d.Algorithm(), p.hash) == p.d, p.err
}

func (p *prover) wrong() error { return errNoMatch(p.d) }

func (p *prover) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.change.Broadcast()
	for p.running {
		p.change.Wait()
	}
}
