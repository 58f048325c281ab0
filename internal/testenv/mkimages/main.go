// Command mkimages makes the base images for tests and the demo in
// .tools/images, and a registry's folder with all of them in
// .tools/images/registry. What is up to date it leaves.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	var missing *testenv.Missing
	if errors.As(err, &missing) && os.Getenv("CI") != "true" {
		fmt.Fprintf(os.Stderr, "mkimages: %v; what needs the images is skipped\n", err)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkimages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tools, err := testenv.Dir()
	if err != nil {
		return err
	}
	dir := filepath.Join(tools, "images")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// One at a time: others wait, and then find all made.
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	maker := &images.Maker{Dir: dir, Tool: testenv.LookTool, Root: testenv.CheckRoot, Log: func(line string) { fmt.Println(line) }}
	all, err := maker.Make(ctx)
	if err != nil {
		return err
	}
	return fill(ctx, dir, all)
}

// fill pushes all images into a registry that keeps its content in
// dir/registry, unless that holds just these already.
func fill(ctx context.Context, dir string, all []images.Image) error {
	var key strings.Builder
	for _, img := range all {
		fmt.Fprintln(&key, img.Digest, strings.Join(img.Refs, " "))
	}
	storage := filepath.Join(dir, "registry")
	stamp := filepath.Join(storage, "images")
	if old, err := os.ReadFile(stamp); err == nil && string(old) == key.String() {
		return nil
	}

	fmt.Println("filling a registry with the images")
	made := storage + ".new"
	if err := os.RemoveAll(made); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "outlast-registry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	registry, err := testenv.StartRegistry(ctx, work, testenv.RegistryOptions{Storage: made})
	if err != nil {
		return err
	}
	defer registry.Stop()
	for _, img := range all {
		if err := testenv.Push(ctx, registry.Host, img); err != nil {
			return err
		}
	}
	registry.Stop()
	return errors.Join(
		os.WriteFile(filepath.Join(made, "images"), []byte(key.String()), 0o644),
		os.RemoveAll(storage),
		os.Rename(made, storage),
	)
}
