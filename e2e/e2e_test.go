// Package e2e builds real images with a real BuildKit, real base images and
// registries that fail by script.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/cloud"
)

// A bench is a place to build at: a cloud, a BuildKit of its own, and a folder
// for what the program keeps.
type bench struct {
	t        *testing.T
	cloud    *cloud.Cloud
	buildkit *testenv.Buildkitd
	buildx   *testenv.Buildx
	outlast  string
	dir      string
	env      []string      // of the program, beside what run sets
	limit    time.Duration // of a run of the program; 0 is 3 minutes
}

// newBench starts a cloud and a BuildKit, and stops them at the test's end.
// setUp adds the sites.
func newBench(t *testing.T, setUp func(*cloud.Cloud) error) *bench {
	t.Helper()
	testenv.Root(t)
	b := &bench{t: t, dir: testenv.TempDir(t), outlast: testenv.Outlast(t), buildx: testenv.NewBuildx(t)}
	c, err := cloud.Start(t.Context(), filepath.Join(b.dir, "cloud"))
	testenv.Need(t, err)
	t.Cleanup(c.Close)
	b.cloud = c
	if err := setUp(c); err != nil {
		t.Fatal(err)
	}
	b.buildkit = testenv.NewBuildkitd(t, testenv.BuildkitdOptions{Config: c.BuildkitConfig()})
	return b
}

// A result is what a run of the program came to.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

func (r result) text() string { return r.stdout + r.stderr }

// run runs outlast with the cloud's settings.
func (b *bench) run(args ...string) result {
	b.t.Helper()
	return b.runIn(b.t.Context(), args...)
}

// runIn is run for when the test's own context has ended.
func (b *bench) runIn(ctx context.Context, args ...string) result {
	b.t.Helper()
	file, err := b.cloud.WriteSettings(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(b.limit, 3*time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, b.outlast, args...)
	cmd.Env = append(os.Environ(), b.buildx.Environ()...)
	cmd.Env = append(cmd.Env, "BUILDKIT_HOST="+b.buildkit.Addr(), "OUTLAST_CONFIG="+file, "HOME="+b.dir,
		"XDG_STATE_HOME="+b.dir+"/state", "NO_COLOR=1")
	cmd.Env = append(cmd.Env, b.env...)
	return execute(b.t, cmd)
}

func execute(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	r := result{stdout: stdout.String(), stderr: stderr.String(), took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return r
}

// build runs outlast build with arguments before the context dir.
func (b *bench) build(dir string, args ...string) result {
	b.t.Helper()
	file, err := b.cloud.WriteSettings(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.run(append(append([]string{"build", "--config", file, "--progress", "plain"}, args...), dir)...)
}

// context writes a build context with one Dockerfile.
func (b *bench) context(dockerfile string) string {
	b.t.Helper()
	dir := b.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("got exit code %d after %v, want %d:\n%s", r.code, r.took, code, r.text())
	}
	for _, text := range texts {
		if !strings.Contains(r.text(), text) {
			t.Errorf("got no %q in:\n%s", text, r.text())
		}
	}
}
