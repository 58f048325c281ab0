package cas

import (
	"hash"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
)

// A proof is what this process knows about the entry of one digest: which file
// it hashed last, and whether it was the content. Its lock lets one goroutine
// hash while the others who want the same wait for its word.
type proof struct {
	known atomic.Pointer[verdict]
	used  atomic.Int64 // when a use was last marked on disk, in Unix nanoseconds
	mu    sync.Mutex   // held while hashing
}

// A verdict says whether the file of a stamp has the bytes of its digest.
type verdict struct {
	stamp stamp
	good  bool
}

func (s *Store) proofOf(d digest.Digest) *proof {
	if p, ok := s.proofs.Load(d); ok {
		return p.(*proof)
	}
	p, _ := s.proofs.LoadOrStore(d, new(proof))
	return p.(*proof)
}

// holds reports whether f, whose stamp is st, has the bytes of d. A file that
// cannot be read to its end does not.
func (p *proof) holds(f *os.File, st stamp, d digest.Digest) bool {
	if v := p.known.Load(); v != nil && v.stamp == st {
		return v.good
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.known.Load(); v != nil && v.stamp == st {
		return v.good
	}
	h := d.Algorithm().Hash()
	n, err := hashRange(h, f, 0, st.size)
	good := err == nil && n == st.size && digest.NewDigest(d.Algorithm(), h) == d
	// What changed while it was read is judged again next time: an eviction
	// changes the inode only, and these bytes are good all the same.
	if u, err := inode(f); err == nil && stampFrom(u) == st {
		p.known.Store(&verdict{stamp: st, good: good})
	}
	return good
}

// useEvery is how exactly last uses are kept: a second tells the layers of one
// build from those of another, and spares a hot entry a write per request.
const useEvery = time.Second

// use records on disk that d was used now.
func (s *Store) use(d digest.Digest, p *proof) {
	now := time.Now()
	if since := now.UnixNano() - p.used.Load(); since >= 0 && since < int64(useEvery) {
		return
	}
	p.used.Store(now.UnixNano())
	s.mark(s.place("used", d), now)
}

const bufferSize = 1 << 20

// buffers are large, since hashing is as fast as memory and each read is a
// system call.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// hashRange feeds bytes from off to end of r to h, and returns how many there
// were.
func hashRange(h hash.Hash, r io.ReaderAt, off, end int64) (n int64, err error) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for off+n < end {
		p := buf[:min(int64(len(buf)), end-off-n)]
		m, err := r.ReadAt(p, off+n)
		h.Write(p[:m])
		n += int64(m)
		if err != nil && !(err == io.EOF && off+n == end) {
			return n, err
		}
	}
	return n, nil
}
