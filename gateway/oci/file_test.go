package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/oci"
)

// layer is a tar of names and contents.
func layer(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func zstandard(t *testing.T, b []byte) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(b, nil)
}

func TestAFileOfAnImage(t *testing.T) {
	const want = "etc/apk/repositories"
	base := layer(t, "etc/apk/repositories", "https://a.example.com/main\n", "bin/sh", "x")
	for _, tt := range []struct {
		name   string
		layers [][]byte
		want   string
		err    error // any, where there is no want
	}{
		{"in the only layer", [][]byte{gzipped(base)}, "https://a.example.com/main\n", nil},
		{"below others, in all forms", [][]byte{base, gzipped(layer(t, "a", "b")), zstandard(t, layer(t, "etc/apk/world", "b"))}, "https://a.example.com/main\n", nil},
		{"changed later on", [][]byte{gzipped(base), zstandard(t, layer(t, "./etc/apk/repositories", "own\n")), gzipped(layer(t, "a", "b"))}, "own\n", nil},
		{"taken away", [][]byte{gzipped(base), gzipped(layer(t, "etc/apk/.wh.repositories", ""))}, "", fs.ErrNotExist},
		{"its folder taken away", [][]byte{gzipped(base), gzipped(layer(t, "etc/.wh.apk", ""))}, "", fs.ErrNotExist},
		{"its folder emptied", [][]byte{gzipped(base), gzipped(layer(t, "etc/.wh..wh..opq", "", "etc/other", "x"))}, "", fs.ErrNotExist},
		{"nowhere", [][]byte{gzipped(layer(t, "a", "b"))}, "", fs.ErrNotExist},
		{"too large", [][]byte{gzipped(layer(t, "etc/apk/repositories", strings.Repeat("x", 2000)))}, "", nil},
		{"in no archive", [][]byte{[]byte("<html>no archive at all, and longer than a block</html>" + strings.Repeat(" ", 600))}, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			host := strings.TrimPrefix(server.URL, "http://")
			img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
			for _, l := range tt.layers {
				var err error
				if img, err = mutate.AppendLayers(img, static.NewLayer(l, types.OCILayer)); err != nil {
					t.Fatal(err)
				}
			}
			ref, err := name.ParseReference(host + "/base:1")
			if err == nil {
				err = remote.Write(ref, img)
			}
			if err != nil {
				t.Fatal(err)
			}
			fetcher := new(fetch.Fetcher)
			registries, err := oci.NewRegistries([]oci.Registry{{Host: host, Origin: server.URL}}, fetcher.Transport(), nil)
			if err != nil {
				t.Fatal(err)
			}
			store, err := cas.Open(t.TempDir(), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			images := oci.Images{Protocol: new(oci.Protocol)}
			images.Mirror = &gateway.Mirror{Ecosystem: images.Protocol, Fetcher: fetcher, Store: store, Upstreams: registries.Upstreams}
			images.Mirror.Start(context.Background())
			defer images.Mirror.Close()
			got, err := images.File(t.Context(), host+"/base:1", nil, want, 1000)
			if string(got) != tt.want || (err == nil) != (tt.want != "") || tt.err != nil && !errors.Is(err, tt.err) {
				t.Fatalf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
			server.Close()
			if tt.want == "" {
				return
			}
			images.Mirror.Offline = true
			if got, err := images.File(t.Context(), host+"/base:1", nil, want, 1000); string(got) != tt.want {
				t.Errorf("from the store: got %q, %v", got, err)
			}
		})
	}
}
