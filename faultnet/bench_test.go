package faultnet_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
)

// BenchmarkHealthy shows what a script costs where it does nothing: a service
// before files should be as fast as Go's own file server.
func BenchmarkHealthy(b *testing.B) {
	const size = 64 << 20
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "content"), make([]byte, size), 0o666); err != nil {
		b.Fatal(err)
	}
	files := http.FileServer(http.Dir(dir))
	plain := httptest.NewServer(files)
	defer plain.Close()
	s := start(b, &faultnet.Service{Backend: files})
	proxy, err := faultnet.NewProxy(plain.URL)
	if err != nil {
		b.Fatal(err)
	}
	p := start(b, &faultnet.Service{Backend: proxy})
	for name, url := range map[string]string{"plain file server": plain.URL, "service": s.URL(), "service before a proxy": p.URL()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				resp, err := http.Get(url + "/content")
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
