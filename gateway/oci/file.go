package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/gateway"
)

// File returns a file of ref (in full), which all of the platforms must have
// alike: name is its path without a slash in front, and limit the most bytes
// that it may have. Layers are read from the last one on until one has it; what
// was read once is remembered in the gateway's store. The error is
// fs.ErrNotExist where the image has no such file.
func (i Images) File(ctx context.Context, ref string, want []string, name string, limit int64) ([]byte, error) {
	w, b, err := i.find(ctx, ref, want, nil)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var found [][]byte
	if err := w.file(ctx, b, maxDepth, name, limit, &found); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	for _, other := range found {
		if !bytes.Equal(other, found[0]) {
			return nil, fmt.Errorf("%s: its platforms have different files /%s", ref, name)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", ref, fs.ErrNotExist)
	}
	return found[0], nil
}

// file collects the file of a manifest, or of those in an index.
func (w walk) file(ctx context.Context, b *gateway.Body, depth int, name string, limit int64, found *[][]byte) error {
	if depth == 0 {
		return errors.New("indexes are nested too deep")
	}
	m, err := readManifest(b)
	if err != nil {
		return err
	}
	for _, d := range m.Manifests {
		if d.Platform != nil && !w.want.Match(platforms.Normalize(*d.Platform)) {
			continue
		}
		child, err := w.get(ctx, "manifests", d)
		if err != nil {
			return err
		}
		err = w.file(ctx, child, depth-1, name, limit, found)
		child.Close()
		if err != nil {
			return err
		}
	}
	if m.Config == nil {
		return nil
	}
	data, err := w.layerFile(ctx, b.Asset().Digest, m.Layers, name, limit)
	if err == nil {
		*found = append(*found, data)
	}
	return err
}

func (w walk) layerFile(ctx context.Context, of digest.Digest, layers []ocispecs.Descriptor, name string, limit int64) ([]byte, error) {
	key := "image-file/" + of.String() + "/" + name
	if data, err := w.known(key, limit); err == nil {
		return data, nil
	}
	for _, d := range slices.Backward(layers) {
		blob, err := w.get(ctx, "blobs", d)
		if err != nil {
			return nil, err
		}
		data, err := inLayer(blob.Open(), name, limit)
		blob.Close()
		if errors.Is(err, errNotHere) {
			continue
		}
		if err == nil && w.mirror.Store != nil {
			sum := digest.FromBytes(data)
			if w.mirror.Store.Put(sum, bytes.NewReader(data)) == nil {
				_ = w.mirror.Store.SetName(key, cas.Name{Digest: sum, Size: int64(len(data)), At: time.Now()}) // skipped where it cannot be written
			}
		}
		return data, err
	}
	return nil, fs.ErrNotExist
}

// known returns what was read before.
func (w walk) known(key string, limit int64) ([]byte, error) {
	if w.mirror.Store == nil {
		return nil, fs.ErrNotExist
	}
	n, err := w.mirror.Store.Name(key)
	if err != nil {
		return nil, err
	}
	c, err := w.mirror.Store.Get(n.Digest)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return io.ReadAll(io.LimitReader(c, limit))
}

var errNotHere = errors.New("the layer does not say")

// maxLayer bounds what a layer unpacks to.
const maxLayer = 16 << 30

// inLayer looks for a file in a layer. The error is errNotHere where the layer
// says nothing of it, and fs.ErrNotExist where it takes it away (image-spec,
// "Representing Changes").
func inLayer(r io.Reader, name string, limit int64) ([]byte, error) {
	in := bufio.NewReader(r)
	plain, err := unpacked(in)
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(io.LimitReader(plain, maxLayer))
	gone := false
	for {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read a layer: %w", err)
		}
		at := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		switch {
		case at == name && h.Typeflag == tar.TypeReg && h.Size <= limit:
			return io.ReadAll(io.LimitReader(files, limit))
		case at == name:
			return nil, fmt.Errorf("/%s is no file, or too large", name)
		case hides(at, name):
			gone = true
		}
	}
	if gone {
		return nil, fs.ErrNotExist
	}
	return nil, errNotHere
}

// hides reports whether an entry takes name away: it says so of the file, of a
// folder above it, or puts something else in the place of such a folder.
func hides(at, name string) bool {
	dir, base := path.Split(at)
	if base == ".wh..wh..opq" {
		return strings.HasPrefix(name, dir)
	}
	if gone, ok := strings.CutPrefix(base, ".wh."); ok {
		return name == dir+gone || strings.HasPrefix(name, dir+gone+"/")
	}
	return false
}

// unpacked reads a layer's form from its first bytes: media types differ, and
// the bytes are proved.
func unpacked(in *bufio.Reader) (io.Reader, error) {
	head, _ := in.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return in, nil
}
