package oci_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/oci"
)

var sha = "sha256:" + strings.Repeat("ab", 32)

func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		name, path   string
		origin, want string // the asset's origin and path; or, with no origin, the status as text
	}{
		{"the registry in the path, as a source policy puts it", "/v2/gcr.io/distroless/static/manifests/nonroot", "gcr.io", "distroless/static/manifests/nonroot"},
		{"the registry as a parameter, as containerd adds it", "/v2/distroless/static/manifests/nonroot?ns=gcr.io", "gcr.io", "distroless/static/manifests/nonroot"},
		{"the path wins over the parameter", "/v2/gcr.io/a/b/manifests/1?ns=quay.io", "gcr.io", "a/b/manifests/1"},
		{"no registry means Docker Hub", "/v2/library/golang/manifests/1.26", "docker.io", "library/golang/manifests/1.26"},
		{"Docker Hub's official images may lack their prefix", "/v2/docker.io/golang/manifests/1.26", "docker.io", "library/golang/manifests/1.26"},
		{"another name of Docker Hub", "/v2/golang/manifests/1?ns=registry-1.docker.io", "docker.io", "library/golang/manifests/1"},
		{"a port, as a path can hold it", "/v2/registry.example.com__5000/app/manifests/1", "registry.example.com:5000", "app/manifests/1"},
		{"a port, as a parameter", "/v2/app/manifests/1?ns=127.0.0.1:5000", "127.0.0.1:5000", "app/manifests/1"},
		{"localhost is a registry", "/v2/localhost__5000/app/blobs/" + sha, "localhost:5000", "app/blobs/" + sha},
		{"a host in capitals", "/v2/Registry.Example.COM__5000/app/manifests/V1", "registry.example.com:5000", "app/manifests/V1"},
		{"a host in capitals, as a parameter", "/v2/app/manifests/1?ns=Docker.IO", "docker.io", "library/app/manifests/1"},
		{"an address of IPv6, as a path can hold it", "/v2/0000-0000-0000-0000-0000-0000-0000-0001.ipv6-literal.net__5000/app/manifests/1", "[::1]:5000", "app/manifests/1"},
		{"an address of IPv6, as a parameter", "/v2/app/manifests/1?ns=%5B::1%5D:5000", "[::1]:5000", "app/manifests/1"},
		{"a digest", "/v2/a/b/manifests/" + sha, "docker.io", "a/b/manifests/" + sha},
		{"a repository called manifests", "/v2/x/manifests/y/manifests/1", "docker.io", "x/manifests/y/manifests/1"},
		{"a list of tags", "/v2/quay.io/a/b/tags/list", "quay.io", "a/b/tags/list"},
		{"referrers", "/v2/quay.io/a/b/referrers/" + sha, "quay.io", "a/b/referrers/" + sha},

		{"no repository", "/v2/manifests/1", "", "404"},
		{"not the protocol", "/v1/search", "", "404"},
		{"no such thing", "/v2/a/b/elsewhere/1", "", "404"},
		{"a catalogue", "/v2/_catalog", "", "404"},
		{"climbing out", "/v2/a/../../b/manifests/1", "", "400"},
		{"climbing out, escaped", "/v2/a/%2e%2e/b/manifests/1", "", "404"},
		{"an escaped slash", "/v2/a%2fb/c/manifests/1", "", "404"},
		{"what looks like an address of IPv6", "/v2/app/manifests/1?ns=x-y.ipv6-literal.net", "", "400"},
		{"capitals", "/v2/Library/golang/manifests/1", "", "400"},
		{"a tag that is none", "/v2/a/b/manifests/.x", "", "400"},
		{"a tag with a line end", "/v2/a/b/manifests/x%0ay", "", "404"},
		{"a digest that is none", "/v2/a/b/blobs/sha256:abc", "", "400"},
		{"a digest of an unknown algorithm", "/v2/a/b/blobs/md5:" + strings.Repeat("a", 32), "", "400"},
		{"a parameter that is no registry", "/v2/a/b/manifests/1?ns=evil%2f..", "", "400"},
		{"a parameter with a login", "/v2/a/b/manifests/1?ns=user@host.example.com", "", "400"},
		{"a long repository", "/v2/" + strings.Repeat("a/", 400) + "manifests/1", "", "400"},
		{"a longer one", "/v2/" + strings.Repeat("a/", 4000) + "manifests/1", "", "404"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL = u
			got, err := new(oci.Protocol).Asset(r)
			if tt.origin != "" {
				if err != nil || got.Origin != tt.origin || got.Path != tt.want {
					t.Errorf("got %s of %s, %v, want %s of %s", got.Path, got.Origin, err, tt.want, tt.origin)
				}
				return
			}
			var answer *gateway.AnswerError
			if !errors.As(err, &answer) || tt.want != strconv.Itoa(answer.Code) {
				t.Errorf("got %+v, %v, want status %s", got, err, tt.want)
			}
		})
	}
}

func TestHostPath(t *testing.T) {
	for _, host := range []string{"docker.io", "gcr.io", "registry.example.com:5000", "localhost:5000", "127.0.0.1:5001", "[::1]:5000", "[::1]", "[2001:db8::7]:443"} {
		r := httptest.NewRequest(http.MethodGet, "/v2/"+oci.HostPath(host)+"/a/b/manifests/1", nil)
		got, err := new(oci.Protocol).Asset(r)
		if err != nil || got.Origin != host {
			t.Errorf("%s came back as %s, %v", host, got.Origin, err)
		}
	}
}

// FuzzPaths: whatever a client asks for, what goes upstream is a plain path of
// the protocol.
func FuzzPaths(f *testing.F) {
	f.Add("/v2/library/golang/manifests/1.26", "docker.io")
	f.Add("/v2/gcr.io/a/b/blobs/"+sha, "")
	f.Fuzz(func(t *testing.T, path, ns string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: path, RawQuery: url.Values{"ns": {ns}}.Encode()}
		a, err := new(oci.Protocol).Asset(r)
		if err != nil {
			return
		}
		if strings.Contains(a.Path, "..") && !strings.Contains(a.Path, "/manifests/") || strings.ContainsAny(a.Path, "?#%\\ \n\r@") || strings.HasPrefix(a.Path, "/") {
			t.Errorf("%q goes upstream as %q", path, a.Path)
		}
		if strings.ContainsAny(a.Origin, "/@?#% ") || a.Origin == "" {
			t.Errorf("%q and %q lead to the host %q", path, ns, a.Origin)
		}
	})
}
