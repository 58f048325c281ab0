package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/gateway"
)

// maxConfig bounds what is read of an image's configuration: as much as a
// manifest may have.
const maxConfig = 4 << 20

// Env returns the variables that ref (in full) sets on any of the platforms, as
// NAME=VALUE. No layer is fetched.
func (i Images) Env(ctx context.Context, ref string, want []string) ([]string, error) {
	w, b, err := i.find(ctx, ref, want, nil)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	env := []string{}
	if err := w.env(ctx, b, maxDepth, &env); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	slices.Sort(env)
	return slices.Compact(env), nil
}

// env collects the variables of a manifest, or of those in an index.
func (w walk) env(ctx context.Context, b *gateway.Body, depth int, env *[]string) error {
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
		err = w.env(ctx, child, depth-1, env)
		child.Close()
		if err != nil {
			return err
		}
	}
	if m.Config == nil {
		return nil
	}
	config, err := w.get(ctx, "blobs", *m.Config)
	if err != nil {
		return err
	}
	defer config.Close()
	var image ocispecs.Image
	if err := json.NewDecoder(io.LimitReader(config.Open(), maxConfig)).Decode(&image); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	*env = append(*env, image.Config.Env...)
	return nil
}
