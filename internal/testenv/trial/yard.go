package trial

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

// A yard is what all errands share: a BuildKit with a healthy registry, the
// programs of this machine, and what the sources of packages serve. What fails
// in an errand never reaches the daemon.
type yard struct {
	mu       sync.Mutex
	dir      string
	cloud    *cloud.Cloud // with one site
	buildkit *testenv.Buildkitd
	buildx   *testenv.Buildx
	ready    map[string]*supplies // by manager
	rows     atomic.Int64
}

// supplies are what a manager's errands need.
type supplies struct {
	backend  http.Handler
	programs string // a build context: "" for none
}

// contexts are the flags of buildx that a build with them needs.
func (s *supplies) contexts() []string {
	if s.programs == "" {
		return nil
	}
	return []string{"--build-context", "machine=" + s.programs}
}

// prepare readies the yard for m, once.
func (b *Bench) prepare(ctx context.Context, m *manager) (*supplies, error) {
	y := &b.yard
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.buildkit == nil {
		if err := y.start(ctx, b); err != nil {
			return nil, err
		}
	}
	if s := y.ready[m.name]; s != nil {
		return s, nil
	}
	backend, err := m.backend()
	if err != nil {
		return nil, fmt.Errorf("what %s is to get: %w", m.name, err)
	}
	s := &supplies{backend: backend}
	if m.add != nil {
		s.programs = filepath.Join(y.dir, "programs-"+m.name)
		if err := os.MkdirAll(s.programs, 0o755); err != nil {
			return nil, err
		}
		if err := m.add(testenv.Machine{Dir: s.programs}); err != nil {
			return nil, err
		}
	}
	if err := y.warm(ctx, m, s); err != nil {
		return nil, err
	}
	y.ready[m.name] = s
	return s, nil
}

// warm has the base image and the programs in BuildKit's cache, so that no
// errand pays for them.
func (y *yard) warm(ctx context.Context, m *manager, s *supplies) error {
	dir := filepath.Join(y.dir, "warm-"+m.name)
	if err := m.context(dir, m.dockerfile(y.base(), "", "")); err != nil {
		return err
	}
	args := append([]string{"build", "--builder", "yard", "--target", "ready"}, s.contexts()...)
	if out, err := y.buildx.Run(ctx, append(args, dir)...); err != nil {
		return fmt.Errorf("build what %s needs: %w\n%s", m.name, err, out)
	}
	return nil
}

func (y *yard) start(ctx context.Context, b *Bench) error {
	y.dir = filepath.Join(b.dir, "yard")
	y.ready = make(map[string]*supplies)
	y.cloud = b.cloud.Beside()
	if _, err := y.cloud.Site("", cloud.PlaceOptions{Tags: true}); err != nil {
		return err
	}
	var err error
	if y.buildx, err = testenv.OpenBuildx(filepath.Join(y.dir, "docker")); err != nil {
		return err
	}
	buildkit, err := testenv.StartBuildkitd(ctx, filepath.Join(y.dir, "bk"), testenv.BuildkitdOptions{Config: y.cloud.BuildkitConfig()})
	if err != nil {
		return err
	}
	if out, err := y.buildx.Run(ctx, "create", "--name", "yard", "--driver", "remote", buildkit.Addr()); err != nil {
		buildkit.Stop()
		return fmt.Errorf("create a builder: %w\n%s", err, out)
	}
	y.buildkit = buildkit
	return nil
}

// base stands before the names of base images.
func (y *yard) base() string { return y.cloud.Sites[0].Host() + "/library/" }

func (y *yard) close() {
	if y.buildkit != nil {
		y.buildkit.Stop()
	}
	if y.cloud != nil {
		y.cloud.Close()
	}
}
