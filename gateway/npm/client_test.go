package npm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/npm"
	"github.com/outlast-build/outlast/internal/testenv"
)

func TestMain(m *testing.M) { testenv.MainWithOutside(m) }

// outsideRegistry is the registry that this machine is configured for, each of
// whose answers is fetched once for all tests.
var outsideRegistry = sync.OnceValues(func() (http.Handler, error) {
	base, err := testenv.NPMRegistry()
	if err != nil {
		return nil, err
	}
	h, err := testenv.OutsideBackend(base)
	return &recorder{backend: h}, err
})

// A recorder asks its backend for everything once.
type recorder struct {
	backend http.Handler
	mu      sync.Mutex
	seen    map[string]*httptest.ResponseRecorder
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.URL.EscapedPath() + " " + r.Header.Get("Accept") + r.Header.Get("Accept-Encoding")
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.seen[key]
	if got == nil {
		whole := r.Clone(r.Context())
		whole.Method = http.MethodGet
		whole.Header.Del("Range")
		got = httptest.NewRecorder()
		c.backend.ServeHTTP(got, whole)
		if c.seen == nil {
			c.seen = make(map[string]*httptest.ResponseRecorder)
		}
		if got.Code == http.StatusOK {
			c.seen[key] = got
		}
	}
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if v := got.Header().Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	if got.Code != http.StatusOK {
		w.WriteHeader(got.Code)
		_, _ = w.Write(got.Body.Bytes())
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(got.Body.Bytes()))
}

// The addresses of a site's registries, of which no client knows.
const standIn = "https://" + ecotest.MirrorHost + "/"

// A site is a gateway between clients and two registries that have the same:
// the one that this machine is configured for, and one that stands in for it.
type site struct {
	registry, mirror *faultnet.Service
	home             string // the registry's address
	gateway          string // the gateway's
}

// newSite starts a site that keeps what it fetches in dir.
func newSite(t testing.TB, dir string) *site {
	t.Helper()
	backend, err := outsideRegistry()
	testenv.Need(t, err)
	home, err := testenv.NPMRegistry()
	testenv.Need(t, err)
	s := &site{registry: &faultnet.Service{Backend: backend}, mirror: &faultnet.Service{Backend: backend}, home: home}
	for _, up := range []*faultnet.Service{s.registry, s.mirror} {
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { up.Close() })
	}
	store, err := cas.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	fetcher := &fetch.Fetcher{
		Limits: fetch.Limits{Dial: time.Second, Header: 2 * time.Second, Idle: 2 * time.Second},
		Base:   leading{hostOf(t, home): s.registry, hostOf(t, standIn): s.mirror},
	}
	p := protocol(t, npm.Settings{Registry: home, Mirrors: []string{standIn}}, fetcher.Transport())
	m := &gateway.Mirror{Ecosystem: p, Store: store, Fetcher: fetcher, Upstreams: p.Upstreams}
	m.Start(context.Background())
	srv := httptest.NewServer(m)
	s.gateway = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		m.Close()
		fetcher.CloseIdleConnections()
		store.Close()
	})
	return s
}

func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// leading leads requests for a host to a service of this machine.
type leading map[string]*faultnet.Service

func (l leading) RoundTrip(r *http.Request) (*http.Response, error) {
	to, ok := l[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("%s: not asked for in this test", r.URL.Host)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", to.Host()
	return straight.RoundTrip(r)
}

var straight = &http.Transport{DisableCompression: true, Proxy: nil, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}

// A project is a folder with a package.json, and a home of its own.
type project struct {
	t    testing.TB
	dir  string
	home string
}

func newProject(t testing.TB, dependencies map[string]string) project {
	t.Helper()
	p := project{t, t.TempDir(), t.TempDir()}
	p.write("package.json", map[string]any{"name": "app", "version": "1.0.0", "private": true, "dependencies": dependencies})
	return p
}

func (p project) write(name string, v any) {
	p.t.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if text, ok := v.(string); ok {
		data, err = []byte(text), nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, name), data, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p project) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// run runs a client in the project, with nothing of this machine's settings.
func (p project) run(s *site, place, name string, args ...string) (string, error) {
	p.t.Helper()
	path := testenv.Tool(p.t, name)
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "NPM_CONFIG_REGISTRY=" + s.gateway + place,
		"NPM_CONFIG_GLOBALCONFIG=" + filepath.Join(p.home, "none"), "NPM_CONFIG_UPDATE_NOTIFIER=false", "NPM_CONFIG_FUND=false",
		"YARN_NPM_REGISTRY_SERVER=" + s.gateway + npm.Prefix, "YARN_UNSAFE_HTTP_WHITELIST=127.0.0.1", "YARN_NODE_LINKER=node-modules",
		"YARN_ENABLE_TELEMETRY=0", "YARN_ENABLE_GLOBAL_CACHE=false", "YARN_ENABLE_IMMUTABLE_INSTALLS=false",
		"NPM_CONFIG_FETCH_RETRIES=0", "npm_config_yes=true", "NPM_CONFIG_REPLACE_REGISTRY_HOST=" + os.Getenv("NPM_CONFIG_REPLACE_REGISTRY_HOST")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// again is p without what was installed, and with nothing in its cache.
func (p project) again() project {
	p.t.Helper()
	if err := os.RemoveAll(filepath.Join(p.dir, "node_modules")); err != nil {
		p.t.Fatal(err)
	}
	p.home = p.t.TempDir()
	return p
}

// installed checks that the packages are there.
func (p project) installed() {
	p.t.Helper()
	for _, name := range []string{"is-odd", "is-number", "@types/ms"} {
		if _, err := os.Stat(filepath.Join(p.dir, "node_modules", name, "package.json")); err != nil {
			p.t.Errorf("not installed: %v", err)
		}
	}
}

// few are a package that needs another, and one with a scope.
var few = map[string]string{"is-odd": "3.0.1", "@types/ms": "0.7.34"}

// Real npm installs by way of the gateway, with its lock file and without, and
// no file of the project says so.
func TestNPM(t *testing.T) {
	s := newSite(t, t.TempDir())
	p := newProject(t, few)
	if _, err := p.run(s, npm.Kept, "npm", "install", "--audit"); err != nil {
		t.Fatal(err)
	}
	p.installed()
	locks := []string{"package-lock.json", "node_modules/.package-lock.json"}
	before := make(map[string]string)
	for _, name := range locks {
		before[name] = p.read(name)
		if !strings.Contains(before[name], s.home+"is-odd/-/is-odd-3.0.1.tgz") || strings.Contains(before[name], s.gateway) {
			t.Errorf("%s: want the address at the registry: %s", name, before[name])
		}
	}
	for _, place := range []string{npm.Kept, npm.Prefix} {
		p := p.again()
		out, err := p.run(s, place, "npm", "ci", "--loglevel=http", "--audit")
		if err != nil {
			t.Fatal(err)
		}
		p.installed()
		for _, name := range locks {
			if got := p.read(name); got != before[name] {
				t.Errorf("%s: got %s, want %s", name, got, before[name])
			}
		}
		if strings.Contains(out, "attempt") || strings.Contains(out, s.home) {
			t.Errorf("npm noticed something: %s", out)
		}
	}
	p = p.again()
	if err := os.Remove(filepath.Join(p.dir, "package-lock.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.run(s, npm.Prefix, "npm", "install"); err != nil {
		t.Fatal(err)
	}
	p.installed()
}

// failures are those of a whole registry; ecotest has more.
var failures = []faultnet.Fault{
	faultnet.Refuse(), faultnet.HangAfter(500), faultnet.Status(503), faultnet.OKHTML(), faultnet.WrongByte(),
}

// Whatever the registry does, npm notices nothing while another has the same.
func TestNPMWhileTheRegistryFails(t *testing.T) {
	for _, f := range failures {
		t.Run(f.String(), func(t *testing.T) {
			s := newSite(t, t.TempDir())
			if err := s.registry.Play(faultnet.Always(f)); err != nil {
				t.Fatal(err)
			}
			p := newProject(t, few)
			out, err := p.run(s, npm.Kept, "npm", "install", "--loglevel=http")
			if err != nil {
				t.Fatal(err)
			}
			p.installed()
			if strings.Contains(out, "attempt") {
				t.Errorf("npm noticed something: %s", out)
			}
		})
	}
}

// What was installed once installs again with everything down.
func TestNPMWithEverythingDown(t *testing.T) {
	dir := t.TempDir()
	p := newProject(t, few)
	if _, err := p.run(newSite(t, dir), npm.Kept, "npm", "install"); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, dir)
	for _, up := range []*faultnet.Service{s.registry, s.mirror} {
		if err := up.Play(faultnet.Always(faultnet.Hang())); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"ci"}, {"install", "--no-package-lock"}} {
		p = p.again()
		if _, err := p.run(s, npm.Kept, "npm", args...); err != nil {
			t.Fatal(err)
		}
		p.installed()
	}
}

// The others speak the same protocol.
func TestOtherClients(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"yarn classic", []string{"-y", "yarn@1.22.22", "install", "--non-interactive"}},
		{"yarn of now", []string{"-y", "-p", "@yarnpkg/cli-dist@4.9.2", "yarn", "install", "--mode=skip-build"}},
		{"pnpm", []string{"-y", "pnpm@9.15.9", "install"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, t.TempDir())
			if err := s.registry.Play(faultnet.Always(faultnet.Status(503))); err != nil {
				t.Fatal(err)
			}
			p := newProject(t, map[string]string{"is-odd": "3.0.1", "is-number": "6.0.0", "@types/ms": "0.7.34"})
			if _, err := p.run(s, npm.Kept, "npx", tt.args...); err != nil {
				t.Fatal(err)
			}
			p.installed()
			// yarn 2 and later write a lock file, which no gateway is named in.
			if lock, err := os.ReadFile(filepath.Join(p.dir, "yarn.lock")); tt.name == "yarn of now" && (err != nil || strings.Contains(string(lock), "127.0.0.1")) {
				t.Errorf("%v: %s", err, lock)
			}
		})
	}
}
