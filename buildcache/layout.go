package buildcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/fault"
)

// What is read of a folder at most. BuildKit reads manifests and configurations
// of up to 1 MiB (readBlob in cache/remotecache); anything of many times that
// is no cache.
const (
	maxIndex    = 4 << 20
	maxDocument = 32 << 20
	maxFiles    = 1 << 20
	maxBuildKit = 1 << 20
)

// A blob is a file below blobs/.
type blob struct {
	path  string // below the folder
	state state
}

// folder is a cache folder as it lies on disk, without the contents of blobs.
type folder struct {
	dir     string
	blobs   map[digest.Digest]blob
	foreign []blob // below blobs/, with a name that is no digest, or no file
	ingests []ingest
	bytes   int64 // of blobs
}

type ingest struct {
	path  string // below the folder
	size  int64
	wrote time.Time // last
}

// ErrNoCache is what errors wrap that are about a folder which holds something
// else than a cache.
var ErrNoCache = errors.New("is no build cache")

// notCache is the error for a folder that holds no cache.
func notCache(dir, why string) error {
	return &fault.Error{Op: "read cache", Kind: fault.Config, Err: fmt.Errorf("%s: %w%s", dir, ErrNoCache, why)}
}

// readFolder lists what lies in dir. It fails for what is no cache folder at
// all, so that nothing is ever changed in one that belongs to something else.
func readFolder(dir string) (*folder, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &fault.Error{Op: "read cache", Kind: fault.Config, Err: fmt.Errorf("%s: no such folder", dir)}
	case err != nil:
		return nil, &fault.Error{Op: "read cache", Kind: fault.Config, Err: err}
	case !info.IsDir():
		return nil, notCache(dir, ": it is no folder")
	}
	f := &folder{dir: dir, blobs: make(map[digest.Digest]blob)}
	if !f.looksLikeCache() {
		return nil, notCache(dir, ": it has neither an index.json of images nor blobs by digest")
	}
	if err := f.listBlobs(); err != nil {
		return nil, &fault.Error{Op: "read cache", Kind: fault.Resource, Err: err}
	}
	f.listIngests()
	return f, nil
}

// looksLikeCache reports whether dir has a part that only an OCI layout has. A
// mark that is garbage counts, too: damage is what this package is for.
func (f *folder) looksLikeCache() bool {
	if is, err := os.Stat(filepath.Join(f.dir, "blobs", "sha256")); err == nil && is.IsDir() {
		return true
	}
	if data, err := readBounded(f.dir, ocispecs.ImageLayoutFile, maxIndex); err == nil && strings.Contains(string(data), "imageLayoutVersion") {
		return true
	}
	data, err := readBounded(f.dir, ocispecs.ImageIndexFile, maxIndex)
	return err == nil && strings.Contains(string(data), `"manifests"`)
}

func (f *folder) listBlobs() error {
	algorithms, err := os.ReadDir(filepath.Join(f.dir, "blobs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, a := range algorithms {
		if !a.IsDir() || !digest.Algorithm(a.Name()).Available() {
			f.foreign = append(f.foreign, blob{path: "blobs/" + a.Name()})
			continue
		}
		names, err := os.ReadDir(filepath.Join(f.dir, "blobs", a.Name()))
		if err != nil {
			return err
		}
		if len(f.blobs)+len(names) > maxFiles {
			return fmt.Errorf("%s has more than %d files", f.dir, maxFiles)
		}
		for _, n := range names {
			f.addBlob(digest.Algorithm(a.Name()), n.Name())
		}
	}
	return nil
}

func (f *folder) addBlob(a digest.Algorithm, name string) {
	path := "blobs/" + string(a) + "/" + name
	s, ok, err := lookAt(filepath.Join(f.dir, path))
	if err != nil {
		return // gone since
	}
	b := blob{path, s}
	d := digest.NewDigestFromEncoded(a, name)
	if d.Validate() != nil || !ok {
		f.foreign = append(f.foreign, b)
		return
	}
	f.blobs[d] = b
	f.bytes += b.state.Size
}

// listIngests lists half-written blobs: containerd's local store keeps each in
// a folder of its own below ingest/.
func (f *folder) listIngests() {
	dirs, err := os.ReadDir(filepath.Join(f.dir, "ingest"))
	if err != nil {
		return
	}
	for _, d := range dirs {
		in := ingest{path: "ingest/" + d.Name()}
		_ = filepath.WalkDir(filepath.Join(f.dir, in.path), func(_ string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				in.size += info.Size()
				if info.ModTime().After(in.wrote) {
					in.wrote = info.ModTime()
				}
			}
			return nil
		})
		f.ingests = append(f.ingests, in)
	}
}

// readIndex reads index.json.
func (f *folder) readIndex() (*ocispecs.Index, *Flaw) {
	data, err := readBounded(f.dir, ocispecs.ImageIndexFile, maxIndex)
	flaw := &Flaw{Path: ocispecs.ImageIndexFile, Used: true, Size: int64(len(data))}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		flaw.What = Missing
		return nil, flaw
	case err != nil:
		flaw.What, flaw.Detail = Unreadable, err.Error()
		return nil, flaw
	}
	var index ocispecs.Index
	if err := json.Unmarshal(data, &index); err != nil {
		flaw.What, flaw.Detail = Garbage, err.Error()
		return nil, flaw
	}
	if len(index.Manifests) == 0 {
		flaw.What, flaw.Detail = Garbage, "names no manifest"
		return nil, flaw
	}
	return &index, nil
}
