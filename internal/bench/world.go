package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

// A world is what all measurements share: a registry, the programs, and a
// folder that goes with them.
type world struct {
	dir      string
	registry *testenv.Registry
	buildx   *testenv.Buildx
	outlast  string
	stock    string // the path of buildx
	pushed   map[string]bool
}

func newWorld(ctx context.Context) (*world, error) {
	dir, err := os.MkdirTemp("", "olb")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, pushed: make(map[string]bool)}
	if err := w.start(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) start(ctx context.Context) error {
	var err error
	if w.outlast, err = testenv.BuildOutlast(); err != nil {
		return err
	}
	if w.stock, err = testenv.LookTool("buildx"); err != nil {
		return err
	}
	if w.buildx, err = testenv.OpenBuildx(filepath.Join(w.dir, "docker")); err != nil {
		return err
	}
	w.registry, err = testenv.StartRegistry(ctx, filepath.Join(w.dir, "registry"), testenv.RegistryOptions{})
	return err
}

func (w *world) close() {
	if w.registry != nil {
		w.registry.Stop()
	}
	os.RemoveAll(w.dir)
}

// push sends an image to the registry, once.
func (w *world) push(ctx context.Context, name string, get func(dir string) (images.Image, error)) error {
	if w.pushed[name] {
		return nil
	}
	dir := filepath.Join(w.dir, name)
	defer os.RemoveAll(dir)
	img, err := get(dir)
	if err != nil {
		return err
	}
	w.pushed[name] = true
	return testenv.Push(ctx, w.registry.Host, img)
}

// A site is docker.io: an origin and its mirrors, all with the registry's content.
type site struct {
	cloud.Cloud
	places []*cloud.Place // the mirrors, then the origin
}

// site starts an origin and mirrors that send rate bytes a second on each
// connection; 0 is as fast as they can. The mirrors are trusted for tags.
func (w *world) site(mirrors int, rate int64) (*site, error) {
	s := new(site)
	for range mirrors + 1 {
		backend, err := faultnet.NewProxy(w.registry.URL)
		if err != nil {
			return nil, err
		}
		p := &cloud.Place{Registry: &faultnet.Service{Backend: backend, Rate: rate}, Tags: true}
		if err := p.Registry.Start(); err != nil {
			s.close()
			return nil, err
		}
		s.places = append(s.places, p)
	}
	s.Sites = []*cloud.Site{{Name: "docker.io", Mirrors: s.places[:mirrors], Origin: s.places[mirrors]}}
	return s, nil
}

func (s *site) close() {
	for _, p := range s.places {
		p.Registry.Close()
	}
}

// A place is a BuildKit of its own with a builder of buildx, and a home for outlast.
type place struct {
	*world
	dir, builder, settings string
	buildkit               *testenv.Buildkitd
}

// fresh starts a BuildKit that has nothing, told of the site's sources.
func (w *world) fresh(ctx context.Context, s *site) (*place, error) {
	dir, err := os.MkdirTemp(w.dir, "p")
	if err != nil {
		return nil, err
	}
	p := &place{world: w, dir: dir, builder: filepath.Base(dir)}
	if err := p.start(ctx, s); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) start(ctx context.Context, s *site) error {
	var err error
	if p.settings, err = s.WriteSettings(p.dir); err != nil {
		return err
	}
	if p.buildkit, err = testenv.StartBuildkitd(ctx, filepath.Join(p.dir, "b"), testenv.BuildkitdOptions{Config: s.BuildkitConfig()}); err != nil {
		return err
	}
	if _, err = p.buildx.Run(ctx, "create", "--name", p.builder, "--driver", "remote", p.buildkit.Addr()); err != nil {
		return fmt.Errorf("create a builder: %w", err)
	}
	return nil
}

func (p *place) close() {
	if p.buildkit != nil {
		p.buildkit.Stop()
	}
	os.RemoveAll(p.dir)
}

// context writes a build context with one Dockerfile.
func (p *place) context(dockerfile string) (string, error) {
	dir := filepath.Join(p.dir, "context")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644)
}
