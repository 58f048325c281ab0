package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/gateway"
)

// maxDepth bounds indexes within indexes.
const maxDepth = 4

// A walk goes through an image, from its index or manifest to the last layer.
type walk struct {
	protocol *Protocol
	mirror   *gateway.Mirror
	ref      request
	want     platforms.Matcher
	visit    func(*gateway.Body) error // called with each content, at once from several places
}

// manifest visits a manifest or an index and what it refers to.
func (w walk) manifest(ctx context.Context, b *gateway.Body, depth int) error {
	if depth == 0 {
		return errors.New("indexes are nested too deep")
	}
	if err := w.visit(b); err != nil {
		return err
	}
	m, err := readManifest(b)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // as many as BuildKit pulls at once
	found := len(m.Manifests) == 0
	for _, d := range m.Manifests {
		if d.Platform != nil && !w.want.Match(platforms.Normalize(*d.Platform)) {
			continue
		}
		found = true
		group.Go(func() error {
			child, err := w.get(ctx, "manifests", d)
			if err != nil {
				return err
			}
			defer child.Close()
			return w.manifest(ctx, child, depth-1)
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
			blob, err := w.get(ctx, "blobs", d)
			if err != nil {
				return err
			}
			defer blob.Close()
			return w.visit(blob)
		})
	}
	return group.Wait()
}

// names is what a manifest or an index refers to.
type names struct {
	Config    *ocispecs.Descriptor  `json:"config"`
	Layers    []ocispecs.Descriptor `json:"layers"`
	Manifests []ocispecs.Descriptor `json:"manifests"`
}

func readManifest(b *gateway.Body) (names, error) {
	var m names
	if err := json.NewDecoder(b.Open()).Decode(&m); err != nil {
		return m, fmt.Errorf("read the manifest: %w", err)
	}
	return m, nil
}

func (w walk) get(ctx context.Context, kind string, d ocispecs.Descriptor) (*gateway.Body, error) {
	if err := checkDigest(d.Digest.String()); err != nil {
		return nil, err
	}
	return w.mirror.Find(ctx, w.protocol.asset(request{host: w.ref.host, repo: w.ref.repo, kind: kind, ref: d.Digest.String()}, nil), false)
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
