package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

// A BuildKit and the local store share a disk that is too small.
func TestADiskThatIsFull(t *testing.T) {
	b := newBench(t, publicSites)
	b.dir = testenv.TempDir(t)
	if err := syscall.Mount("tmpfs", b.dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(b.dir, "bk")
	small, err := testenv.StartBuildkitd(t.Context(), root, testenv.BuildkitdOptions{Config: b.cloud.BuildkitConfig()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		small.Stop()
		syscall.Unmount(b.dir, syscall.MNT_DETACH)
	})
	b.buildkit = small
	kept := testenv.OldContent(t, filepath.Join(b.dir, "store"), 48<<20)
	before, asked := flaky(t, 0)
	context := b.context("FROM alpine:3\nRUN wget -qO /first http://" + before + "/\nRUN dd if=/dev/zero of=/big bs=1M count=56\n")

	got := b.build(context)
	got.want(t, 0, "48MiB of the local store", "2 attempts", "CACHED")
	if n := asked.Load(); n != 1 {
		t.Errorf("the step before ran %d times, want once", n)
	}
	if _, err := os.Stat(kept); !os.IsNotExist(err) {
		t.Errorf("got %v, want that the old content went", err)
	}
	got = b.build(b.context("FROM alpine:3\nRUN dd if=/dev/zero of=/other bs=1M count=80\n"))
	got.want(t, 1, "the builder's folder "+root+"/root is on "+b.dir+", which has", "free of 96MiB")
}
