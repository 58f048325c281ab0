package e2e

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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
