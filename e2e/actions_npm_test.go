package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// What actions/cache does, with the package that it is made of: save a folder,
// lose it, and have it again by a key and by the beginning of one.
const npmCacheScript = `
import * as cache from '@actions/cache'
import * as fs from 'fs'
import * as crypto from 'crypto'
const check = (ok, what) => { if (!ok) { console.log('FAILED: ' + what); process.exit(1) } }
const keys = process.env.KEYS || 'npm', first = keys + '-1'
const big = crypto.randomBytes(3_000_000)
fs.mkdirSync('kept')
fs.writeFileSync('kept/file', big)
check(await cache.restoreCache(['kept'], first, [keys + '-']) === undefined, 'nothing is there')
check(await cache.saveCache(['kept'], first) >= 0, 'save')
fs.rmSync('kept', {recursive: true})
check(await cache.restoreCache(['kept'], first) === first, 'restore by the key')
check(fs.readFileSync('kept/file').equals(big), 'what was saved')
check(await cache.saveCache(['kept'], first) === -1, 'an entry is made once')
fs.rmSync('kept', {recursive: true})
check(await cache.restoreCache(['kept'], keys + '-2', [keys + '-']) === first, 'restore by the beginning of a key')
check(fs.readFileSync('kept/file').equals(big), 'what was saved')
console.log('ALL IS WELL')
`

func TestTheNPMPackageOfTheActionsCache(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		testenv.Need(t, &testenv.Missing{What: "node", How: "apt-get install nodejs npm"})
	}
	registry, err := testenv.NPMRegistry()
	testenv.Need(t, err)
	outside, err := testenv.OutsideBackend(registry)
	testenv.Need(t, err)
	mirror := &faultnet.Service{Backend: outside}
	if err := mirror.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mirror.Close() })
	dir := testenv.TempDir(t)
	for name, text := range map[string]string{"package.json": `{"name":"job","version":"1.0.0","type":"module","private":true}`, "job.js": npmCacheScript} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--registry", mirror.URL(), "--replace-registry-host=always", "@actions/cache@6.3.0")
	install.Dir = dir
	install.Env = append(os.Environ(), "npm_config_cache="+dir+"/npm", "npm_config_fetch_retries=1")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	serve := exec.CommandContext(t.Context(), testenv.Outlast(t), "actcache", "--listen", "127.0.0.1:0", "--format", "json")
	serve.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir+"/cache")
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { serve.Process.Kill(); serve.Wait() })
	var said struct{ Env map[string]string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&said); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, env map[string]string) {
		t.Helper()
		job := exec.CommandContext(t.Context(), node, filepath.Join(dir, "job.js"))
		job.Dir = testenv.TempDir(t)
		job.Env = append(os.Environ(), "RUNNER_TEMP="+testenv.TempDir(t), "GITHUB_WORKSPACE="+job.Dir)
		for k, v := range env {
			job.Env = append(job.Env, k+"="+v)
		}
		if out, err := job.CombinedOutput(); err != nil || !strings.Contains(string(out), "ALL IS WELL") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	t.Run("version 2", func(t *testing.T) { run(t, said.Env) })
	t.Run("version 1", func(t *testing.T) {
		env := maps.Clone(said.Env)
		delete(env, "ACTIONS_CACHE_SERVICE_V2")
		env["KEYS"] = "old" // the service has those of version 2 by now
		run(t, env)
	})
	for _, f := range []faultnet.Fault{faultnet.Hang(), faultnet.Status(503), faultnet.StatusHTML(400, ""), faultnet.OKHTML()} {
		t.Run("GitHub behind it: "+f.String(), func(t *testing.T) {
			j := newJob(t)
			j.must(t, faultnet.Always(f))
			store, err := cas.Open(testenv.TempDir(t), 0)
			if err != nil {
				t.Fatal(err)
			}
			s := &actcache.Service{Store: store, Key: actcache.NewKey(), GitHub: &actcache.GitHub{URL: j.URL(), V2: true, Token: j.token, Budget: time.Second}}
			server := httptest.NewServer(s)
			t.Cleanup(func() { server.Close(); s.Close(context.Background()); store.Close() })
			token, err := s.Key.Token(actcache.Grant{Repository: "7", Expires: time.Now().Add(time.Hour),
				Scopes: []actcache.Scope{{Name: "refs/heads/main", Permission: actcache.Read | actcache.Write}}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			run(t, map[string]string{"ACTIONS_CACHE_SERVICE_V2": "True", "ACTIONS_RESULTS_URL": server.URL + "/", "ACTIONS_RUNTIME_TOKEN": token})
		})
	}
}
