package testenv_test

import (
	"os"
	"os/exec"
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
