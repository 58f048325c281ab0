package oci_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/oci"
)

// backend is a registry in memory with one image, library/golang:1.26.
func backend(t testing.TB) (h http.Handler, layer string) {
	t.Helper()
	h = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(h)
	defer srv.Close()
	img, err := random.Image(64<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host(t, srv.URL) + "/library/golang:1.26")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h, d.String()
}

func TestEcosystem(t *testing.T) {
	h, layer := backend(t)
	ecotest.Run(t, ecotest.Subject{
		New:     func() gateway.Ecosystem { return new(oci.Protocol) },
		Backend: h,
		Upstreams: func(t testing.TB, base http.RoundTripper) func(string) []gateway.Upstream {
			rs, err := oci.NewRegistries([]oci.Registry{{
				Host: "docker.io", Origin: "https://" + ecotest.OriginHost,
				Mirrors: []oci.Mirror{{URL: "https://" + ecotest.MirrorHost, Tags: true}},
			}}, base, nil)
			if err != nil {
				t.Fatal(err)
			}
			return rs.Upstreams
		},
		Fixed:  "/v2/library/golang/blobs/" + layer,
		Moving: "/v2/library/golang/manifests/1.26?ns=docker.io",
		Header: http.Header{"Accept": {"application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json"}},
	})
}
