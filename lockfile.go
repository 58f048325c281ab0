package outlast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// LockName is the file beside a Dockerfile that says which digest each tag
// stands for. It is made to be committed.
const LockName = "outlast.lock"

// lockVersion is the form of the file that this program reads and writes.
const lockVersion = 1

// maxLock bounds a lock file: an image takes some 200 bytes.
const maxLock = 4 << 20

// A Lock says which digest each tag stood for when it was locked. With it, any
// mirror can serve an image, since the digest proves it.
type Lock struct {
	Version int               `json:"version"`
	Images  map[string]Locked `json:"images"` // by reference in full: docker.io/library/golang:1.26
}

// Locked is what one tag stood for.
type Locked struct {
	Digest digest.Digest `json:"digest"` // of the index, or of the one manifest that there is

	// Platforms are the digests of the manifests for the platforms that the
	// build needs, where the digest is that of an index.
	Platforms map[string]digest.Digest `json:"platforms,omitempty"`
}

// ParseLock reads the text of a lock file. Errors name the line.
func ParseLock(text []byte) (Lock, error) {
	var l Lock
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return Lock{}, fmt.Errorf("line %d: %w", lineAt(text, dec.InputOffset(), err), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Lock{}, fmt.Errorf("line %d: something follows the end", lineAt(text, dec.InputOffset(), nil))
	}
	if l.Version != lockVersion {
		return Lock{}, fmt.Errorf("version %d: this program knows version %d", l.Version, lockVersion)
	}
	for ref, image := range l.Images {
		named, err := reference.ParseNamed(ref)
		if err != nil {
			return Lock{}, fmt.Errorf("line %d: %q is no reference in full: %w", lineOf(text, ref), ref, err)
		}
		if _, ok := named.(reference.Digested); ok {
			return Lock{}, fmt.Errorf("line %d: %q has a digest already", lineOf(text, ref), ref)
		}
		for _, d := range append(valuesOf(image.Platforms), image.Digest) {
			if err := d.Validate(); err != nil {
				return Lock{}, fmt.Errorf("line %d: %s: %q is no digest: %w", lineOf(text, ref), ref, d, err)
			}
		}
	}
	return l, nil
}

func valuesOf(m map[string]digest.Digest) []digest.Digest {
	var all []digest.Digest
	for _, d := range m {
		all = append(all, d)
	}
	return all
}

// lineAt is the line of the place that a decoder's error is about.
func lineAt(text []byte, offset int64, err error) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	return 1 + bytes.Count(text[:min(int64(len(text)), offset)], []byte{'\n'})
}

func lineOf(text []byte, key string) int {
	return 1 + bytes.Count(text[:max(0, bytes.Index(text, []byte(`"`+key+`"`)))], []byte{'\n'})
}

// Text returns the lock as a file has it. The same lock has the same text.
func (l Lock) Text() []byte {
	l.Version = lockVersion
	if l.Images == nil {
		l.Images = map[string]Locked{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(l); err != nil {
		panic(err) // strings and maps of them
	}
	return b.Bytes()
}

// lockPath is where the lock of a Dockerfile is; empty where the Dockerfile is
// not on this machine's disk.
func lockPath(dockerfile string) string {
	if dockerfile == "" || dockerfile == "-" {
		return ""
	}
	return filepath.Join(filepath.Dir(dockerfile), LockName)
}

// readLock reads the lock at path. One that is not there is empty; one that
// cannot be read is an error, for who locks wants to build what is locked.
func readLock(path string) (Lock, error) {
	if path == "" {
		return Lock{}, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Lock{}, nil
	}
	if err != nil {
		return Lock{}, &fault.Error{Op: "read lock", Kind: fault.Config, Err: err}
	}
	defer f.Close()
	text, err := readAtMost(f, maxLock)
	var l Lock
	if err == nil {
		l, err = ParseLock(text)
	}
	if err != nil {
		return Lock{}, &fault.Error{Kind: fault.Config, Err: fmt.Errorf("%s: %w", path, err)}
	}
	return l, nil
}

// writeLock replaces the file whole.
func writeLock(path string, l Lock) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+LockName+".")
	if err != nil {
		return &fault.Error{Op: "write lock", Kind: fault.Resource, Err: err}
	}
	defer os.Remove(f.Name())
	_, err = f.Write(l.Text())
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return &fault.Error{Op: "write lock", Kind: fault.Resource, Err: err}
	}
	return nil
}

// pinned returns ref with the digest that it is locked to, or as it is.
func (l Lock) pinned(ref string) string {
	if locked, ok := l.Images[ref]; ok {
		return ref + "@" + locked.Digest.String()
	}
	return ref
}

// pins are the digests of a recipe's images that are locked, but for those that
// the engine itself holds: it builds on what it has.
func (l Lock) pins(rec recipe, held []string) map[string]digest.Digest {
	var pins map[string]digest.Digest
	for _, im := range rec.images() {
		locked, ok := l.Images[im.ref]
		if !ok || slices.Contains(held, im.ref) {
			continue
		}
		if pins == nil {
			pins = make(map[string]digest.Digest)
		}
		pins[im.ref] = locked.Digest
	}
	return pins
}

// open lists the images of a recipe that could be locked and are not, where
// there is a lock at all.
func (l Lock) open(rec recipe) []string {
	if l.Version == 0 {
		return nil
	}
	var all []string
	for _, im := range rec.tagged() {
		if _, ok := l.Images[im.ref]; !ok {
			all = append(all, im.ref)
		}
	}
	return all
}
