package buildcache

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Verb is what is done to a part of a cache.
type Verb string

// The verbs.
const (
	Removed Verb = "remove" // a file or a folder
	Written Verb = "write"  // a file
	Dropped Verb = "drop"   // an entry of the index
	Found   Verb = "find"   // an entry that the index had lost
)

// An Action is one change of a cache folder.
type Action struct {
	Do   Verb   `json:"do"`
	What string `json:"what"` // a path below the folder, or a tag
	Why  string `json:"why"`
	Size int64  `json:"size"` // bytes that it frees
}

// A change is a set of actions, all decided and none done.
type change struct {
	actions []Action
	index   *ocispecs.Index          // to write; nil leaves it
	writes  map[digest.Digest][]byte // manifests to write
	removes []string                 // below the folder
}

func (c *change) remove(path, why string, size int64) {
	c.removes = append(c.removes, path)
	c.actions = append(c.actions, Action{Removed, path, why, size})
}

func (c *change) write(d digest.Digest, data []byte, why string) {
	c.writes[d] = data
	c.actions = append(c.actions, Action{Do: Written, What: blobPath(d), Why: why})
}

// freed sums up what the actions free.
func freed(actions []Action) int64 {
	var n int64
	for _, a := range actions {
		n += a.Size
	}
	return n
}

// apply carries the change out: what is new first, then the index, and only
// then is anything removed.
func (c *change) apply(dir string) error {
	for d, data := range c.writes {
		path := filepath.Join(dir, blobPath(d))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeWhole(path, data, 0o644); err != nil {
			return err
		}
	}
	if c.index != nil {
		data, err := json.Marshal(c.index)
		if err == nil {
			err = writeWhole(filepath.Join(dir, ocispecs.ImageIndexFile), data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	for _, path := range c.removes {
		if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
			return err
		}
	}
	return nil
}

// newIndex returns index with other manifests; nil gives a new one.
func newIndex(index *ocispecs.Index, manifests []ocispecs.Descriptor) *ocispecs.Index {
	if manifests == nil {
		manifests = []ocispecs.Descriptor{} // BuildKit's exporter reads null as damage
	}
	if index == nil {
		return &ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex, Manifests: manifests}
	}
	other := *index
	other.Manifests = manifests
	return &other
}

// kept lists all that the entries need.
func kept(entries []entry) map[digest.Digest]bool {
	all := make(map[digest.Digest]bool)
	for _, e := range entries {
		for _, d := range e.all() {
			all[d.Digest] = true
		}
	}
	return all
}

// trimmed returns e without some of its layers, and its new manifest.
func (f *folder) trimmed(e entry, leave func(digest.Digest) bool) (entry, []byte, error) {
	old, flaw := f.readDocument(e.desc)
	if flaw != nil {
		return e, nil, fmt.Errorf("%s is %s", flaw.Path, flaw.What)
	}
	data, err := without(old, leave)
	if err != nil {
		return e, nil, fmt.Errorf("%s: %w", e.desc.Digest, err)
	}
	e.layers = slices.DeleteFunc(slices.Clone(e.layers), func(d ocispecs.Descriptor) bool { return leave(d.Digest) })
	e.desc.Digest, e.desc.Size = digest.FromBytes(data), int64(len(data))
	return e, data, nil
}
