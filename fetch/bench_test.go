package fetch_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// onDisk returns a file with n bytes, and their digest.
func onDisk(b *testing.B, n int) (string, digest.Digest) {
	b.Helper()
	data := content(n)
	path := filepath.Join(b.TempDir(), "content")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return path, digest.FromBytes(data)
}

func scratch(b *testing.B) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "spool"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// BenchmarkLoopback compares a source as fast as loopback is: what io.Copy
// does with it, the same with the digest, and Spool into a file and a store.
func BenchmarkLoopback(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20, 100 << 20} {
		path, d := onDisk(b, size)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
		defer server.Close()
		store, err := cas.Open(b.TempDir(), 0)
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		f := new(fetch.Fetcher)
		defer f.CloseIdleConnections()
		client := &http.Client{Transport: f.Transport()}
		get := func(b *testing.B, to io.Writer) {
			resp, err := client.Get(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.Copy(to, resp.Body); err != nil {
				b.Fatal(err)
			}
		}
		ask := fetch.Ask{Name: "it", Digest: d, Sources: []fetch.Source{{Endpoint: "a", URL: server.URL}}}
		file := scratch(b)
		ways := []struct {
			name string
			get  func(*testing.B)
		}{
			{"copy", func(b *testing.B) { get(b, io.NewOffsetWriter(file, 0)) }},
			{"copy+sha256", func(b *testing.B) { get(b, io.MultiWriter(io.NewOffsetWriter(file, 0), sha256.New())) }},
			{"spool", func(b *testing.B) {
				if _, err := f.Spool(b.Context(), ask, file); err != nil {
					b.Fatal(err)
				}
			}},
			{"spool+store", func(b *testing.B) {
				w, err := store.Create()
				if err != nil {
					b.Fatal(err)
				}
				defer w.Close()
				if _, err := f.Spool(b.Context(), ask, w); err != nil {
					b.Fatal(err)
				}
			}},
		}
		for _, way := range ways {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, way.name), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					way.get(b)
				}
			})
		}
	}
}

// BenchmarkThrottled spools from sources that give 50 MB/s a connection.
func BenchmarkThrottled(b *testing.B) {
	const rate = 50e6
	for _, size := range []int{1 << 20, 10 << 20, 100 << 20} {
		path, d := onDisk(b, size)
		var sources []fetch.Source
		for range 2 {
			s := &faultnet.Service{Rate: rate, Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })}
			if err := s.Start(); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			sources = append(sources, fetch.Source{Endpoint: s.Host(), URL: s.URL() + "/blob"})
		}
		file := scratch(b)
		for _, way := range []struct {
			name        string
			sources     int
			connections int
		}{{"1 source, 1 connection", 1, 1}, {"1 source", 1, 0}, {"2 sources", 2, 0}} {
			f := &fetch.Fetcher{Connections: way.connections}
			defer f.CloseIdleConnections()
			ask := fetch.Ask{Name: "it", Digest: d, Sources: sources[:way.sources]}
			b.Run(fmt.Sprintf("%dMiB/%s", size>>20, way.name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := f.Spool(b.Context(), ask, file); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkBytes is what a small answer costs beside net/http's own.
func BenchmarkBytes(b *testing.B) {
	server := httptest.NewServer(text(good))
	defer server.Close()
	f := new(fetch.Fetcher)
	defer f.CloseIdleConnections()
	b.Run("net/http", func(b *testing.B) {
		client := &http.Client{Transport: f.Transport()}
		b.ReportAllocs()
		for b.Loop() {
			resp, err := client.Get(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	b.Run("fetch", func(b *testing.B) {
		ask := fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: server.URL}}}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Bytes(b.Context(), ask); err != nil {
				b.Fatal(err)
			}
		}
	})
}
