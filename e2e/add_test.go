package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// A fileServer is a web server's content, all of one date.
type fileServer map[string]string

var dated = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func (f fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := f[r.URL.RequestURI()]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(body))))
	http.ServeContent(w, r, "", dated, strings.NewReader(body))
}

// TestADDSurvives adds files from a web server that fails, through several
// gateways, and compares what comes out with what stock buildx makes.
func TestADDSurvives(t *testing.T) {
	b := newBench(t, publicSites)
	content := fileServer{"/get/tool-1.0.tar.gz": strings.Repeat("tool", 1<<18), "/get/data.bin?token=a%2Fb": "data"}
	origin, mirror := served(t, content), served(t, fileServer{"/kept/tool-1.0.tar.gz": content["/get/tool-1.0.tar.gz"], "/kept/data.bin?token=a%2Fb": "data"})
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content["/get/tool-1.0.tar.gz"])))
	dir := b.context(strings.ReplaceAll(`FROM scratch
ARG FROM=http://HOST/get
ADD --checksum=SUM ${FROM}/tool-1.0.tar.gz /proved/
ADD --chmod=640 ${FROM}/tool-1.0.tar.gz /seen/tool
ADD http://HOST/get/data.bin?token=a%2Fb /seen/
`, "SUM", sum))
	file := filepath.Join(dir, "Dockerfile")
	text, err := os.ReadFile(file)
	testenv.Need(t, err)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "HOST", origin.Host())), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := func(store string) {
		b.env = []string{"OUTLAST_PACKAGES_FILES=" + origin.Host() + "/get=" + mirror.URL() + "/kept", "OUTLAST_PACKAGES_HOSTS=127.0.0.1", "OUTLAST_FETCH_IDLE=1s",
			"OUTLAST_STORE_PATH=" + filepath.Join(b.dir, store)}
	}
	settings("store")
	stock := t.TempDir()
	b.stock()
	if out, err := b.buildx.Run(t.Context(), "build", "--builder", "stock", "--output", "type=local,dest="+stock, dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := listing(t, stock)

	t.Run("what comes out is that of stock buildx and another gateway finds it cached", func(t *testing.T) {
		for range 2 {
			out := t.TempDir()
			got := b.build(dir, "--output", "type=local,dest="+out)
			got.want(t, 0)
			if n := strings.Count(got.text(), "CACHED"); n != 3 {
				t.Errorf("got %d steps CACHED, want 3: they are those of stock buildx:\n%s", n, got.text())
			}
			if l := listing(t, out); l != want {
				t.Errorf("got\n%s\nwant\n%s", l, want)
			}
			if strings.Contains(got.text(), "/web/") {
				t.Errorf("the gateway's address is shown:\n%s", got.text())
			}
		}
	})
	for _, tt := range []struct {
		name  string
		fault faultnet.Fault
	}{
		{"hangs", faultnet.Hang()},
		{"stalls in the middle", faultnet.HangAfter(1000)},
		{"200 with a page", faultnet.OKHTML()},
	} {
		t.Run("the server "+tt.name, func(t *testing.T) {
			settings("store " + tt.name)
			if err := origin.Play(faultnet.Always(tt.fault)); err != nil {
				t.Fatal(err)
			}
			out := t.TempDir()
			b.build(dir, "--no-cache", "--output", "type=local,dest="+out).want(t, 0)
			if l := listing(t, out); l != want {
				t.Errorf("got\n%s\nwant\n%s", l, want)
			}
		})
	}
	t.Run("all is down and the store has it", func(t *testing.T) {
		settings("store")
		b.down()
		for _, s := range []*faultnet.Service{origin, mirror} {
			if err := s.Play(faultnet.Always(faultnet.StatusHTML(400, ""))); err != nil {
				t.Fatal(err)
			}
		}
		out := t.TempDir()
		b.build(dir, "--no-cache", "--output", "type=local,dest="+out).want(t, 0, "/get/data.bin", "stale")
		if l := listing(t, out); l != want {
			t.Errorf("got\n%s\nwant\n%s", l, want)
		}
		b.build(dir, "--no-cache", "--offline", "--output", "type=local,dest="+t.TempDir()).want(t, 0)
	})
	t.Run("a page is never a file in the image", func(t *testing.T) {
		settings("nothing stored")
		for _, s := range []*faultnet.Service{origin, mirror} {
			if err := s.Play(faultnet.Always(faultnet.OKHTML())); err != nil {
				t.Fatal(err)
			}
		}
		got := b.build(dir, "--no-cache", "--output", "type=local,dest="+t.TempDir())
		if got.code == 0 {
			t.Errorf("a build with pages for files succeeded:\n%s", got.text())
		}
		t.Logf("%v\n%s", got.took, got.stderr)
	})
}

// TestADDOfARepositorySurvives is TestADDSurvives for git.
func TestADDOfARepositorySurvives(t *testing.T) {
	b := newBench(t, publicSites)
	b.stock()
	dir := t.TempDir()
	backend := gitServer(t, dir)
	origin, mirror := served(t, backend), served(t, backend)
	b.env = []string{"OUTLAST_PACKAGES_FILES=" + origin.Host() + "=" + mirror.URL(), "OUTLAST_PACKAGES_HOSTS=127.0.0.1", "OUTLAST_FETCH_IDLE=1s", "OUTLAST_FETCH_HEADER=1s"}
	source := b.context("FROM scratch\nADD http://" + origin.Host() + "/app.git#main /branch/\nADD http://" + origin.Host() + "/app.git#v1:docs /docs/\n")
	out := t.TempDir()
	if text, err := b.buildx.Run(t.Context(), "build", "--builder", "stock", "--output", "type=local,dest="+out, source); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := names(listing(t, out))
	if !strings.Contains(want, "/branch/docs/a.txt") || !strings.Contains(want, "/docs/a.txt") {
		t.Fatalf("stock buildx: %s", want)
	}
	check := func(t *testing.T, cached int, texts ...string) {
		t.Helper()
		out := t.TempDir()
		args := []string{"--output", "type=local,dest=" + out}
		if cached == 0 {
			args = append(args, "--no-cache")
		}
		got := b.build(source, args...)
		got.want(t, 0, texts...)
		if n := strings.Count(got.text(), "CACHED"); cached > 0 && n != cached {
			t.Errorf("got %d steps CACHED, want %d:\n%s", n, cached, got.text())
		}
		if strings.Contains(got.text(), "/git/") {
			t.Errorf("the gateway's address is shown:\n%s", got.text())
		}
		if l := names(listing(t, out)); l != want {
			t.Errorf("got\n%s\nwant\n%s", l, want)
		}
	}
	t.Run("another gateway finds what stock buildx made", func(t *testing.T) {
		check(t, 2)
		check(t, 2)
	})
	t.Run("the server hangs", func(t *testing.T) {
		b.forget(t)
		if err := origin.Play(faultnet.Always(faultnet.Hang())); err != nil {
			t.Fatal(err)
		}
		check(t, 0)
	})
	t.Run("all is down and the store has it", func(t *testing.T) {
		b.forget(t)
		for _, s := range []*faultnet.Service{origin, mirror} {
			if err := s.Play(faultnet.Always(faultnet.Status(503))); err != nil {
				t.Fatal(err)
			}
		}
		check(t, 0, "/app.git", "stale")
	})
	t.Run("a .git that is kept names its own server", func(t *testing.T) {
		for _, s := range []*faultnet.Service{origin, mirror} {
			if err := s.Play(nil); err != nil {
				t.Fatal(err)
			}
		}
		kept := b.context("FROM scratch\nADD --keep-git-dir=true http://" + origin.Host() + "/app.git#main /\n")
		out := t.TempDir()
		b.build(kept, "--output", "type=local,dest="+out).want(t, 0)
		config, err := os.ReadFile(filepath.Join(out, ".git", "config"))
		if err != nil || !strings.Contains(string(config), origin.URL()+"/app.git") {
			t.Errorf("got %v\n%s", err, config)
		}
	})
}

// names leaves dates out: git has none.
func names(listing string) string {
	return regexp.MustCompile(` \d{4}-\d\d-\d\d [^ ]* \+0000 UTC`).ReplaceAllString(listing, "")
}

// gitServer serves a repository app.git below dir.
func gitServer(t *testing.T, dir string) http.Handler {
	t.Helper()
	testenv.Tool(t, "git")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(filepath.Join(dir, "work", "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "work", "docs", "a.txt"), []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("init", "-q", "-b", "main", "work")
	run("-C", "work", "add", ".")
	run("-C", "work", "commit", "-q", "-m", "first")
	run("-C", "work", "tag", "-a", "v1", "-m", "one")
	run("clone", "-q", "--bare", "work", "app.git")
	return &cgi.Handler{Path: filepath.Join(run("--exec-path"), "git-http-backend"), Dir: dir, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
}

// listing tells of each file in dir its name, mode, date, size and sum.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %v %s %d %x\n", strings.TrimPrefix(path, dir), info.Mode(), info.ModTime().UTC(), len(body), sha256.Sum256(body))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
