package actcache_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/internal/testenv"
)

// A disk that is full costs the entry, and no client anything.
func TestFullDisk(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	for _, v1 := range []bool{false, true} {
		var warned []string
		s := &actcache.Service{Store: openStore(t, dir), Key: actcache.NewKey(), Warn: func(w string) { warned = append(warned, w) }}
		defer s.Close(t.Context())
		c := newClient(t, s, grant("main"))
		c.v1 = v1
		for _, block := range []int{0, 100_000} {
			key := fmt.Sprint("big-", v1, block)
			if got := c.save(key, text(3_000_000), block); got != 200 {
				t.Errorf("version 1 %v, blocks of %d: got %d, want 200", v1, block, got)
			}
			if got, _ := c.restore(key); got != "" {
				t.Errorf("got %q, want nothing", got)
			}
		}
		if got := c.save(fmt.Sprint("small-", v1), "x", 0); got != 200 {
			t.Errorf("a small one: got %d", got)
		}
		c.wantRestored(fmt.Sprint("small-", v1), "x", fmt.Sprint("small-", v1))
		if len(warned) != 2 || !strings.Contains(warned[0], "is not kept") {
			t.Errorf("got warnings %q, want one for each entry", warned)
		}
	}
}

// TestKilled is also the process that is killed: it saves one entry after the
// other, and says so.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("ACTCACHE_KILLED"); dir != "" {
		c := newClient(t, &actcache.Service{Store: openStore(t, dir), Key: actcache.NewKey()}, grant("main"))
		for i := 0; ; i++ {
			key := fmt.Sprintf("k-%06d", i)
			c.save(key, key+text(50_000), 7_000)
			fmt.Println(key)
		}
	}
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "ACTCACHE_KILLED="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var saved []string
	for scan := bufio.NewScanner(out); len(saved) < 5 && scan.Scan(); {
		saved = append(saved, scan.Text())
	}
	child.Process.Kill()
	child.Wait()
	c := newClient(t, &actcache.Service{Store: openStore(t, dir), Key: actcache.NewKey()}, grant("main"))
	for _, key := range saved {
		c.wantRestored(key, key+text(50_000), key)
	}
	// What was on its way is whole or absent, and can be made.
	next := fmt.Sprintf("k-%06d", len(saved))
	if key, content := c.restore(next); key != "" && content != next+text(50_000) {
		t.Errorf("got %q with %d bytes", key, len(content))
	}
	c.save(next, next+text(50_000), 0)
	c.wantRestored(next, next+text(50_000), next)
}

// Whatever comes in, the service answers it, and with no status that has
// Azure's clients try for minutes.
func FuzzRequests(f *testing.F) {
	f.Add("POST", twirp+"CreateCacheEntry", `{"key":"k","version":"v"}`, "")
	f.Add("POST", twirp+"GetCacheEntryDownloadURL", `{"key":"k","restore_keys":["a"],"version":"v"}`, "")
	f.Add("GET", "/_apis/artifactcache/cache?keys=a,b&version=v", "", "")
	f.Add("PATCH", "/_apis/artifactcache/caches/1", "x", "bytes 0-0/*")
	f.Add("PUT", "/devstoreaccount1/outlast/x?comp=blocklist&se=1&sp=w&sig=x", "<BlockList/>", "")
	f.Add("GET", "/devstoreaccount1/outlast/../../etc/passwd?se=1&sp=r&sig=x", "", "bytes=0-")
	s := newService(f)
	c := newClient(f, s, grant("main"))
	f.Fuzz(func(t *testing.T, method, target, body, span string) {
		r, err := http.NewRequest(method, target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Range", span)
		r.Header.Set("Range", span)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code == 408 || w.Code == 429 {
			t.Errorf("%s %s: got %d %s", method, target, w.Code, w.Body)
		}
	})
}
