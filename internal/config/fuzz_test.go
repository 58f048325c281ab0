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

// FuzzSettings feeds settings files: whatever comes is either an error that
// names its place or settings that read the same when they are written out.
func FuzzSettings(f *testing.F) {
	for _, s := range []string{
		sample, "", "---\n...\n", "a: &a [*a, *a]\nb: *a\n", "<<: {store: {size: 1}}", "? [a]: b\n: c\n", "{registries: {\"\": {}}}",
		"registries:\n  r.example.com:5000:\n    origin: http://[::1]:1/a\n    tokens: [a, b]\n    insecure: true\n",
		"store: {path: '/a # b', size: 1.5kB}\ngateway: {listen: ':0', public: true}\nfetch: {dial: 1h0m1s}\n",
		"store: |\n  a\nfetch: >-\n  b\n", "!!map {a: !!binary b}", "\xff\xfe", "- - - -\n", "store: {path: \"\\0\"}", "registries: {a: {mirrors: [{url: 'https://a/%zz'}]}}",
		"probe:\n  points: {dns: 0}\n  internet: [a.example.com:1, https://b.example.com]\n  checks: [{name: 'a \\\" b', tcp: '[::1]:1', for: localhost:1, points: 7}]\n  module: a/b@v1.0.0\n",
	} {
		f.Add(s)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "outlast.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := config.Options{Dir: dir, File: path, Env: []string{"HOME=" + dir}}
		start := time.Now()
		first, err := config.Load(o)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			var all *config.Error
			if !errors.As(err, &all) || len(all.Problems) == 0 {
				t.Fatalf("got %T %v, want a *config.Error with problems", err, err)
			}
			if !strings.HasPrefix(err.Error(), "outlast.yaml") {
				t.Fatalf("got %q, want the file's name first", err)
			}
			return
		}
		if err := os.WriteFile(path, []byte(first.YAML()), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := config.Load(o)
		if err != nil {
			t.Fatalf("%v in\n%s", err, first.YAML())
		}
		if diff := cmp.Diff(first.Settings, again.Settings); diff != "" {
			t.Fatal(diff)
		}
	})
}
