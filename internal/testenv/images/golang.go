package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func golangRefs(m *Maker) []string {
	refs := []string{"docker.io/library/golang:latest"}
	if version, _, err := toolchain(m); err == nil {
		short := regexp.MustCompile(`^\d+\.\d+`).FindString(version)
		refs = append([]string{"docker.io/library/golang:" + short, "docker.io/library/golang:" + version}, refs...)
	}
	return refs
}

func golangKey(m *Maker) (string, error) {
	version, _, err := toolchain(m)
	if err != nil {
		return "", err
	}
	base, err := debianKey(m)
	return version + " on " + base, err
}

// toolchain returns the version and the root of the Go that this machine has.
func toolchain(m *Maker) (version, root string, err error) {
	tool, err := m.Tool("go")
	if err != nil {
		return "", "", err
	}
	out, err := exec.Command(tool, "env", "GOVERSION", "GOROOT").Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) != 2 {
		return "", "", fmt.Errorf("go env: got %q", out)
	}
	return strings.TrimPrefix(fields[0], "go"), fields[1], nil
}

// makeGolang puts the Go toolchain upon Debian. Since Go 1.20 a toolchain comes
// without its compiled standard library, and compiling that takes two cores
// some 15 s in each test; the image has it in Go's build cache, for programs
// built with -trimpath and without cgo.
func makeGolang(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	version, root, err := toolchain(m)
	if err != nil {
		return nil, err
	}
	debian, err := open("debian", filepath.Join(m.Dir, "debian"))
	if err != nil {
		return nil, err
	}
	base, err := debian.Image("linux/amd64")
	if err != nil {
		return nil, err
	}

	goLayer := newLayer(dir)
	goLayer.dir("usr/local/go", 0o755)
	goLayer.tree("usr/local/go", root, func(rel string, d fs.DirEntry) bool {
		return slices.Contains([]string{"api", "doc", "test", "misc", "pkg/obj"}, rel) ||
			d.Name() == "testdata" || strings.HasSuffix(rel, "_test.go")
	})
	goLayer.copy("etc/ssl/certs/ca-certificates.crt", 0o644, certificates)
	toolchainLayer, err := goLayer.layer()
	if err != nil {
		return nil, err
	}

	cache := filepath.Join(dir, "cache")
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", "go"), "build", "-trimpath", "net/http", "log/slog", "flag", "os/signal", "encoding/json")
	cmd.Env = append(os.Environ(), "GOCACHE="+cache, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the standard library: %w\n%s", err, out)
	}
	homeLayer := newLayer(dir)
	homeLayer.dir("go", 0o777|0o1000)
	homeLayer.dir("go/bin", 0o777|0o1000)
	homeLayer.dir("go/src", 0o777|0o1000)
	homeLayer.tree("root/.cache/go-build", cache, nil)
	compiledLayer, err := homeLayer.layer()
	if err != nil {
		return nil, err
	}

	img, err := finish(base, "linux/amd64", v1.Config{
		Env: []string{
			"PATH=/go/bin:/usr/local/go/bin:" + debianPath,
			"GOLANG_VERSION=" + version,
			"GOTOOLCHAIN=local",
			"GOPATH=/go",
		},
		WorkingDir: "/go",
		Cmd:        []string{"bash"},
	}, toolchainLayer, compiledLayer)
	return []v1.Image{img}, err
}
