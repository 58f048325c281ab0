package deb_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// An archive is a server of Debian packages.
type archive struct {
	mu    sync.Mutex
	files map[string][]byte // by path
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	body, ok := a.files[r.URL.Path]
	a.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func (a *archive) put(name string, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.files == nil {
		a.files = make(map[string][]byte)
	}
	a.files[name] = body
}

func (a *archive) drop(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.files, name)
}

const dists = "/debian/dists/stable/"

// publish puts a release of the day into the archive: indexes by name and by
// digest, and packages by name. It replaces what was there.
func (a *archive) publish(day int, indexes, pool map[string][]byte) {
	var lines strings.Builder
	for name, body := range indexes {
		sum := fmt.Sprintf("%x", sha256.Sum256(body))
		fmt.Fprintf(&lines, " %s %16d %s\n", sum, len(body), name)
		a.put(dists+name, body)
		a.put(path.Join(dists, path.Dir(name), "by-hash/SHA256", sum), body)
	}
	for name, body := range pool {
		a.put("/debian/"+name, body)
	}
	a.put(dists+"InRelease", fmt.Appendf(nil, "Origin: Test\nDate: %s\nAcquire-By-Hash: yes\nSHA256:\n%s",
		time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC).Format("Mon, 02 Jan 2006 15:04:05 MST"), &lines))
}

// packages is an index that lists the pool.
func packages(pool map[string][]byte) []byte {
	var text bytes.Buffer
	for name, body := range pool {
		fmt.Fprintf(&text, "Package: x\nFilename: %s\nSize: %d\nSHA256: %x\n\n", name, len(body), sha256.Sum256(body))
	}
	return text.Bytes()
}

func gz(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body)
	_ = w.Close()
	return out.Bytes()
}

func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// debFile is a package with this content.
func debFile(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		body []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", gz(make([]byte, 1024))}, {"data.tar.gz", gz(content)}} {
		fmt.Fprintf(&out, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", m.name, 0, 0, 0, 0o100644, len(m.body))
		out.Write(m.body)
		if len(m.body)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}
