package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/gateway"
)

// An Exporter writes images that a gateway can have as OCI layouts, for
// builders that cannot reach the gateway but read a folder over the build's
// session.
type Exporter struct {
	Protocol *Protocol
	Mirror   *gateway.Mirror
	// Path returns where the store keeps a digest, to link to it instead of
	// copying. Nil copies.
	Path func(digest.Digest) string
}

// Export writes the image ref (in full: docker.io/library/golang:1.26) to the
// folder dir, which is made, with all that the given platforms need, and
// returns the digest that ref stands for. Several may write to one folder, one
// after another.
func (e *Exporter) Export(ctx context.Context, dir, ref string, want []string) (digest.Digest, error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs"), 0o700); err != nil {
		return "", err
	}
	x := export{Exporter: e, dir: dir}
	w, b, err := Images{e.Protocol, e.Mirror}.find(ctx, ref, want, x.write)
	if err != nil {
		return "", err
	}
	defer b.Close()
	if err := w.manifest(ctx, b, maxDepth); err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return b.Asset().Digest, x.index(b)
}

// export is one image on its way into a folder.
type export struct {
	*Exporter
	dir string
}

// write puts content into the folder: a link to the store where there is one,
// else a copy.
func (x export) write(b *gateway.Body) error {
	d := b.Asset().Digest
	to := filepath.Join(x.dir, "blobs", d.Algorithm().String(), d.Encoded())
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if x.Path != nil {
		from := x.Path(d)
		if _, err := os.Stat(from); err == nil && os.Symlink(from, to) == nil {
			return nil
		}
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, b.Open())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// index writes the two files that make the folder an OCI layout.
func (x export) index(b *gateway.Body) error {
	a := b.Asset()
	size, err := io.Copy(io.Discard, b.Open())
	if err != nil {
		return err
	}
	layout, err := json.Marshal(ocispecs.ImageLayout{Version: ocispecs.ImageLayoutVersion})
	if err != nil {
		return err
	}
	index, err := json.Marshal(ocispecs.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispecs.MediaTypeImageIndex,
		Manifests: []ocispecs.Descriptor{{MediaType: a.Type, Digest: a.Digest, Size: size}},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(x.dir, ocispecs.ImageLayoutFile), layout, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(x.dir, ocispecs.ImageIndexFile), index, 0o600)
}
