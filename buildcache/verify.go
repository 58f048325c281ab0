package buildcache

import (
	"cmp"
	"context"
	"crypto"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Options say how thoroughly a folder is looked at. The zero value reads every
// byte and remembers nothing.
type Options struct {
	// Ledger is a file that remembers which blobs were proved, so that those
	// that did not change since are not read again. Empty: no file.
	Ledger string

	Full    bool // read every byte, whatever the ledger knows
	Workers int  // blobs hashed at once; 0 means one for each processor

	// partial makes the end of ctx no error: what is not proved by then counts
	// as bad.
	partial bool

	// Progress, if not nil, is told how many bytes of all were looked at. It
	// is called from one place at a time.
	Progress func(done, all int64)
}

// A Report says what a cache folder holds, and what is wrong with it.
type Report struct {
	Dir     string        `json:"dir"`
	Entries []Entry       `json:"entries"`
	Blobs   int           `json:"blobs"`
	Bytes   int64         `json:"bytes"`  // of all blobs
	Hashed  int64         `json:"hashed"` // of those bytes, read now; the others were proved before and did not change
	Unused  int           `json:"unused"` // blobs that no entry needs
	Spare   int64         `json:"unused_bytes"`
	Flaws   []Flaw        `json:"flaws"`
	Took    time.Duration `json:"-"`
}

// An Entry is one manifest of the index: what an export left under a tag.
type Entry struct {
	Tag    string        `json:"tag"`
	Digest digest.Digest `json:"digest"`
	Cache  bool          `json:"cache"` // false: an image, or what else an OCI layout may hold
	Layers int           `json:"layers"`
	Bad    int           `json:"bad_layers"`
	Bytes  int64         `json:"bytes"`
	Usable bool          `json:"usable"` // its manifest and its configuration are whole
}

// Whole reports whether nothing is wrong that a build could notice.
func (r Report) Whole() bool { return !slices.ContainsFunc(r.Flaws, Flaw.Harms) }

// survey is all that is known of a folder after it was verified.
type survey struct {
	*folder
	index   *ocispecs.Index // nil where it cannot be read
	entries []entry         // those that can be read
	broken  []entry         // the others
	bad     map[digest.Digest]Flaw
	used    map[digest.Digest]bool
	hashed  int64
	flaws   []Flaw
}

// Verify proves every blob of the cache in dir and every reference. The error
// is for what is no cache, and for the end of ctx; what is wrong with the cache
// stands in the report.
func Verify(ctx context.Context, dir string, o Options) (Report, error) {
	began := time.Now()
	s, err := look(ctx, dir, o)
	if err != nil {
		return Report{Dir: dir}, err
	}
	r := s.report()
	r.Took = time.Since(began)
	return r, nil
}

// look reads the folder and proves its blobs.
func look(ctx context.Context, dir string, o Options) (*survey, error) {
	f, err := readFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &survey{folder: f, bad: make(map[digest.Digest]Flaw), used: make(map[digest.Digest]bool)}
	s.readEntries()
	if err := s.prove(ctx, o); err != nil {
		return nil, err
	}
	s.judge()
	return s, nil
}

// readEntries reads the index and the documents below it.
func (s *survey) readEntries() {
	index, flaw := s.readIndex()
	if flaw != nil {
		s.flaws = append(s.flaws, *flaw)
		return
	}
	s.index = index
	for _, desc := range index.Manifests {
		e, flaw := s.readEntry(desc, 0)
		if flaw != nil {
			s.flaws = append(s.flaws, *flaw)
			s.broken = append(s.broken, e)
		} else {
			s.entries = append(s.entries, e)
		}
		for _, d := range e.all() {
			s.used[d.Digest] = true
		}
	}
}

// prove hashes the blobs that the ledger does not know, largest first, so that
// all processors end at about the same time.
func (s *survey) prove(ctx context.Context, o Options) error {
	l := readLedger(o.Ledger)
	var todo []digest.Digest
	var done, all int64
	for d, b := range s.blobs {
		all += b.state.Size
		if !o.Full && l.proved(d, b.state) {
			done += b.state.Size
			continue
		}
		todo = append(todo, d)
		s.bad[d] = Flaw{Path: b.path, Digest: d, What: Unproved, Size: b.state.Size}
	}
	slices.SortFunc(todo, func(a, b digest.Digest) int {
		return cmp.Or(cmp.Compare(s.blobs[b].state.Size, s.blobs[a].state.Size), cmp.Compare(a, b))
	})
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.workers())
	for _, d := range todo {
		group.Go(func() error {
			was, flaw := s.hash(ctx, d, func(n int) {
				mu.Lock()
				defer mu.Unlock()
				done += int64(n)
				s.hashed += int64(n)
				if o.Progress != nil {
					o.Progress(done, all)
				}
			})
			if err := context.Cause(ctx); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			delete(l.known, d)
			delete(s.bad, d)
			switch {
			case flaw != nil:
				s.bad[d] = *flaw
			case settled(was):
				l.known[d] = was
			}
			return nil
		})
	}
	err := group.Wait()
	l.write(s.blobs)
	if o.partial && ctx.Err() != nil {
		return nil
	}
	return err
}

func (o Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// tick is more than a file system's clock takes to go on: a file that changed
// so recently may change again and look the same.
const tick = 100 * time.Millisecond

func settled(s state) bool { return time.Since(time.Unix(0, s.Ctime)) > tick }

// chunks are the buffers of hash: larger ones are no faster.
var chunks = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// hash proves one blob, and returns the state in which it was proved.
func (f *folder) hash(ctx context.Context, d digest.Digest, read func(int)) (state, *Flaw) {
	b := f.blobs[d]
	flaw := &Flaw{Path: b.path, Digest: d, Size: b.state.Size}
	file, was, err := openPlain(filepath.Join(f.dir, b.path))
	if err != nil {
		flaw.What, flaw.Detail = Unreadable, err.Error()
		return was, flaw
	}
	defer file.Close()
	h := hashes[d.Algorithm()].New()
	chunk := chunks.Get().(*[256 << 10]byte)
	defer chunks.Put(chunk)
	for ctx.Err() == nil {
		n, err := file.Read(chunk[:])
		h.Write(chunk[:n])
		read(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			flaw.What, flaw.Detail = Unreadable, err.Error()
			return was, flaw
		}
	}
	if digest.NewDigest(d.Algorithm(), h) != d {
		flaw.What = Corrupt
		return was, flaw
	}
	if now, _, err := lookInto(file); err != nil || now != was {
		return state{}, nil // proved, but somebody is at it
	}
	return was, nil
}

var hashes = map[digest.Algorithm]crypto.Hash{
	digest.SHA256: crypto.SHA256, digest.SHA384: crypto.SHA384, digest.SHA512: crypto.SHA512,
}

// judge puts together what is wrong: the documents first, then what they name,
// then what nobody needs.
func (s *survey) judge() {
	told := make(map[digest.Digest]bool)
	for _, f := range s.flaws {
		told[f.Digest] = true
	}
	for _, e := range append(slices.Clone(s.entries), s.broken...) {
		for _, desc := range e.all() {
			flaw, bad := s.fault(desc)
			if !bad || told[desc.Digest] {
				continue
			}
			told[desc.Digest] = true
			s.bad[desc.Digest] = flaw
			s.flaws = append(s.flaws, flaw)
		}
	}
	var spare []Flaw
	for d, flaw := range s.bad {
		if !told[d] {
			spare = append(spare, flaw)
		}
	}
	for _, b := range s.foreign {
		spare = append(spare, Flaw{Path: b.path, What: Foreign, Size: b.state.Size})
	}
	for _, in := range s.ingests {
		spare = append(spare, Flaw{Path: in.path, What: Unfinished, Size: in.size})
	}
	slices.SortFunc(spare, func(a, b Flaw) int { return cmp.Compare(a.Path, b.Path) })
	s.flaws = append(s.flaws, spare...)
}

// fault says what is wrong with a blob as desc names it.
func (s *survey) fault(desc ocispecs.Descriptor) (Flaw, bool) {
	b, there := s.blobs[desc.Digest]
	if !there {
		return *s.flaw(desc, Missing, ""), true
	}
	if flaw, bad := s.bad[desc.Digest]; bad {
		flaw.Used = true
		if flaw.What == Corrupt {
			flaw.What = damage(b.state.Size, desc.Size)
		}
		return flaw, true
	}
	if b.state.Size != desc.Size {
		return *s.flaw(desc, Dangling, "its manifest gives it another size"), true
	}
	return Flaw{}, false
}

func (s *survey) report() Report {
	r := Report{Dir: s.dir, Blobs: len(s.blobs), Bytes: s.bytes, Hashed: s.hashed, Flaws: s.flaws, Entries: []Entry{}}
	if r.Flaws == nil {
		r.Flaws = []Flaw{}
	}
	for d, b := range s.blobs {
		if !s.used[d] {
			r.Unused++
			r.Spare += b.state.Size
		}
	}
	for _, e := range s.entries {
		r.Entries = append(r.Entries, s.describe(e, true))
	}
	for _, e := range s.broken {
		r.Entries = append(r.Entries, s.describe(e, false))
	}
	return r
}

func (s *survey) describe(e entry, usable bool) Entry {
	d := Entry{Tag: e.tag(), Digest: e.desc.Digest, Cache: e.cache, Usable: usable}
	seen := make(map[digest.Digest]bool)
	for _, desc := range e.all() {
		if !seen[desc.Digest] {
			seen[desc.Digest] = true
			d.Bytes += s.blobs[desc.Digest].state.Size
		}
	}
	for _, l := range e.layers {
		d.Layers++
		if _, bad := s.bad[l.Digest]; bad {
			d.Bad++
		}
	}
	return d
}

// Stat reads the cache in dir without proving a blob: only what is missing, or
// has another size than its manifest says, is bad.
func Stat(dir string) (Report, error) {
	began := time.Now()
	f, err := readFolder(dir)
	if err != nil {
		return Report{Dir: dir}, err
	}
	s := &survey{folder: f, bad: make(map[digest.Digest]Flaw), used: make(map[digest.Digest]bool)}
	s.readEntries()
	s.judge()
	r := s.report()
	r.Took = time.Since(began)
	return r, nil
}
