package buildcache

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/fault"
)

// Bounds are what a trimmed cache keeps to. Zero bounds nothing.
type Bounds struct {
	Size int64         // bytes of all blobs
	Age  time.Duration // since an entry was last exported
}

// A Trim is what was, or would be, removed.
type Trim struct {
	Actions []Action `json:"actions"`
	Before  int64    `json:"before_bytes"`
	After   int64    `json:"after_bytes"`
	DryRun  bool     `json:"dry_run"`
}

// TrimAll removes what no entry of the index needs, entries that are older than
// the bounds say, and then, while the blobs are larger than the bounds say, the
// layers of the steps that ran longest ago, last steps first: what is left
// stays usable. It hashes nothing. A cache without an index that can be read is
// left alone, since then everything would look as if nobody needed it.
func TrimAll(ctx context.Context, dir string, b Bounds, now time.Time, dry bool) (Trim, error) {
	if b.Size < 0 || b.Age < 0 {
		return Trim{}, &fault.Error{Op: "trim cache", Kind: fault.Config, Err: fmt.Errorf("size %d, age %v: neither can be negative", b.Size, b.Age)}
	}
	if _, err := readFolder(dir); err != nil {
		return Trim{}, err
	}
	if !dry {
		release, err := acquire(ctx, dir)
		if err != nil {
			return Trim{}, err
		}
		defer release()
	}
	return trimFolder(dir, b, now, dry, locks(dir))
}

// trimFolder trims a folder that the caller has locked; alone says that nobody
// exports into it.
func trimFolder(dir string, b Bounds, now time.Time, dry, alone bool) (Trim, error) {
	f, err := readFolder(dir)
	if err != nil {
		return Trim{}, err
	}
	s := &survey{folder: f, bad: make(map[digest.Digest]Flaw), used: make(map[digest.Digest]bool)}
	s.readEntries()
	if s.index == nil || len(s.broken) > 0 {
		return Trim{}, &fault.Error{Op: "trim cache", Kind: fault.Config,
			Err: fmt.Errorf("%s: %s is %s: repair the cache first", dir, s.flaws[0].Path, s.flaws[0].What)}
	}
	c, err := s.trim(b, now, alone)
	if err != nil {
		return Trim{}, failed("trim", dir, err)
	}
	t := Trim{Actions: c.actions, Before: s.bytes, After: s.bytes - freed(c.actions), DryRun: dry}
	for _, data := range c.writes {
		t.After += int64(len(data))
	}
	if dry {
		return t, nil
	}
	return t, failed("trim", dir, c.apply(dir))
}

// trim decides what goes.
func (s *survey) trim(b Bounds, now time.Time, alone bool) (*change, error) {
	c := &change{writes: make(map[digest.Digest][]byte)}
	entries, changed := s.young(c, b.Age, now)
	if b.Size > 0 {
		smaller, err := s.shrink(c, entries, b.Size)
		if err != nil {
			return nil, err
		}
		changed = changed || len(c.writes) > 0 || len(smaller) != len(entries)
		entries = smaller
	}
	if changed {
		var manifests []ocispecs.Descriptor
		for _, e := range entries {
			manifests = append(manifests, e.desc)
		}
		c.index = newIndex(s.index, manifests)
	}
	needed := kept(entries)
	for _, d := range slices.SortedFunc(maps.Keys(s.blobs), func(a, b digest.Digest) int { return cmp.Compare(a, b) }) {
		if blob := s.blobs[d]; !needed[d] && (alone || idle(blob.state.Mtime, now)) {
			why := "no entry needs it"
			if s.used[d] {
				why = "its entry had to give it up"
			}
			c.remove(blob.path, why, blob.state.Size)
		}
	}
	s.clearIngests(c, now, alone)
	return c, nil
}

// young leaves out the entries that were last exported too long ago.
func (s *survey) young(c *change, age time.Duration, now time.Time) (entries []entry, changed bool) {
	for _, e := range s.entries {
		old := now.Sub(time.Unix(0, s.blobs[e.desc.Digest].state.Mtime))
		if age > 0 && old > age {
			changed = true
			c.actions = append(c.actions, Action{Do: Dropped, What: cmp.Or(e.tag(), e.desc.Digest.String()), Why: "it was last exported " + old.Round(time.Second).String() + " ago"})
			continue
		}
		entries = append(entries, e)
	}
	return entries, changed
}

// shrink takes layers out of entries until all that is needed fits.
func (s *survey) shrink(c *change, entries []entry, limit int64) ([]entry, error) {
	size := func() (n int64) {
		for d := range kept(entries) {
			n += s.blobs[d].state.Size
		}
		return n
	}
	over := size() - limit
	if over <= 0 {
		return entries, nil
	}
	gone := make(map[digest.Digest]bool)
	for _, d := range s.oldestFirst(entries) {
		if over <= 0 {
			break
		}
		gone[d] = true
		over -= s.blobs[d].state.Size
	}
	var left []entry
	for _, e := range entries {
		switch n := countLayers(e, gone); {
		case n == 0 && (e.cache || over <= 0):
			left = append(left, e)
		case n == len(e.layers) || !e.cache:
			c.actions = append(c.actions, Action{Do: Dropped, What: cmp.Or(e.tag(), e.desc.Digest.String()), Why: "the cache is too large"})
		default:
			smaller, data, err := s.trimmed(e, func(d digest.Digest) bool { return gone[d] })
			if err != nil {
				return nil, err
			}
			c.write(smaller.desc.Digest, data, fmt.Sprintf("a manifest without the %d oldest layers of %d", n, len(e.layers)))
			left = append(left, smaller)
		}
	}
	return left, nil
}

func countLayers(e entry, gone map[digest.Digest]bool) int {
	n := 0
	for _, l := range e.layers {
		if gone[l.Digest] {
			n++
		}
	}
	return n
}
