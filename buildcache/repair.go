package buildcache

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Repair is what was found and what was, or would be, done about it.
type Repair struct {
	Report  Report   `json:"found"`
	Actions []Action `json:"actions"`
	Freed   int64    `json:"freed_bytes"`
	Layers  int      `json:"layers"`      // that entries still have
	Lost    int      `json:"lost_layers"` // that they had to give up
	DryRun  bool     `json:"dry_run"`
}

// RepairAll makes the cache in dir whole: bad blobs go, and the results that
// need them; all others stay. An index that is lost is made anew from the
// latest cache whose manifest is there. With dry set nothing is changed. It
// waits for an export that is under way until ctx ends.
func RepairAll(ctx context.Context, dir string, o Options, dry bool) (Repair, error) {
	if _, err := readFolder(dir); err != nil {
		return Repair{}, err
	}
	if !dry {
		release, err := acquire(ctx, dir)
		if err != nil {
			return Repair{}, err
		}
		defer release()
	}
	s, err := look(ctx, dir, o)
	if err != nil {
		return Repair{}, err
	}
	c, entries, err := s.repair()
	if err != nil {
		return Repair{}, err
	}
	s.clear(c, time.Now(), locks(dir))
	r := Repair{Report: s.report(), Actions: c.actions, Freed: freed(c.actions), DryRun: dry}
	for _, e := range s.entries {
		r.Lost += len(e.layers)
	}
	for _, e := range entries {
		r.Layers += len(e.layers)
	}
	r.Lost = max(0, r.Lost-r.Layers)
	if dry {
		return r, nil
	}
	return r, failed("repair", dir, c.apply(dir))
}

// repair decides what the index should have, and which entries that are.
func (s *survey) repair() (*change, []entry, error) {
	c := &change{writes: make(map[digest.Digest][]byte)}
	var entries []entry
	changed := s.index == nil
	lost := make(map[string]bool) // tags
	if s.index == nil {
		lost[defaultTag] = true
	}
	for _, e := range s.entries {
		whole, err := s.mend(c, e)
		if err != nil {
			return nil, nil, err
		}
		changed = changed || whole == nil || whole.desc.Digest != e.desc.Digest
		if whole != nil {
			entries = append(entries, *whole)
		}
	}
	for _, e := range s.broken {
		changed = true
		c.actions = append(c.actions, Action{Do: Dropped, What: cmp.Or(e.tag(), e.desc.Digest.String()), Why: "its manifest or its configuration is bad"})
		lost[e.tag()] = true
	}
	for _, e := range entries {
		delete(lost, e.tag())
	}
	if found := s.find(c, lost); found != nil {
		entries = append(entries, *found)
	}
	if changed {
		var manifests []ocispecs.Descriptor
		for _, e := range entries {
			manifests = append(manifests, e.desc)
		}
		c.index = newIndex(s.index, manifests)
		c.actions = append(c.actions, Action{Do: Written, What: ocispecs.ImageIndexFile, Why: "its entries changed"})
	}
	return c, entries, nil
}

// mend returns what is whole of e: nil where nothing is.
func (s *survey) mend(c *change, e entry) (*entry, error) {
	bad := func(d digest.Digest) bool { _, is := s.bad[d]; return is }
	if !slices.ContainsFunc(e.all(), func(d ocispecs.Descriptor) bool { return bad(d.Digest) }) {
		return &e, nil
	}
	good := slices.ContainsFunc(e.layers, func(d ocispecs.Descriptor) bool { return !bad(d.Digest) })
	if !e.cache || !good {
		c.actions = append(c.actions, Action{Do: Dropped, What: cmp.Or(e.tag(), e.desc.Digest.String()), Why: "nothing whole is left of it"})
		return nil, nil
	}
	whole, data, err := s.trimmed(e, bad)
	if err != nil {
		return nil, err
	}
	c.write(whole.desc.Digest, data, fmt.Sprintf("a manifest without %d bad layers of %d", len(e.layers)-len(whole.layers), len(e.layers)))
	return &whole, nil
}

// defaultTag is the one that BuildKit's importer looks for.
const defaultTag = "latest"

// maxManifest is how large a file may be that is looked at for a manifest.
const maxManifest = maxBuildKit

// find looks for the latest cache whose manifest no entry has, for a tag that
// has lost its own.
func (s *survey) find(c *change, lost map[string]bool) *entry {
	if len(lost) == 0 {
		return nil
	}
	var candidates []digest.Digest
	for d, b := range s.blobs {
		if _, bad := s.bad[d]; !bad && b.state.Size <= maxManifest && !s.used[d] {
			candidates = append(candidates, d)
		}
	}
	slices.SortFunc(candidates, func(a, b digest.Digest) int {
		return cmp.Or(cmp.Compare(s.blobs[b].state.Mtime, s.blobs[a].state.Mtime), cmp.Compare(a, b))
	})
	for _, d := range candidates {
		data, err := readBounded(s.dir, blobPath(d), maxManifest)
		var doc document
		if err != nil || len(data) == 0 || data[0] != '{' || json.Unmarshal(data, &doc) != nil || doc.Config == nil && doc.Manifests == nil {
			continue
		}
		tag := defaultTag
		if !lost[tag] {
			tag = slices.Sorted(maps.Keys(lost))[0]
		}
		desc := ocispecs.Descriptor{MediaType: cmp.Or(doc.MediaType, ocispecs.MediaTypeImageManifest), Digest: d, Size: int64(len(data)),
			Annotations: map[string]string{ocispecs.AnnotationRefName: tag}}
		e, flaw := s.readEntry(desc, 0)
		if flaw != nil || !e.cache {
			continue
		}
		for _, need := range e.all() {
			if flaw, bad := s.fault(need); bad {
				s.bad[need.Digest] = flaw
			}
		}
		whole, err := s.mend(c, e)
		if err != nil || whole == nil {
			continue
		}
		c.actions = append(c.actions, Action{Do: Found, What: tag,
			Why: "the latest cache that is there, of " + time.Unix(0, s.blobs[d].state.Mtime).UTC().Format(time.RFC3339)})
		return whole
	}
	return nil
}

// clear removes bad blobs, also those that nobody needs: an export takes a blob
// that is there for a good one.
func (s *survey) clear(c *change, now time.Time, alone bool) {
	for _, flaw := range s.flaws {
		if b, there := s.blobs[flaw.Digest]; there && flaw.What != Dangling && flaw.What != TooLarge {
			c.remove(b.path, "it is "+string(flaw.What), b.state.Size)
		}
	}
	s.clearIngests(c, now, alone)
}

// abandoned is how long nobody writes to what no entry needs before it is taken
// for a dead process's. An export writes its blobs before the index, and one by
// a buildx before 0.38 takes no lock.
const abandoned = 10 * time.Minute

func idle(mtime int64, now time.Time) bool { return now.Sub(time.Unix(0, mtime)) > abandoned }

func (s *survey) clearIngests(c *change, now time.Time, alone bool) {
	for _, in := range s.ingests {
		if alone || idle(in.wrote.UnixNano(), now) {
			c.remove(in.path, "nobody goes on with it", in.size)
		}
	}
}
