package buildcache_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cacheimport "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// madeAt is when the first step of a fake cache ran; each later one a minute
// after the one before.
var madeAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A fake is a cache folder in the form that BuildKit writes.
type fake struct {
	t      testing.TB
	dir    string
	layers []digest.Digest // a chain: each stands on the one before
}

// newFake makes a cache of steps steps, each with a layer of size bytes.
func newFake(t testing.TB, steps, size int) *fake {
	t.Helper()
	f := &fake{t: t, dir: filepath.Join(t.TempDir(), "cache")}
	f.export("latest", "", steps, size)
	return f
}

// export writes what an export of a build with this seed would write.
func (f *fake) export(tag, seed string, steps, size int) {
	f.t.Helper()
	var config cacheimport.CacheConfig
	m := ocispecs.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageManifest}
	f.layers = nil
	for i := range steps {
		data := []byte(strings.Repeat(fmt.Sprintf("layer %d of %s;", i, seed), size/10+1)[:size])
		desc := f.put(data, ocispecs.MediaTypeImageLayerGzip)
		f.layers = append(f.layers, desc.Digest)
		m.Layers = append(m.Layers, desc)
		config.Layers = append(config.Layers, cacheimport.CacheLayer{Blob: desc.Digest, ParentIndex: i - 1})
		config.Records = append(config.Records, cacheimport.CacheRecord{
			Digest:  digest.FromString(fmt.Sprint("step", i, seed)),
			Results: []cacheimport.CacheResult{{LayerIndex: i, CreatedAt: madeAt.Add(time.Duration(i) * time.Minute)}},
		})
	}
	m.Config = f.put(f.json(config), cacheimport.CacheConfigMediaTypeV0)
	desc := f.put(f.json(m), ocispecs.MediaTypeImageManifest)
	desc.Annotations = map[string]string{ocispecs.AnnotationRefName: tag}
	index := ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}}
	if data, err := os.ReadFile(f.path("index.json")); err == nil {
		if err := json.Unmarshal(data, &index); err != nil {
			f.t.Fatal(err)
		}
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d ocispecs.Descriptor) bool {
		return d.Annotations[ocispecs.AnnotationRefName] == tag
	})
	index.Manifests = append(index.Manifests, desc)
	f.write("index.json", f.json(index))
	f.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	f.write("cache.lock", nil)
}

// asIndex makes the manifest of a tag into the index of layers that BuildKit
// writes with image-manifest=false.
func (f *fake) asIndex(tag string) {
	f.t.Helper()
	m := f.manifest(tag)
	desc := f.put(f.json(ocispecs.Index{Versioned: m.Versioned, MediaType: ocispecs.MediaTypeImageIndex, Manifests: append(slices.Clone(m.Layers), m.Config)}),
		ocispecs.MediaTypeImageIndex)
	desc.Annotations = map[string]string{ocispecs.AnnotationRefName: tag}
	f.write("index.json", f.json(ocispecs.Index{Versioned: m.Versioned, Manifests: []ocispecs.Descriptor{desc}}))
}

func (f *fake) json(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	return data
}

func (f *fake) path(name string) string { return filepath.Join(f.dir, name) }

// write puts a file in its place whole, as BuildKit does: one of that name may
// have a link elsewhere.
func (f *fake) write(name string, data []byte) {
	f.t.Helper()
	err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755)
	if err == nil {
		err = os.WriteFile(f.path(name)+".new", data, 0o644)
	}
	if err == nil {
		err = os.Rename(f.path(name)+".new", f.path(name))
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) put(data []byte, media string) ocispecs.Descriptor {
	d := digest.FromBytes(data)
	f.write(blobOf(d), data)
	return ocispecs.Descriptor{MediaType: media, Digest: d, Size: int64(len(data))}
}

func blobOf(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

func (f *fake) read(name string, into any) {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// manifest returns that of a tag.
func (f *fake) manifest(tag string) ocispecs.Manifest {
	f.t.Helper()
	var index ocispecs.Index
	f.read("index.json", &index)
	for _, d := range index.Manifests {
		if d.Annotations[ocispecs.AnnotationRefName] == tag {
			var m ocispecs.Manifest
			f.read(blobOf(d.Digest), &m)
			return m
		}
	}
	f.t.Fatalf("the index has no tag %s", tag)
	return ocispecs.Manifest{}
}

// layersOf lists the layers that a tag still has.
func (f *fake) layersOf(tag string) []digest.Digest {
	f.t.Helper()
	var all []digest.Digest
	for _, l := range f.manifest(tag).Layers {
		all = append(all, l.Digest)
	}
	return all
}

// damage changes a file in one of the ways that tables name.
func (f *fake) damage(name string, how string) {
	f.t.Helper()
	path := f.path(name)
	data, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	switch how {
	case "truncated":
		err = os.Truncate(path, int64(len(data)/2))
	case "empty":
		err = os.Truncate(path, 0)
	case "a byte flipped":
		data[len(data)/2] ^= 1
		err = os.WriteFile(path, data, 0o644)
	case "deleted":
		err = os.Remove(path)
	case "garbage":
		err = os.WriteFile(path, []byte("<html>"), 0o644)
	case "a link":
		if err = os.Rename(path, path+".real"); err == nil {
			err = os.Symlink(path+".real", path)
		}
	default:
		f.t.Fatalf("no such damage: %s", how)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// files lists all files with their contents, to see whether anything changed.
func (f *fake) files() map[string]string {
	f.t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, f.dir)] = string(data)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f *fake) unchanged(before map[string]string) {
	f.t.Helper()
	if !maps.Equal(before, f.files()) {
		f.t.Error("the folder was changed")
	}
}
