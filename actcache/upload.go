package actcache

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
)

// An upload is an entry in the making: a key that was reserved, and what was
// sent for it so far. The bytes go to one file in the order in which they
// come; parts say what of it is the content.
type upload struct {
	entry
	id   string // opens the upload, together with a signature
	most int64  // bytes

	gate sync.RWMutex // shared by writes; taken whole where the parts must stand still

	mu     sync.Mutex
	w      *cas.Writer     // nil once it was finished or given up
	next   int64           // where the next bytes go
	blocks map[string]part // by the name that the client gave
	ranges map[int64]part  // of version 1, by where they belong
	parts  []part          // the content, in order
	whole  bool            // parts are set
	lost   bool            // the disk failed: nothing will come of it
	used   time.Time
}

// A part is a range of the file.
type part struct{ off, size int64 }

// errSpace is a request for more than an upload may have.
var errSpace = errors.New("more than an entry may have")

// errShort is a body that ended early.
var errShort = errors.New("the body ended early")

// put writes a body of size bytes, at the end of the file or, where at is not
// negative, there. What the disk does not take is read and dropped: a client
// whose cache cannot be kept goes on all the same.
func (u *upload) put(body io.Reader, size, at int64) (part, error) {
	u.gate.RLock()
	defer u.gate.RUnlock()
	p, w, err := u.take(size, at)
	if err != nil {
		return part{}, err
	}
	buf := make([]byte, min(size, 256<<10))
	for off := p.off; off < p.off+size; {
		n, err := io.ReadFull(body, buf[:min(int64(len(buf)), p.off+size-off)])
		if err != nil {
			return part{}, fmt.Errorf("%w: %w", errShort, err)
		}
		if w != nil {
			if _, err := w.WriteAt(buf[:n], off); err != nil {
				u.lose()
				w = nil
			}
		}
		off += int64(n)
	}
	return p, nil
}

// take makes room in the file. The writer is nil where nothing is kept.
func (u *upload) take(size, at int64) (part, *cas.Writer, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used = time.Now()
	switch {
	case u.w == nil:
		return part{}, nil, errGone
	case size > u.most, at > u.most-size, u.next > 2*u.most-size:
		// Twice the content: what was sent again stands beside what it replaces.
		return part{}, nil, errSpace
	}
	p := part{at, size}
	if at < 0 {
		p.off = u.next
		u.next += size
	}
	if u.lost {
		return p, nil, nil
	}
	return p, u.w, nil
}

// errGone is a write to an upload that has ended.
var errGone = errors.New("no such upload")

func (u *upload) lose() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lost = true
}

// putAll takes a body for the whole content.
func (u *upload) putAll(body io.Reader, size int64) error {
	p, err := u.put(body, size, -1)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts, u.whole = []part{p}, true
	return nil
}

// putBlock takes a body for a block that a list will name.
func (u *upload) putBlock(name string, body io.Reader, size int64) error {
	p, err := u.put(body, size, -1)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.blocks) >= maxBlocks {
		return errSpace
	}
	if u.blocks == nil {
		u.blocks = make(map[string]part)
	}
	u.blocks[name] = p
	return nil
}

// errBlock is a list that names a block that was not sent.
var errBlock = errors.New("the list names a block that was not sent")

// list makes blocks the content, in this order.
func (u *upload) list(names []string) error {
	u.gate.Lock()
	defer u.gate.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used = time.Now()
	parts, size := make([]part, 0, len(names)), int64(0)
	for _, name := range names {
		p, ok := u.blocks[name]
		if !ok {
			return errBlock
		}
		parts, size = append(parts, p), size+p.size
		if size > u.most {
			return errSpace
		}
	}
	u.parts, u.whole = parts, true
	return nil
}

// putRange takes a body for the content from off on, as version 1 has it.
func (u *upload) putRange(off int64, body io.Reader, size int64) error {
	p, err := u.put(body, size, off)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ranges) >= maxBlocks {
		return errSpace
	}
	if u.ranges == nil {
		u.ranges = make(map[int64]part)
	}
	u.ranges[off] = p
	return nil
}

// joined makes the ranges the content. They may overlap, but leave no gap.
func (u *upload) joined() error {
	u.gate.Lock()
	defer u.gate.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	var end int64
	for _, off := range slices.Sorted(maps.Keys(u.ranges)) {
		if off > end {
			return errBlock
		}
		end = max(end, off+u.ranges[off].size)
	}
	u.parts, u.whole = []part{{0, end}}, true
	return nil
}

// size returns how long the content is, and whether all of it is there.
func (u *upload) size() (int64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var n int64
	for _, p := range u.parts {
		n += p.size
	}
	return n, u.whole
}

// errLost is content that the disk did not take.
var errLost = errors.New("the disk did not take it")

// store brings the content into the store and returns its digest. It is called
// once; the upload has ended then.
func (u *upload) store(s *cas.Store) (digest.Digest, error) {
	u.gate.Lock()
	defer u.gate.Unlock()
	u.mu.Lock()
	w, parts, lost := u.w, u.parts, u.lost
	u.w = nil
	u.mu.Unlock()
	if w == nil {
		return "", errGone
	}
	defer func() { _ = w.Close() }() // what counts was said by Commit
	if lost {
		return "", errLost
	}
	content, err := inOrder(s, w, parts)
	if err != nil {
		return "", err
	}
	if content != w {
		defer func() { _ = content.Close() }()
	}
	d, err := content.Digest()
	if err != nil {
		return "", err
	}
	if want := digestOf(u.key); want != "" && want != d {
		return "", &fault.Error{Op: "save " + u.key, Kind: fault.Corrupt, Err: fmt.Errorf("the content has the digest %s", d)}
	}
	return d, content.Commit(d)
}

// inOrder returns w where its bytes are the parts in their order, and else a
// copy in which they are.
func inOrder(s *cas.Store, w *cas.Writer, parts []part) (*cas.Writer, error) {
	var end int64
	straight := true
	for _, p := range parts {
		straight = straight && p.off == end
		end += p.size
	}
	if straight && w.Size() == end {
		return w, nil
	}
	c, err := s.Create()
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if _, err := io.Copy(c, io.NewSectionReader(w, p.off, p.size)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// end gives the upload up.
func (u *upload) end() {
	u.gate.Lock()
	defer u.gate.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.w != nil {
		_ = u.w.Close() // nothing of it is kept
		u.w = nil
	}
}

// idle reports whether nothing has come for the upload for long.
func (u *upload) idle(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return now.Sub(u.used) > uploadIdle
}
