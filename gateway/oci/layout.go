package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

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

// maxDepth bounds indexes within indexes.
const maxDepth = 4

// Export writes the image ref (in full: docker.io/library/golang:1.26) to the
// folder dir, which is made, with all that the given platforms need, and
// returns the digest that ref stands for. Several may write to one folder, one
// after another.
func (e *Exporter) Export(ctx context.Context, dir, ref string, want []string) (digest.Digest, error) {
	q, err := parseRef(ref)
	if err != nil {
		return "", err
	}
	matcher, err := anyOf(want)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs"), 0o700); err != nil {
		return "", err
	}
	b, err := e.Mirror.Find(ctx, e.Protocol.asset(q, nil), false)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	defer b.Close()
	x := export{e, dir, q}
	if err := x.manifest(ctx, b, matcher, maxDepth); err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return b.Asset().Digest, x.index(b)
}

// export is one image on its way into a folder.
type export struct {
	*Exporter
	dir string
	ref request
}

func anyOf(want []string) (platforms.Matcher, error) {
	var parsed []ocispecs.Platform
	for _, w := range want {
		p, err := platforms.Parse(w)
		if err != nil {
			return nil, fmt.Errorf("platform %s: %w", w, err)
		}
		parsed = append(parsed, p)
	}
	if parsed == nil {
		parsed = []ocispecs.Platform{platforms.DefaultSpec()}
	}
	return platforms.Any(parsed...), nil
}

// manifest writes a manifest or an index and what it refers to.
func (x export) manifest(ctx context.Context, b *gateway.Body, want platforms.Matcher, depth int) error {
	if depth == 0 {
		return errors.New("indexes are nested too deep")
	}
	if err := x.write(b); err != nil {
		return err
	}
	var m struct {
		Config    *ocispecs.Descriptor  `json:"config"`
		Layers    []ocispecs.Descriptor `json:"layers"`
		Manifests []ocispecs.Descriptor `json:"manifests"`
	}
	if err := json.NewDecoder(b.Open()).Decode(&m); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // as many as BuildKit pulls at once
	found := len(m.Manifests) == 0
	for _, d := range m.Manifests {
		if d.Platform != nil && !want.Match(platforms.Normalize(*d.Platform)) {
			continue
		}
		found = true
		group.Go(func() error {
			child, err := x.get(ctx, "manifests", d)
			if err != nil {
				return err
			}
			defer child.Close()
			return x.manifest(ctx, child, want, depth-1)
		})
	}
	if !found {
		return errors.New("no image for the platforms that are asked for")
	}
	blobs := m.Layers
	if m.Config != nil {
		blobs = append(blobs, *m.Config)
	}
	for _, d := range blobs {
		group.Go(func() error {
			blob, err := x.get(ctx, "blobs", d)
			if err != nil {
				return err
			}
			defer blob.Close()
			return x.write(blob)
		})
	}
	return group.Wait()
}

func (x export) get(ctx context.Context, kind string, d ocispecs.Descriptor) (*gateway.Body, error) {
	if err := checkDigest(d.Digest.String()); err != nil {
		return nil, err
	}
	return x.Mirror.Find(ctx, x.Protocol.asset(request{host: x.ref.host, repo: x.ref.repo, kind: kind, ref: d.Digest.String()}, nil), false)
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

// parseRef reads a reference in full: host, repository, and a tag or a digest.
// A digest beside a tag wins, as in BuildKit.
func parseRef(ref string) (request, error) {
	host, rest, ok := strings.Cut(ref, "/")
	name, found := hostOf(HostPath(host))
	if !ok || !found {
		return request{}, refError(ref)
	}
	q := request{host: name, repo: rest, kind: "manifests", ref: "latest"}
	if repo, d, ok := strings.Cut(rest, "@"); ok {
		q.repo, q.ref = repo, d
	}
	if i := strings.LastIndex(q.repo, ":"); i >= 0 {
		if q.ref == "latest" {
			q.ref = q.repo[i+1:]
		}
		q.repo = q.repo[:i]
	}
	if !nameForm.MatchString(q.repo) {
		return request{}, refError(ref)
	}
	return q, q.check()
}

func refError(ref string) error {
	return &gateway.AnswerError{Code: http.StatusBadRequest, Err: fmt.Errorf("%q is no reference in full", ref)}
}
