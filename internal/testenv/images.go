package testenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/outlast-build/outlast/internal/testenv/images"
)

// BaseImages returns the stand-ins for public images that make images has
// made, by short name: "debian", "golang", "alpine", "static", "dockerfile"
// (the frontend), "buildkit". It fails with a *Missing.
func BaseImages() (map[string]images.Image, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	all, err := images.Open(filepath.Join(dir, "images"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Missing{"the base images", "make images"}
	}
	if err != nil {
		return nil, err
	}
	byName := make(map[string]images.Image)
	for _, img := range all {
		byName[img.Name] = img
	}
	return byName, nil
}

// Images is BaseImages for a test.
func Images(t testing.TB) map[string]images.Image {
	t.Helper()
	all, err := BaseImages()
	Need(t, err)
	return all
}

// Push sends an image with all its platforms to a registry at host, under the
// repository and tag of each of its names: docker.io/library/golang:1.26 goes
// to HOST/library/golang:1.26.
func Push(ctx context.Context, host string, img images.Image) error {
	index, err := img.Index()
	if err != nil {
		return err
	}
	for _, ref := range img.Refs {
		repository, tag, err := images.Repository(ref)
		if err != nil {
			return err
		}
		to, err := name.NewTag(host+"/"+repository+":"+tag, name.Insecure)
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(to, index, remote.WithContext(ctx), remote.WithJobs(4)); err != nil {
			return fmt.Errorf("push %s: %w", to, err)
		}
	}
	return nil
}
