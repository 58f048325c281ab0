// Package images makes stand-ins for public base images out of what a
// Debian-like machine has: a root file system by debootstrap, the Go toolchain
// that runs it, busybox, certificates, and BuildKit's own programs. They carry
// the names that Dockerfiles use and are good enough to build real programs
// with, but they are not those images.
//
// It never fetches from a container registry.
package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// generation is part of every image's key: raise it when a recipe changes what it makes.
const generation = "2"

// An Image is a base image that has been made.
type Image struct {
	Name   string   // short: "golang"
	Refs   []string // what Dockerfiles call it, the usual name first: "docker.io/library/golang:1.26"
	Dir    string   // its OCI layout, whose index.json has one entry, an index with an image for each platform
	Digest v1.Hash  // of that index
}

// A Maker makes images.
type Maker struct {
	Dir  string                            // where the layouts are and go
	Tool func(name string) (string, error) // finds debootstrap, busybox, go, buildkitd and the like
	Root func() error                      // says why root's rights, which debootstrap needs, are not there
	Log  func(line string)                 // told of each image that is made
}

// A recipe makes one image.
type recipe struct {
	name string
	refs func(*Maker) []string
	// key changes whenever what the recipe makes changes; it is cheap.
	key func(*Maker) (string, error)
	// make returns an image for each platform. Temporary files go to dir.
	make func(ctx context.Context, m *Maker, dir string) ([]v1.Image, error)
}

// recipes are all images, each after those that it builds upon.
func recipes() []recipe {
	return []recipe{
		{"debian", debianRefs, debianKey, makeDebian},
		{"golang", golangRefs, golangKey, makeGolang},
		{"alpine", refs("docker.io/library/alpine:3", "docker.io/library/alpine:latest", "docker.io/library/busybox:latest"), alpineKey, makeAlpine},
		{"static", refs("gcr.io/distroless/static:nonroot", "gcr.io/distroless/static-debian12:nonroot"), staticKey, makeStatic},
		{"dockerfile", refs("docker.io/docker/dockerfile:1", "docker.io/docker/dockerfile:latest"), frontendKey, makeFrontend},
		{"buildkit", refs("docker.io/moby/buildkit:buildx-stable-1"), buildkitKey, makeBuildkit},
	}
}

func refs(list ...string) func(*Maker) []string { return func(*Maker) []string { return list } }

// Make makes the images that are missing or out of date, and returns all.
func (m *Maker) Make(ctx context.Context) ([]Image, error) {
	var all []Image
	for _, r := range recipes() {
		img, err := m.one(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("make image %s: %w", r.name, err)
		}
		all = append(all, img)
	}
	return all, nil
}

func (m *Maker) one(ctx context.Context, r recipe) (Image, error) {
	key, err := r.key(m)
	if err != nil {
		return Image{}, err
	}
	key = generation + " " + key + "\n"
	dir := filepath.Join(m.Dir, r.name)
	if old, err := os.ReadFile(filepath.Join(dir, "key")); err == nil && string(old) == key {
		if img, err := open(r.name, dir); err == nil {
			return img, nil
		}
	}

	m.Log("making image " + r.name + " as " + r.refs(m)[0])
	tmp, err := os.MkdirTemp(m.Dir, "."+r.name+"-")
	if err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(tmp)
	work := filepath.Join(tmp, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return Image{}, err
	}
	platforms, err := r.make(ctx, m, work)
	if err != nil {
		return Image{}, err
	}
	made := filepath.Join(tmp, "layout")
	if err := write(made, platforms); err != nil {
		return Image{}, err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(made, "refs"), []byte(strings.Join(r.refs(m), "\n")+"\n"), 0o644),
		os.WriteFile(filepath.Join(made, "key"), []byte(key), 0o644),
		os.RemoveAll(dir),
		os.Rename(made, dir),
	)
	if err != nil {
		return Image{}, err
	}
	return open(r.name, dir)
}

// write writes an OCI layout with one index of all platforms.
func write(dir string, platforms []v1.Image) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range platforms {
		config, err := img.ConfigFile()
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: config.Platform()},
		})
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
}

// Open returns the images that have been made in dir, in the order of recipes.
// It fails with fs.ErrNotExist where one is missing.
func Open(dir string) ([]Image, error) {
	var all []Image
	for _, r := range recipes() {
		img, err := open(r.name, filepath.Join(dir, r.name))
		if err != nil {
			return nil, err
		}
		all = append(all, img)
	}
	return all, nil
}

func open(name, dir string) (Image, error) {
	refs, err := os.ReadFile(filepath.Join(dir, "refs"))
	if err != nil {
		return Image{}, err
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		return Image{}, err
	}
	index, err := path.ImageIndex()
	if err != nil {
		return Image{}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return Image{}, err
	}
	if len(manifest.Manifests) != 1 {
		return Image{}, fmt.Errorf("%s: %d entries in its index, want 1", dir, len(manifest.Manifests))
	}
	return Image{name, strings.Fields(string(refs)), dir, manifest.Manifests[0].Digest}, nil
}

// Index returns the image's index, with an image for each platform.
func (i Image) Index() (v1.ImageIndex, error) {
	path, err := layout.FromPath(i.Dir)
	if err != nil {
		return nil, err
	}
	root, err := path.ImageIndex()
	if err != nil {
		return nil, err
	}
	return root.ImageIndex(i.Digest)
}

// Image returns what there is for one platform, such as "linux/amd64".
func (i Image) Image(platform string) (v1.Image, error) {
	want, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	index, err := i.Index()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.Platform.Satisfies(*want) {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("image %s has no platform %s", i.Name, platform)
}

// Repository returns the path of a reference in its registry, and its tag:
// "library/golang" and "1.26".
func Repository(ref string) (repository, tag string, err error) {
	parsed, err := name.NewTag(ref, name.StrictValidation)
	if err != nil {
		return "", "", err
	}
	return parsed.RepositoryStr(), parsed.TagStr(), nil
}

// finish puts layers upon an image and sets its platform and configuration.
func finish(img v1.Image, platform string, c v1.Config, layers ...v1.Layer) (v1.Image, error) {
	for _, l := range layers {
		var err error
		img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "stand-in", Created: v1.Time{Time: epoch}}})
		if err != nil {
			return nil, err
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = p.OS, p.Architecture, p.Variant
	file.Created = v1.Time{Time: epoch}
	file.Config = c
	return mutate.ConfigFile(img, file)
}

// scratch is an image without layers.
func scratch() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// fileKey identifies programs and other files by their content.
func fileKey(paths ...string) (string, error) {
	sum := sha256.New()
	for _, p := range paths {
		content, err := os.ReadFile(p)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%d\n", len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:32], nil
}

// Save writes the image of one platform into a file that docker load takes.
func (i Image) Save(file, platform string) error {
	img, err := i.Image(platform)
	if err != nil {
		return err
	}
	names := make(map[name.Reference]v1.Image)
	for _, ref := range i.Refs {
		tag, err := name.NewTag(ref)
		if err != nil {
			return err
		}
		names[tag] = img
	}
	return tarball.MultiRefWriteToFile(file, names)
}
