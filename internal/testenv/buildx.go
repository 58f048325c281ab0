package testenv

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// A Buildx is the pinned buildx with a docker configuration of its own, so
// that its builders are not the user's.
type Buildx struct {
	// Config is the folder of its docker configuration: DOCKER_CONFIG.
	Config string
	// Env is added to the environment of every run.
	Env []string
	bin string
}

// OpenBuildx makes a docker configuration in dir with buildx as its plugin.
func OpenBuildx(dir string) (*Buildx, error) {
	bin, err := LookTool("buildx")
	if err != nil {
		return nil, err
	}
	plugins := filepath.Join(dir, "cli-plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(bin, filepath.Join(plugins, "docker-buildx")); err != nil {
		return nil, err
	}
	return &Buildx{Config: dir, bin: bin}, nil
}

// NewBuildx is OpenBuildx for a test.
func NewBuildx(t testing.TB) *Buildx {
	t.Helper()
	b, err := OpenBuildx(TempDir(t))
	Need(t, err)
	return b
}

// Environ is what to add to a child's environment: DOCKER_CONFIG, and Env.
func (b *Buildx) Environ() []string {
	return append([]string{"DOCKER_CONFIG=" + b.Config}, b.Env...)
}

// Run runs buildx to its end and returns what it printed on both outputs.
func (b *Buildx) Run(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, b.Environ(), append([]string{b.bin}, args...)...)
}
