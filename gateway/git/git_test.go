package git_test

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/git"
	"github.com/outlast-build/outlast/internal/testenv"
)

// run runs git, with nothing of this machine's settings.
func run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := run(t, dir, args...)
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(out)
}

// repository makes a bare one below dir with a commit of a megabyte that does
// not compress, and a server of what is below dir.
func repository(t *testing.T, dir, name string) http.Handler {
	t.Helper()
	work := t.TempDir()
	must(t, work, "init", "-q", "-b", "main")
	noise := make([]byte, 1<<20)
	seed := uint32(len(name))
	for i := range noise {
		seed = seed*1664525 + 1013904223
		noise[i] = byte(seed >> 24)
	}
	if err := os.WriteFile(filepath.Join(work, "noise"), noise, 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, work, "add", ".")
	must(t, work, "commit", "-q", "-m", "first")
	must(t, work, "tag", "-a", "v1", "-m", "one")
	must(t, dir, "clone", "-q", "--bare", work, filepath.Join(dir, name))
	return server(t, dir)
}

func server(t *testing.T, dir string) http.Handler {
	t.Helper()
	core := must(t, dir, "--exec-path")
	return &cgi.Handler{Path: filepath.Join(core, "git-http-backend"), Dir: dir, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
}

// A world is a server of repositories, a mirror, and a gateway before them.
type world struct {
	origin, mirror *faultnet.Service
	address        string       // of the repository at the gateway
	stale          atomic.Int32 // answers
	offline        bool         // of gateways that are opened from now on
	store          *cas.Store
	proxy          *git.Proxy
}

func service(t *testing.T, backend http.Handler) *faultnet.Service {
	t.Helper()
	s := &faultnet.Service{Backend: backend}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newWorld(t *testing.T) *world {
	t.Helper()
	testenv.Tool(t, "git")
	dir := t.TempDir()
	backend := repository(t, dir, "app.git")
	w := &world{origin: service(t, backend), mirror: service(t, backend)}
	w.open(t, t.TempDir())
	return w
}

// open starts a gateway over a store in dir.
func (w *world) open(t *testing.T, dir string) {
	t.Helper()
	sites, err := gateway.NewSites([]gateway.Site{{Place: w.origin.Host(), Mirrors: []string{w.mirror.URL()}}})
	if err != nil {
		t.Fatal(err)
	}
	if w.store, err = cas.Open(dir, 0); err != nil {
		t.Fatal(err)
	}
	fetcher := &fetch.Fetcher{Limits: fetch.Limits{Dial: time.Second, Header: time.Second, Idle: 300 * time.Millisecond}}
	w.proxy = &git.Proxy{Fetcher: fetcher, Store: w.store, Upstreams: sites.Upstreams, Offline: w.offline, OnServe: func(s gateway.Served) {
		if !s.Stale.IsZero() {
			w.stale.Add(1)
		}
	}}
	front := httptest.NewServer(w.proxy)
	at, ok := git.Address(strings.TrimPrefix(front.URL, "http://"), w.origin.URL()+"/app.git", "main")
	if !ok {
		t.Fatal("the repository has no address")
	}
	w.address = at
	t.Cleanup(func() {
		front.Close()
		fetcher.CloseIdleConnections()
		w.store.Close()
	})
}

// fetch does as BuildKit: it asks for a branch, and fetches its commit.
func (w *world) fetch(t *testing.T) (string, error) {
	dir := t.TempDir()
	must(t, dir, "init", "-q", "--bare", "-b", "main")
	if out, err := run(t, dir, "ls-remote", "--", w.address, "main", "main^{}"); err != nil {
		return out, err
	}
	if out, err := run(t, dir, "fetch", "-q", "--depth=1", w.address, "main", "+refs/tags/v1:refs/tags/v1"); err != nil {
		return out, err
	}
	return run(t, dir, "fsck", "--strict")
}

func TestGitGoesRoundWhatFails(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name  string
		fault faultnet.Fault
	}{
		{"refuses", faultnet.Refuse()},
		{"hangs", faultnet.Hang()},
		{"stalls in the middle", faultnet.HangAfter(100)},
		{"is cut off", faultnet.CutAfter(100)},
		{"503", faultnet.Status(503)},
		{"429", faultnet.TooMany(time.Hour)},
		{"400 with a page", faultnet.StatusHTML(400, "")},
		{"200 with a page", faultnet.OKHTML()},
		{"wrong bytes", faultnet.WrongByte()},
	} {
		t.Run("the server "+tt.name, func(t *testing.T) {
			w.open(t, t.TempDir())
			play(t, w.origin, faultnet.Always(tt.fault))
			if out, err := w.fetch(t); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("both fail for a while", func(t *testing.T) {
		w.open(t, t.TempDir())
		play(t, w.origin, faultnet.Script{{On: faultnet.First(1), Fault: faultnet.Status(503)}})
		play(t, w.mirror, faultnet.Script{{On: faultnet.First(1), Fault: faultnet.Refuse()}})
		if out, err := w.fetch(t); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func play(t *testing.T, s *faultnet.Service, script faultnet.Script) {
	t.Helper()
	if err := s.Play(script); err != nil {
		t.Fatal(err)
	}
}

func TestAWarmStoreHasTheCommit(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.open(t, dir)
	if out, err := w.fetch(t); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.store.Close()
	w.origin.Close()
	w.mirror.Close()
	w.open(t, dir)
	if out, err := w.fetch(t); err != nil || w.stale.Load() == 0 {
		t.Errorf("got %v, %d stale answers, want the commit that the branch had, told as stale\n%s", err, w.stale.Load(), out)
	}
	w.store.Close()
	w.offline = true
	w.open(t, dir)
	if out, err := w.fetch(t); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheServersNoIsPassedOn(t *testing.T) {
	w := newWorld(t)
	w.address = strings.Replace(w.address, "app.git", "none.git", 1)
	if out, err := w.fetch(t); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// What a branch stands for is its own server's to say, while it can.
func TestAnOldMirrorIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	old := t.TempDir()
	w.mirror = service(t, repository(t, old, "app.git"))
	must(t, filepath.Join(old, "app.git"), "update-ref", "-d", "refs/tags/v1")
	w.open(t, t.TempDir())
	if out, err := w.fetch(t); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatIsNotPassedOn(t *testing.T) {
	w := newWorld(t)
	host := w.origin.Host()
	for _, tt := range []struct {
		method, path string
		header       http.Header
		code         int
	}{
		{"GET", "/git/0/http/" + host + "/app.git/info/refs?service=git-receive-pack", nil, 403},
		{"POST", "/git/0/http/" + host + "/app.git/git-receive-pack", nil, 403},
		{"GET", "/git/0/http/" + host + "/app.git/HEAD", nil, 403},
		{"GET", "/git/0/http/" + host + "/a/../app.git/info/refs?service=git-upload-pack", nil, 400},
		{"GET", "/git/0/http/" + host + "/%2e%2e/app.git/info/refs?service=git-upload-pack", nil, 400},
		{"GET", "/git/0/http/" + host + "/app.git%0d%0a/info/refs?service=git-upload-pack", nil, 400},
		{"GET", "/git/0/file/" + host + "/app.git/info/refs?service=git-upload-pack", nil, 400},
		{"GET", "/git/0/http/other.example.com/app.git/info/refs?service=git-upload-pack", nil, 403},
		{"GET", "/git/0/http/" + host + "/app.git/info/refs?service=git-upload-pack", http.Header{"Authorization": {"Basic eA=="}}, 403},
		{"GET", "/git/0/http/" + host + "/app.git/info/refs?service=git-upload-pack", nil, 200},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Header = tt.header
		if r.Header == nil {
			r.Header = http.Header{}
		}
		rec := httptest.NewRecorder()
		w.proxy.ServeHTTP(rec, r)
		if rec.Code != tt.code {
			t.Errorf("%s %s: got %d %.100q, want %d", tt.method, tt.path, rec.Code, rec.Body, tt.code)
		}
	}
	rec := httptest.NewRecorder()
	w.proxy.ServeHTTP(rec, httptest.NewRequest("POST", "/git/0/http/"+host+"/app.git/git-upload-pack", bytes.NewReader(make([]byte, 17<<20))))
	if rec.Code != 413 {
		t.Errorf("a huge request: got %d, want 413", rec.Code)
	}
}

// A redirect leads to a repository, keeps the method, and never leaves TLS.
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, to string
		code     int
		kind     fault.Kind
	}{
		{"to where it moved", w.mirror.URL() + "/app.git", 301, ""},
		{"for good, with its method", w.mirror.URL() + "/app.git", 308, ""},
		{"to a page", w.mirror.URL() + "/login?to=", 302, fault.Rejected},
		{"with a login", strings.Replace(w.mirror.URL(), "://", "://me:word@", 1) + "/app.git", 302, fault.Rejected},
		{"to a file", "file:///etc", 302, fault.Rejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mirror := w.mirror
			w := &world{mirror: mirror}
			w.origin = service(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, tt.to+strings.TrimPrefix(r.URL.RequestURI(), "/app.git"), tt.code)
			}))
			w.open(t, t.TempDir())
			var kinds []fault.Kind
			w.proxy.OnTry = func(try fetch.Try) {
				if try.Origin && try.Err != nil {
					kinds = append(kinds, try.Kind)
				}
			}
			if out, err := w.fetch(t); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if tt.kind == "" && len(kinds) > 0 || tt.kind != "" && (len(kinds) == 0 || kinds[0] != tt.kind) {
				t.Errorf("got %q, want %q", kinds, tt.kind)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct{ address, want string }{
		{"https://git.example.com/o/r.git", "http://127.0.0.1:1/git/e3b0c442/https/git.example.com/o/r.git"},
		{"http://git.example.com:8080/r", "http://127.0.0.1:1/git/e3b0c442/http/git.example.com:8080/r"},
		{"ssh://git@git.example.com/o/r.git", ""},
		{"git@git.example.com:o/r.git", ""},
		{"https://me@git.example.com/o/r.git", ""},
		{"https://git.example.com/o/r.git?x=1", ""},
		{"https://git.example.com/o/../r.git", ""},
		{"https://git.example.com/o%2Fr.git", ""},
		{"https://git.example.com", ""},
	} {
		if got, _ := git.Address("127.0.0.1:1", tt.address, ""); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.address, got, tt.want)
		}
	}
}
