package buildcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	cacheimport "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// An entry is a manifest with what it names.
type entry struct {
	desc   ocispecs.Descriptor // as the index has it
	config ocispecs.Descriptor // of a cache, or of an image
	layers []ocispecs.Descriptor
	cache  bool // it is a build cache: layers can be taken out of it
	// within are manifests of a list: an image for several platforms.
	within []entry
}

// document is what the kinds of manifest have in common.
type document struct {
	MediaType string                `json:"mediaType"`
	Config    *ocispecs.Descriptor  `json:"config"`
	Layers    []ocispecs.Descriptor `json:"layers"`
	Manifests []ocispecs.Descriptor `json:"manifests"`
}

// maxNesting is how deep lists may stand in lists; one level is usual.
const maxNesting = 4

// readEntry reads the manifest of desc and what it names. The flaw is that of
// the manifest or of a document below it, without which the entry is of no
// use.
func (f *folder) readEntry(desc ocispecs.Descriptor, depth int) (entry, *Flaw) {
	e := entry{desc: desc}
	data, flaw := f.readDocument(desc)
	if flaw != nil {
		return e, flaw
	}
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return e, f.flaw(desc, Garbage, err.Error())
	}
	switch {
	case doc.Config != nil:
		e.config, e.layers = *doc.Config, doc.Layers
		e.cache = e.config.MediaType == cacheimport.CacheConfigMediaTypeV0
	case len(doc.Manifests) > 0:
		i := slices.IndexFunc(doc.Manifests, func(d ocispecs.Descriptor) bool {
			return d.MediaType == cacheimport.CacheConfigMediaTypeV0
		})
		if i < 0 {
			return f.readList(e, doc.Manifests, depth)
		}
		e.cache, e.config = true, doc.Manifests[i]
		e.layers = slices.Delete(doc.Manifests, i, i+1) // which overwrites what it was read from
	default:
		return e, f.flaw(desc, Garbage, "is no manifest")
	}
	if e.cache {
		return e, f.checkConfig(e.config)
	}
	return e, nil
}

func (f *folder) readList(e entry, list []ocispecs.Descriptor, depth int) (entry, *Flaw) {
	if depth == maxNesting {
		return e, f.flaw(e.desc, Garbage, "lists within lists")
	}
	for _, d := range list {
		inner, flaw := f.readEntry(d, depth+1)
		if flaw != nil {
			return e, flaw
		}
		e.within = append(e.within, inner)
	}
	return e, nil
}

// readDocument reads a manifest or a configuration and proves it.
func (f *folder) readDocument(desc ocispecs.Descriptor) ([]byte, *Flaw) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, &Flaw{Path: ocispecs.ImageIndexFile, What: Garbage, Detail: err.Error(), Used: true}
	}
	b, ok := f.blobs[desc.Digest]
	if !ok {
		return nil, f.flaw(desc, Missing, "")
	}
	data, err := readBounded(f.dir, b.path, maxDocument)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, f.flaw(desc, TooLarge, err.Error())
	case err != nil:
		return nil, f.flaw(desc, Unreadable, err.Error())
	case desc.Digest.Algorithm().FromBytes(data) != desc.Digest:
		return nil, f.flaw(desc, damage(int64(len(data)), desc.Size), "")
	}
	return data, nil
}

// damage names what is wrong with bytes that do not match their digest.
func damage(size, want int64) What {
	if size < want {
		return Truncated
	}
	return Corrupt
}

// checkConfig looks whether BuildKit can read a cache's configuration.
func (f *folder) checkConfig(desc ocispecs.Descriptor) *Flaw {
	data, flaw := f.readDocument(desc)
	if flaw != nil {
		return flaw
	}
	var config cacheimport.CacheConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return f.flaw(desc, Garbage, err.Error())
	}
	if len(data) > maxBuildKit {
		return f.flaw(desc, TooLarge, fmt.Sprintf("BuildKit reads no more than %d MiB of it, and passes over the cache", maxBuildKit>>20))
	}
	return nil
}

func (f *folder) flaw(desc ocispecs.Descriptor, what What, detail string) *Flaw {
	return &Flaw{Path: blobPath(desc.Digest), Digest: desc.Digest, What: what, Detail: detail, Size: f.blobs[desc.Digest].state.Size, Used: true}
}

func blobPath(d digest.Digest) string { return "blobs/" + string(d.Algorithm()) + "/" + d.Encoded() }

// all lists everything that e needs, itself first.
func (e entry) all() []ocispecs.Descriptor {
	needed := []ocispecs.Descriptor{e.desc}
	for _, inner := range e.within {
		needed = append(needed, inner.all()...)
	}
	if e.config.Digest != "" {
		needed = append(needed, e.config)
	}
	return append(needed, e.layers...)
}

// tag returns the name that the index gives an entry.
func (e entry) tag() string { return e.desc.Annotations[ocispecs.AnnotationRefName] }

// without returns the manifest of a cache with some layers left out, every
// other byte of it as it was, but for white space.
func without(manifest []byte, leave func(digest.Digest) bool) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return nil, err
	}
	for _, key := range []string{"layers", "manifests"} {
		var list, kept []json.RawMessage
		if doc[key] == nil {
			continue
		}
		if err := json.Unmarshal(doc[key], &list); err != nil {
			return nil, err
		}
		for _, raw := range list {
			var d ocispecs.Descriptor
			if err := json.Unmarshal(raw, &d); err != nil {
				return nil, err
			}
			if d.MediaType == cacheimport.CacheConfigMediaTypeV0 || !leave(d.Digest) {
				kept = append(kept, raw)
			}
		}
		if kept == nil {
			kept = []json.RawMessage{}
		}
		data, err := json.Marshal(kept)
		if err != nil {
			return nil, err
		}
		doc[key] = data
	}
	return json.Marshal(doc)
}
