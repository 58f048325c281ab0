package oci

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// Images asks a gateway about whole images. It may be used at once from many
// places.
type Images struct {
	Protocol *Protocol
	Mirror   *gateway.Mirror
}

// Resolved says what a reference stands for.
type Resolved struct {
	Digest    digest.Digest            // of the index, or of the one manifest that there is
	Platforms map[string]digest.Digest // of each platform's own manifest, where there is an index
	Stale     time.Time                // when this was last confirmed; zero: just now
}

// Resolve asks what ref (in full: docker.io/library/golang:1.26) stands for on
// the platforms that are wanted; none means this machine's.
func (i Images) Resolve(ctx context.Context, ref string, want []string) (Resolved, error) {
	w, b, err := i.find(ctx, ref, want, nil)
	if err != nil {
		return Resolved{}, err
	}
	defer b.Close()
	m, err := readManifest(b)
	if err != nil {
		return Resolved{}, fmt.Errorf("%s: %w", ref, err)
	}
	r := Resolved{Digest: b.Asset().Digest, Stale: b.Stale()}
	for _, d := range m.Manifests {
		if d.Platform == nil || !w.want.Match(platforms.Normalize(*d.Platform)) {
			continue
		}
		if r.Platforms == nil {
			r.Platforms = make(map[string]digest.Digest)
		}
		if name := platforms.FormatAll(platforms.Normalize(*d.Platform)); r.Platforms[name] == "" {
			r.Platforms[name] = d.Digest
		}
	}
	if len(m.Manifests) > 0 && r.Platforms == nil {
		return r, fmt.Errorf("%s: no image for the platforms that are asked for", ref)
	}
	return r, nil
}

// Pull brings all of ref that the platforms need into the gateway's store, and
// tells seen of each content that is there, with its size in bytes. seen is
// called at once from several places.
func (i Images) Pull(ctx context.Context, ref string, want []string, seen func(d digest.Digest, size int64)) error {
	w, b, err := i.find(ctx, ref, want, func(b *gateway.Body) error { seen(b.Asset().Digest, b.Size()); return nil })
	if err != nil {
		return err
	}
	defer b.Close()
	if err := w.manifest(ctx, b, maxDepth); err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	return nil
}

// find gets the manifest that ref names, for a walk on from there.
func (i Images) find(ctx context.Context, ref string, want []string, visit func(*gateway.Body) error) (walk, *gateway.Body, error) {
	q, err := parseRef(ref)
	if err != nil {
		return walk{}, nil, err
	}
	matcher, err := anyOf(want)
	if err != nil {
		return walk{}, nil, err
	}
	b, err := i.Mirror.Find(ctx, i.Protocol.asset(q, nil), false)
	if err != nil {
		return walk{}, nil, fmt.Errorf("%s: %w", ref, err)
	}
	return walk{i.Protocol, i.Mirror, q, matcher, visit}, b, nil
}
