package buildcache

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/fault"
)

// DefaultTag is the one that BuildKit exports to and imports from unless it is
// told another.
const DefaultTag = defaultTag

// Content is a cache of a folder as a registry takes it: a manifest, and what
// that names.
type Content struct {
	Type     string // media type of the manifest
	Manifest []byte
	Digest   digest.Digest
	Blobs    []ocispecs.Descriptor // each once

	dir string
}

// ContentOf reads what an export left under a tag of the folder. Only the
// manifest is proved: who takes the blobs must prove them. The error wraps
// fs.ErrNotExist where nothing was exported under the tag.
func ContentOf(dir, tag string) (Content, error) {
	f, err := readFolder(dir)
	if err != nil {
		return Content{}, err
	}
	index, flaw := f.readIndex()
	if flaw != nil {
		return Content{}, flaw.asError(dir)
	}
	for _, desc := range index.Manifests {
		if desc.Annotations[ocispecs.AnnotationRefName] == tag {
			return f.content(desc)
		}
	}
	return Content{}, (&Flaw{Path: ocispecs.ImageIndexFile, What: Missing, Detail: "no tag " + tag}).asError(dir)
}

func (f *folder) content(desc ocispecs.Descriptor) (Content, error) {
	e, flaw := f.readEntry(desc, 0)
	if flaw != nil {
		return Content{}, flaw.asError(f.dir)
	}
	data, flaw := f.readDocument(desc)
	if flaw != nil {
		return Content{}, flaw.asError(f.dir)
	}
	c := Content{Type: mediaType(data), Manifest: data, Digest: desc.Digest, dir: f.dir}
	seen := map[digest.Digest]bool{desc.Digest: true}
	for _, d := range e.all() {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		if _, there := f.blobs[d.Digest]; !there {
			return Content{}, f.flaw(d, Missing, "").asError(f.dir)
		}
		c.Blobs = append(c.Blobs, d)
	}
	return c, nil
}

// mediaType is what a manifest says that it is. BuildKit's always do.
func mediaType(manifest []byte) string {
	var doc document
	if json.Unmarshal(manifest, &doc) != nil || doc.MediaType == "" {
		return ocispecs.MediaTypeImageManifest
	}
	return doc.MediaType
}

// Open opens a blob of the cache. The caller closes it.
func (c Content) Open(d digest.Digest) (io.ReadSeekCloser, error) {
	file, _, err := openPlain(filepath.Join(c.dir, blobPath(d)))
	if err != nil {
		return nil, failed("read", c.dir, err)
	}
	return file, nil
}

func (f *Flaw) asError(dir string) error {
	err := fmt.Errorf("%s: %s is %s", dir, f.Path, f.What)
	if f.Detail != "" {
		err = fmt.Errorf("%w: %s", err, f.Detail)
	}
	if f.What == Missing {
		err = absent{err}
	}
	return &fault.Error{Op: "read cache", Kind: fault.Config, Err: err}
}

// absent is an error for what is not there.
type absent struct{ error }

func (absent) Is(target error) bool { return target == fs.ErrNotExist }
