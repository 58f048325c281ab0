package testenv_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestBuildkitdBuildsAndLeavesNothing(t *testing.T) {
	b, err := testenv.StartBuildkitd(t.Context(), testenv.TempDir(t), testenv.BuildkitdOptions{})
	testenv.Need(t, err)
	defer b.Stop()
	out, err := testenv.Run(t.Context(), nil, testenv.Tool(t, "buildctl"), "--addr", b.Addr(), "debug", "workers")
	if err != nil || !strings.Contains(out, "linux/amd64") {
		t.Fatalf("debug workers: got %q, %v, want a worker for this platform", out, err)
	}

	b.Stop()
	if _, err := os.Stat(b.Dir()); !os.IsNotExist(err) {
		t.Errorf("its folder after Stop: got %v, want it gone", err)
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), b.Dir()) {
		t.Errorf("mounts are left in %s", b.Dir())
	}
	if out, _ := exec.Command("pgrep", "-f", b.Dir()).Output(); len(out) > 0 {
		t.Errorf("processes are left: %s", out)
	}
}

// The whole way that the end-to-end tests take: base images in a registry, a
// BuildKit that has it as its mirror, and buildx.
func TestConductorLoopBuilds(t *testing.T) {
	testenv.Images(t)
	r := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	b := testenv.NewBuildkitd(t, testenv.BuildkitdOptions{Config: fmt.Sprintf(`
[registry."docker.io"]
  mirrors = [%[1]q]
[registry."gcr.io"]
  mirrors = [%[1]q]
[registry.%[1]q]
  http = true
`, r.Host)})
	buildx := testenv.NewBuildx(t)
	if out, err := buildx.Run(t.Context(), "create", "--name", "remote", "--driver", "remote", b.Addr()); err != nil {
		t.Fatalf("buildx create: %v\n%s", err, out)
	}
	dest := t.TempDir()
	out, err := buildx.Run(t.Context(), "build", "--builder", "remote", "--progress", "plain", "--platform", "linux/amd64",
		"--build-arg", "VERSION=1.2.3", "--output", "type=local,dest="+dest, "../../examples/conductor-loop")
	if err != nil {
		t.Fatalf("buildx build: %v\n%s", err, out)
	}
	got, err := testenv.Run(t.Context(), nil, filepath.Join(dest, "service"), "-version")
	if err != nil || !strings.HasPrefix(got, "conductor-loop 1.2.3 ") {
		t.Errorf("the program that was built: got %q, %v, want its version 1.2.3", got, err)
	}
}
