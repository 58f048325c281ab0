package testenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// BuildOutlast builds the program from the source as it is now, once in each
// process, and returns its path.
func BuildOutlast() (string, error) { return buildOutlast() }

var buildOutlast = sync.OnceValues(func() (string, error) {
	tools, err := Dir()
	if err != nil {
		return "", err
	}
	goTool, err := LookTool("go")
	if err != nil {
		return "", err
	}
	path := filepath.Join(tools, "run", "outlast")
	made := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(made)
	env := []string{"CGO_ENABLED=0"}
	if _, err := Run(context.Background(), env, goTool, "-C", filepath.Dir(tools), "build", "-trimpath", "-buildvcs=false", "-o", made, "./cmd/outlast"); err != nil {
		return "", err
	}
	return path, os.Rename(made, path)
})

// Outlast is BuildOutlast for a test.
func Outlast(t testing.TB) string {
	t.Helper()
	path, err := BuildOutlast()
	Need(t, err)
	return path
}
