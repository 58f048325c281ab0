package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// RegistryOptions say how a registry is set up. The zero value is an empty one
// that takes pushes.
type RegistryOptions struct {
	// Addr is where it listens; empty means any port of 127.0.0.1.
	Addr string
	// Images makes it serve all base images at once, and refuse pushes: those
	// of make images, which are pushed nowhere and so cost no time.
	Images bool
	// Storage is the folder of its content, kept by Stop; empty means one of
	// its own. Not with Images.
	Storage string
}

// A Registry is a running distribution registry that speaks plain HTTP on
// loopback. It asks for no login.
type Registry struct {
	URL  string // http://127.0.0.1:PORT
	Host string // 127.0.0.1:PORT
	dir  string
	proc *process
}

// StartRegistry starts a registry with its settings and, unless told
// otherwise, its content below dir, which is created and, by Stop, removed.
func StartRegistry(ctx context.Context, dir string, o RegistryOptions) (*Registry, error) {
	binary, err := LookTool("registry")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	storage, readonly := o.Storage, false
	if storage == "" {
		storage = filepath.Join(dir, "content")
	}
	if o.Images {
		tools, err := Dir()
		if err != nil {
			return nil, err
		}
		storage, readonly = filepath.Join(tools, "images", "registry"), true
		if _, err := os.Stat(storage); err != nil {
			return nil, &Missing{"the base images", "make images"}
		}
	}
	addr := o.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	config := filepath.Join(dir, "registry.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, registryConfig, storage, readonly, addr), 0o644); err != nil {
		return nil, err
	}
	r := &Registry{dir: dir}
	r.proc, err = start("registry", filepath.Join(dir, "registry.log"),
		[]string{"OTEL_TRACES_EXPORTER=none"}, binary, "serve", config)
	if err != nil {
		return nil, err
	}
	// It prints the port that it got when it listens.
	err = r.proc.ready(ctx, func(context.Context) error {
		m := listening.FindStringSubmatch(r.proc.log())
		if m == nil {
			return errors.New("not yet listening")
		}
		r.Host, r.URL = m[1], "http://"+m[1]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

const registryConfig = `version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
  maintenance:
    uploadpurging: {enabled: false}
    readonly: {enabled: %t}
http: {addr: %q}
`

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// Log returns the last megabyte of what it has logged.
func (r *Registry) Log() string { return r.proc.log() }

// Stop ends it and removes its folder. Calling it again does nothing.
func (r *Registry) Stop() {
	r.proc.stop(grace)
	removeAll(r.dir)
}

// NewRegistry is StartRegistry for a test: it stops it at the test's end.
func NewRegistry(t testing.TB, o RegistryOptions) *Registry {
	t.Helper()
	r, err := StartRegistry(t.Context(), TempDir(t), o)
	Need(t, err)
	t.Cleanup(r.Stop)
	return r
}
