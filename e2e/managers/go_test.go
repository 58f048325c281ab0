package managers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/gateway/gomod"
	"github.com/outlast-build/outlast/internal/testenv"
)

// modules are small, and one of them has a capital in its path.
const modules = `module example.com/main

go 1.21

require (
	github.com/BurntSushi/toml v1.3.2
	github.com/google/uuid v1.6.0
	github.com/pkg/errors v0.9.1
)
`

// download runs a real go mod download with nothing in its cache. There is no
// go.sum: all is proved by the checksum database.
func download(t *testing.T, proxy string, env ...string) (string, error) {
	t.Helper()
	dir := testenv.TempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(modules), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, testenv.Tool(t, "go"), "mod", "download", "-x")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY="+proxy+"/go/", "GOMODCACHE="+filepath.Join(dir, "cache"), "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local",
		"GOPATH="+filepath.Join(dir, "path"), "GOPRIVATE=", "GONOSUMDB=", "GONOPROXY=", "GOWORK=off")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// goSettings are the proxies, and the checksum database that this machine is
// configured for. Its key is in the go command's own source.
func goSettings(t *testing.T, proxies ...*faultnet.Service) gomod.Settings {
	t.Helper()
	var s gomod.Settings
	for _, p := range proxies {
		s.Proxies = append(s.Proxies, p.URL())
	}
	name, err := testenv.GoSumDB()
	testenv.Need(t, err)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(string(regexp.MustCompile(`\s+$`).ReplaceAll(root, nil)), "src/cmd/go/internal/modfetch/key.go"))
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(regexp.QuoteMeta(name) + `\+[0-9a-f]+\+[A-Za-z0-9+/=]+`).Find(source)
	if key == nil {
		t.Fatalf("go %s knows no key of its checksum database", runtime.Version())
	}
	s.SumDB = string(key) + " " + proxies[len(proxies)-1].URL() + "/sumdb/" + name
	return s
}

func TestGoModDownload(t *testing.T) {
	t.Parallel()
	base, err := testenv.GoProxy()
	testenv.Need(t, err)
	real := newRegistry(t, base)
	run := func(t *testing.T, store string, a, b *faultnet.Service, env ...string) (string, error) {
		p, err := gomod.New(goSettings(t, a, b), nil)
		if err != nil {
			t.Fatal(err)
		}
		return download(t, gatewayOf(t, store, p, p.Upstreams), env...)
	}
	a, b, store := real.serve(t), real.serve(t), testenv.TempDir(t)
	for _, r := range append([]row{{"is well", faultnet.Fault{}}}, rows[:4]...) {
		t.Run("everything "+r.name+", and the store is warm but for the first time", func(t *testing.T) {
			a.Play(faultnet.Always(r.fault))
			b.Play(faultnet.Always(r.fault))
			// Which tiles of the database are read depends on which module is looked
			// up first, so that the store need not have them. A build has a go.sum.
			if out, err := run(t, store, a, b, "GONOSUMDB=*"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("everything refuses, and nothing is stored", func(t *testing.T) {
		a.Play(faultnet.Always(faultnet.Refuse()))
		b.Play(faultnet.Always(faultnet.Refuse()))
		if out, err := run(t, testenv.TempDir(t), a, b); err == nil {
			t.Errorf("got modules from nowhere: this test shows nothing\n%s", out)
		}
	})
	for _, r := range rows {
		for place, path := range map[string]string{"index": `\.(info|mod)$|/list$|/sumdb/`, "archive": `\.zip$`} {
			t.Run("the first proxy "+r.name+" at the "+place, func(t *testing.T) {
				t.Parallel()
				a, b := real.serve(t), real.serve(t)
				a.Play(faultnet.Script{{Path: regexp.MustCompile(path), Fault: r.fault}})
				if out, err := run(t, testenv.TempDir(t), a, b); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}
