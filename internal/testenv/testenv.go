// Package testenv says what this machine can do, and starts real parts for
// tests, the demo and the benchmarks: a BuildKit, a Docker Engine, registries,
// base images. Everything it starts dies with the process that started it, and
// it touches nothing of the machine but the folder that it is given.
//
// The product never uses it.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Dir returns the folder .tools of the repository, where make tools and make
// images put what they make. It is found from this file's own place in the
// source, or, in a program built with -trimpath, from the working folder.
func Dir() (string, error) { return toolsDir() }

var toolsDir = sync.OnceValues(func() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	start := filepath.Dir(file)
	if !filepath.IsAbs(start) {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		start = wd
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "build")); err == nil {
			return filepath.Join(dir, ".tools"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no tools/build in or above %s: not in the repository", start)
		}
	}
})

// A Missing error names what this machine lacks, and how to get it.
type Missing struct {
	What string // "buildkitd", "root"
	How  string // "make tools"; empty if there is no way
}

func (m *Missing) Error() string {
	if m.How == "" {
		return "needs " + m.What
	}
	return "needs " + m.What + ": " + m.How
}

// LookTool returns the path of a program: of the pinned one in .tools/bin or
// else of one on PATH or in the system's folders for administrators. It fails
// with a *Missing.
func LookTool(name string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bin", name)
	if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
		return path, nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, sbin := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(sbin, name)); err == nil {
			return path, nil
		}
	}
	return "", &Missing{name, "make tools"}
}

// Tool is LookTool for a test: it skips the test, or fails it in CI, where the
// program is missing.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := LookTool(name)
	Need(t, err)
	return path
}

// CheckRoot returns a *Missing unless this process is root on Linux: mounts
// and namespaces need it.
func CheckRoot() error {
	if runtime.GOOS != "linux" {
		return &Missing{"Linux", ""}
	}
	if os.Geteuid() != 0 {
		return &Missing{"root", "run it as root"}
	}
	return nil
}

// Root skips the test, or fails it in CI, unless it runs as root.
func Root(t testing.TB) {
	t.Helper()
	Need(t, CheckRoot())
}

// Need ends a test for which something was missing: nothing happens where err
// is nil, the test is skipped for a *Missing on a laptop, and fails for that
// with CI=true and for every other error.
func Need(t testing.TB, err error) {
	t.Helper()
	var missing *Missing
	switch {
	case err == nil:
	case errors.As(err, &missing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
