package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/internal/config"
)

// sample is what the README shows.
const sample = `registries:
  docker.io:
    origin: https://registry-1.docker.io   # a URL; http:// is allowed for loopback and where told
    mirrors:
      - {url: https://mirror.gcr.io, tags: true}
      - {url: http://127.0.0.1:5002}        # digests only
store: {path: ~/.cache/outlast, size: 20GiB}
fetch: {dial: 2s, header: 5s, idle: 10s}
`

// home is a machine: a home folder, a project and an environment.
type home struct {
	t    *testing.T
	dir  string
	proj string
	env  []string
}

func newHome(t *testing.T, env ...string) *home {
	t.Helper()
	dir := t.TempDir()
	h := &home{t, filepath.Join(dir, "home"), filepath.Join(dir, "work", "app"), nil}
	for _, d := range []string{h.dir, h.proj} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.env = append([]string{"HOME=" + h.dir}, env...)
	return h
}

func (h *home) write(path, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) user(text string)    { h.write(filepath.Join(h.dir, ".config/outlast/outlast.yaml"), text) }
func (h *home) project(text string) { h.write(filepath.Join(h.proj, "outlast.yaml"), text) }

func (h *home) options() config.Options {
	return config.Options{Dir: h.proj, Projects: []string{"."}, Env: h.env}
}

func (h *home) load() (*config.Loaded, error) { return config.Load(h.options()) }

func (h *home) mustLoad() *config.Loaded {
	h.t.Helper()
	got, err := h.load()
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

func sourceOf(t *testing.T, l *config.Loaded, key string) string {
	t.Helper()
	for _, v := range l.Values {
		if v.Key == key {
			return v.Source.String()
		}
	}
	t.Fatalf("%s is not among the values", key)
	return ""
}

func TestDefaults(t *testing.T) {
	h := newHome(t)
	got := h.mustLoad().Settings
	if want := filepath.Join(h.dir, ".cache/outlast"); got.Store.Path != want {
		t.Errorf("got store %s, want %s", got.Store.Path, want)
	}
	want := config.Fetch{Dial: 2 * time.Second, Header: 5 * time.Second, Idle: 10 * time.Second, Budget: time.Minute}
	if diff := cmp.Diff(want, got.Fetch); diff != "" {
		t.Error(diff)
	}
	trusted := map[string]bool{}
	for host, r := range got.Registries {
		if !strings.HasPrefix(r.Origin, "https://") {
			t.Errorf("%s: origin %s", host, r.Origin)
		}
		for _, m := range r.Mirrors {
			if m.Tags {
				trusted[host+" "+m.URL] = true
			}
		}
	}
	// Whoever adds a row here adds somebody who may say what a tag is.
	if diff := cmp.Diff(map[string]bool{
		"docker.io https://mirror.gcr.io":                 true,
		"docker.io https://public.ecr.aws/docker/library": true,
	}, trusted); diff != "" {
		t.Error(diff)
	}
}

func TestSampleIsTaken(t *testing.T) {
	h := newHome(t)
	h.project(sample)
	got := h.mustLoad()
	if len(got.Warnings) > 0 {
		t.Errorf("got warnings %v, want none", got.Warnings)
	}
	want := config.Registry{
		Origin:  "https://registry-1.docker.io",
		Mirrors: []config.Mirror{{URL: "https://mirror.gcr.io", Tags: true}, {URL: "http://127.0.0.1:5002"}},
		Tokens:  []string{"auth.docker.io"},
	}
	if diff := cmp.Diff(want, got.Settings.Registry("docker.io")); diff != "" {
		t.Error(diff)
	}
	for key, want := range map[string]string{
		"registries.docker.io.origin":  "outlast.yaml:3",
		"registries.docker.io.mirrors": "outlast.yaml:5",
		"registries.docker.io.tokens":  "default",
		"store.size":                   "outlast.yaml:7",
		"fetch.idle":                   "outlast.yaml:8",
		"fetch.budget":                 "default",
	} {
		if got := sourceOf(t, got, key); got != want {
			t.Errorf("%s: got source %s, want %s", key, got, want)
		}
	}
}

func problems(err error) []string {
	var all *config.Error
	if !errors.As(err, &all) {
		return nil
	}
	return strings.Split(all.Error(), "\n")
}
