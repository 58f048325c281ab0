package deb

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
)

// A suite is a folder of one archive that has a release: there is one truth
// about it at a time, the release that was served last.
type suite struct {
	origin, dir string // https://deb.example.com, /debian/dists/bookworm/

	mu      sync.Mutex
	now     digest.Digest // of the release
	current *release
	used    map[string]bool // names of indexes that were asked for
}

// maxSuites bounds what is remembered; a build has some five.
const maxSuites = 256

// suites are those whose release was served.
type suites struct {
	mu  sync.Mutex
	all map[string]*suite // by origin and folder
}

// of returns the suite of a folder, which is new where it was not known.
func (ss *suites) of(origin, dir string) *suite {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.all[origin+dir]
	if s == nil {
		if ss.all == nil || len(ss.all) >= maxSuites {
			ss.all = make(map[string]*suite)
		}
		s = &suite{origin: origin, dir: dir, used: make(map[string]bool)}
		ss.all[origin+dir] = s
	}
	return s
}

// above returns the suites that may list f: those in whose folder it stands,
// the nearest first.
func (ss *suites) above(f gateway.File) []*suite {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var all []*suite
	for dir := path.Dir(f.Path); ; dir = path.Dir(dir) {
		if s := ss.all[f.Origin+strings.TrimSuffix(dir, "/")+"/"]; s != nil {
			all = append(all, s)
		}
		if dir == "/" {
			return all
		}
	}
}

// beside returns the suites of the archive that f stands in.
func (ss *suites) beside(f gateway.File) []*suite {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var all []*suite
	for _, s := range ss.all {
		if s.origin == f.Origin && strings.HasPrefix(f.Path, s.root()) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *suite) int { return strings.Compare(a.dir, b.dir) })
	return all
}

// root is the folder that the names of packages begin at.
func (s *suite) root() string {
	root, _, ok := strings.Cut(s.dir, "/dists/")
	if !ok {
		return s.dir
	}
	return root + "/"
}

// lists reports whether a suite whose release was served has f as an index.
func (ss *suites) lists(f gateway.File) bool {
	for _, s := range ss.above(f) {
		if _, ok := s.entry(strings.TrimPrefix(f.Path, s.dir)); ok {
			return true
		}
	}
	return false
}

// byDigest finds the index of a digest.
func (ss *suites) byDigest(f gateway.File, d digest.Digest) (*suite, entry, bool) {
	before, _, _ := strings.Cut(f.Path, "by-hash/")
	for _, s := range ss.above(f) {
		below := strings.TrimPrefix(before, s.dir)
		for _, e := range s.release().entries {
			if e.digest == d && path.Dir(below+"x") == path.Dir(e.name) {
				return s, e, true
			}
		}
	}
	return nil, entry{}, false
}

// release returns what was served last; it lists nothing where nothing was.
func (s *suite) release() *release {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return new(release)
	}
	return s.current
}

func (s *suite) entry(name string) (entry, bool) {
	e, ok := s.release().entries[name]
	return e, ok
}

func (s *suite) use(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[name] = true
}

// usedOf lists the indexes of r that were asked for, in whichever release.
func (s *suite) usedOf(r *release) []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []entry
	for name := range s.used {
		if e, ok := r.entries[name]; ok {
			all = append(all, e)
		}
	}
	return all
}

// asset is the index e of s.
func (s *suite) asset(e entry) gateway.Asset { return s.assetOf(s.release(), e) }

func (s *suite) assetOf(r *release, e entry) gateway.Asset {
	a := hashed(s.origin, s.dir+strings.TrimPrefix(path.Dir(e.name)+"/", "./"), e.digest)
	a.Size = e.size
	if !r.byHash {
		a.Path = s.dir + e.name
	}
	a.Name = nameOf(gateway.File{Origin: s.origin, Path: s.dir + e.name})
	return a
}

// suite returns the suite that lists f. Where its release was not served by
// this process, it is found first.
func (p *Protocol) suite(ctx context.Context, f gateway.File) (*suite, error) {
	for _, s := range p.suites.above(f) {
		if len(s.release().entries) > 0 {
			return s, nil
		}
	}
	before, after, _ := strings.Cut(f.Path, "/dists/")
	name, _, _ := strings.Cut(after, "/")
	dir := before + "/dists/" + name + "/"
	var err error
	for _, file := range []string{"InRelease", "Release"} {
		var b *gateway.Body
		if b, err = p.find(ctx, p.release(gateway.File{Origin: f.Origin, Path: dir + file})); err == nil {
			b.Close()
			return p.suites.of(f.Origin, dir), nil
		}
	}
	return nil, err
}

// Learn notes the release that is served from now on.
func (p *Protocol) Learn(a gateway.Asset, body []byte) {
	dir, name := path.Split(a.Path)
	if name != "InRelease" && name != "Release" {
		return
	}
	s := p.suites.of(a.Origin, dir)
	d := digest.FromBytes(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == d {
		return
	}
	if r, err := readRelease(body); err == nil {
		s.now, s.current = d, r
	}
}

// patience is how long the indexes of a new release may take to come. Until
// then the old release is served.
const patience = time.Minute

// accept judges a release that an upstream sent for f: it is not older than the
// one that was served before, and the indexes that clients use are there. An
// archive in the middle of its update has a release whose indexes are not.
func (p *Protocol) accept(f gateway.File, body []byte) error {
	r, err := readRelease(body)
	if err != nil {
		return err
	}
	dir, _ := path.Split(f.Path)
	s := p.suites.of(f.Origin, dir)
	s.mu.Lock()
	same, before := s.now == digest.FromBytes(body), s.current
	s.mu.Unlock()
	if same {
		return nil
	}
	if before != nil && !r.date.IsZero() && r.date.Before(before.date) {
		return behind("the release of %s is older than the one of %s", r.date.Format(time.DateTime), before.date.Format(time.DateTime))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, e := range s.needed(r) {
		b, err := p.find(ctx, s.assetOf(r, e))
		if err != nil {
			return behind("the release of %s came without its %s", r.date.Format(time.DateTime), e.name)
		}
		b.Close()
	}
	return nil
}

// behind says that an upstream is not where it should be: another may be.
func behind(format string, args ...any) error {
	return &fault.Error{Op: "verify", Kind: fault.Rejected, Err: fmt.Errorf(format, args...)}
}

// architectures are Debian's names of machines.
var architectures = map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}

// needed lists the indexes of r that must be there: those that clients used, or
// at first the packages for this machine.
func (s *suite) needed(r *release) []entry {
	if used := s.usedOf(r); len(used) > 0 {
		return used
	}
	arch := runtime.GOARCH
	if a, ok := architectures[arch]; ok {
		arch = a
	}
	for _, dir := range []string{"main/binary-" + arch + "/", ""} {
		for _, suffix := range []string{".xz", ".gz", ".zst", ""} {
			if e, ok := r.entries[dir+"Packages"+suffix]; ok {
				return []entry{e}
			}
		}
	}
	return nil
}
