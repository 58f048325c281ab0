package oci_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/oci"
)

// contents is a registry of one repository, team/app, that has what it is given:
// manifests by tag and by digest, blobs by digest.
type contents map[string][]byte

func (c contents) add(b []byte, alg digest.Algorithm) digest.Digest {
	d := alg.FromBytes(b)
	c[d.String()] = b
	return d
}

func (c contents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ref := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	b, ok := c[ref]
	if !ok || !strings.HasPrefix(r.URL.Path, "/v2/team/app/") {
		http.NotFound(w, r)
		return
	}
	if strings.Contains(r.URL.Path, "/manifests/") {
		var m struct{ MediaType string }
		json.Unmarshal(b, &m)
		w.Header().Set("Content-Type", m.MediaType)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(b).String())
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.Write(b)
}

// through serves the registry of h by a gateway, as example.com, and returns it.
func through(t testing.TB, h http.Handler) func(method, path string) *httptest.ResponseRecorder {
	t.Helper()
	up := httptest.NewServer(h)
	t.Cleanup(up.Close)
	f := &fetch.Fetcher{Budget: &fetch.Budget{Wait: -1}}
	t.Cleanup(f.CloseIdleConnections)
	rs, err := oci.NewRegistries([]oci.Registry{{Host: "example.com", Origin: up.URL}}, f.Transport(), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := cas.Open(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	m := &gateway.Mirror{Ecosystem: new(oci.Protocol), Store: store, Fetcher: f, Upstreams: rs.Upstreams}
	m.Start(context.Background())
	t.Cleanup(m.Close)
	return func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
}

// Every type of manifest, and every kind of blob, comes through as it is, by HEAD
// and by GET.
func TestEveryKindOfContent(t *testing.T) {
	c := make(contents)
	manifest := func(media string) []byte {
		b := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"size":2,"digest":%q},"layers":[]}`, media, c.add([]byte("{}"), digest.SHA256)))
		c.add(b, digest.SHA256)
		return b
	}
	index := func(media string, children ...[]byte) []byte {
		var list []string
		for _, b := range children {
			list = append(list, fmt.Sprintf(`{"mediaType":"application/json","size":%d,"digest":%q}`, len(b), digest.FromBytes(b)))
		}
		b := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, media, strings.Join(list, ",")))
		c.add(b, digest.SHA256)
		return b
	}
	const docker, ocis = "application/vnd.docker.distribution.manifest.", "application/vnd.oci.image."
	image := manifest(ocis + "manifest.v1+json")
	inner := index(ocis+"index.v1+json", image)
	for _, row := range []struct {
		name string
		body []byte
		blob bool
		alg  digest.Algorithm
	}{
		{"an OCI manifest", image, false, digest.SHA256},
		{"a Docker manifest", manifest(docker + "v2+json"), false, digest.SHA256},
		{"a Docker list", index(docker+"list.v2+json", image), false, digest.SHA256},
		{"an index within an index", index(ocis+"index.v1+json", inner), false, digest.SHA256},
		{"an index without children", index(ocis + "index.v1+json"), false, digest.SHA256},
		{"a configuration that is empty", []byte("{}"), true, digest.SHA256},
		{"a blob that is empty", nil, true, digest.SHA256},
		{"a blob of one byte", []byte("<"), true, digest.SHA256},
		{"a layer under zstd", append([]byte("\x28\xb5\x2f\xfd"), make([]byte, 100_000)...), true, digest.SHA256},
		{"a blob that is a page", []byte("<!doctype html><html></html>"), true, digest.SHA256},
		{"a blob under SHA-512", []byte("sha512"), true, digest.SHA512},
	} {
		t.Run(row.name, func(t *testing.T) {
			ask := through(t, c)
			d := c.add(row.body, row.alg)
			kind, refs := "blobs", []string{d.String()}
			if !row.blob {
				kind, refs = "manifests", []string{d.String(), "Tag-In_CAPITALS.1"}
				c["Tag-In_CAPITALS.1"] = row.body
			}
			for _, ref := range refs {
				path := "/v2/example.com/team/app/" + kind + "/" + ref
				for _, method := range []string{"HEAD", "GET", "GET", "HEAD"} { // from upstream, and from the store
					got := ask(method, path)
					if got.Code != http.StatusOK || method == "GET" && !bytes.Equal(got.Body.Bytes(), row.body) {
						t.Fatalf("%s %s: got %d and %d bytes, want the %d: %.200s", method, ref, got.Code, got.Body.Len(), len(row.body), got.Body)
					}
					if got.Header().Get("Docker-Content-Digest") != d.String() || got.Header().Get("Content-Length") != fmt.Sprint(len(row.body)) {
						t.Errorf("%s %s: got head %v, want the digest %s and the length %d", method, ref, got.Header(), d, len(row.body))
					}
				}
			}
		})
	}
}

// A head that names a digest under which its registry has nothing, or other
// bytes, is not the last word.
func TestAHeadThatDisagreesWithTheBody(t *testing.T) {
	body := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	other := digest.FromString("other")
	for _, row := range []struct {
		name string
		has  contents
	}{
		{"it has nothing under it", contents{"1": body}},
		{"it has other bytes under it", contents{"1": body, other.String(): body}},
	} {
		t.Run(row.name, func(t *testing.T) {
			ask := through(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.Header().Set("Docker-Content-Digest", other.String())
					return
				}
				row.has.ServeHTTP(w, r)
			}))
			got := ask("GET", "/v2/example.com/team/app/manifests/1")
			if got.Code != http.StatusOK || !bytes.Equal(got.Body.Bytes(), body) || got.Header().Get("Docker-Content-Digest") != digest.FromBytes(body).String() {
				t.Errorf("got %d %s %v, want what the registry gives for the tag", got.Code, got.Body, got.Header())
			}
		})
	}
}

// A registry that takes no HEAD at all.
func TestARegistryWithoutHEAD(t *testing.T) {
	c := make(contents)
	d := c.add([]byte("a layer"), digest.SHA256)
	c["list"] = []byte(`{"name":"team/app","tags":["1"]}`)
	ask := through(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		c.ServeHTTP(w, r)
	}))
	if got := ask("HEAD", "/v2/example.com/team/app/blobs/"+d.String()); got.Code != http.StatusOK || got.Header().Get("Content-Length") != "7" {
		t.Errorf("got %d %v for the HEAD of a blob, want its length", got.Code, got.Header())
	}
	if got := ask("GET", "/v2/example.com/team/app/tags/list"); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"1"`) {
		t.Errorf("got %d %s for the list of tags", got.Code, got.Body)
	}
}

// A registry that takes HEAD for what it has, and for lists says 404.
func TestAListIsAskedForByGET(t *testing.T) {
	c := contents{"list": []byte(`{"name":"team/app","tags":["1"]}`)}
	ask := through(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			http.NotFound(w, r)
			return
		}
		c.ServeHTTP(w, r)
	}))
	if got := ask("GET", "/v2/example.com/team/app/tags/list"); got.Code != http.StatusOK {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

// Whatever the form of a challenge, a token is asked for where one can be had.
func TestChallenges(t *testing.T) {
	const bearer = `Bearer realm="REALM",service="registry",scope="repository:team/app:pull"`
	for _, row := range []struct {
		name  string
		lines []string
		login oci.Login
		want  string // the credential that the registry gets
	}{
		{"a token", []string{bearer}, oci.Login{}, "Bearer t"},
		{"a token or a login, and there is none", []string{`Basic realm="x"`, bearer}, oci.Login{}, "Bearer t"},
		{"the same on one line", []string{`Basic realm="x, y=z", ` + bearer}, oci.Login{}, "Bearer t"},
		{"the other way round, on one line", []string{bearer + `, Basic realm="x"`}, oci.Login{}, "Bearer t"},
		{"something unknown in front", []string{`Negotiate`, `NTLM, Digest realm="a", nonce="b"`, bearer}, oci.Login{}, "Bearer t"},
		{"in other letters, and with spaces", []string{`bEARER  Realm = "REALM" , SERVICE = registry`}, oci.Login{}, "Bearer t"},
		{"a login", []string{`Basic realm="x"`}, oci.Login{User: "u", Password: "p"}, "Basic dTpw"},
		{"a login, and no realm", []string{`Basic`}, oci.Login{User: "u", Password: "p"}, "Basic dTpw"},
		{"nothing that can be read", []string{`="x", =`}, oci.Login{}, ""},
		{"nothing", nil, oci.Login{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			layer := []byte("a layer")
			var realm string
			mux := http.NewServeMux()
			mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"token":"t","expires_in":"300"}`) })
			mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); row.want != "" && got == row.want {
					w.Write(layer)
					return
				}
				for _, line := range row.lines {
					w.Header().Add("WWW-Authenticate", strings.ReplaceAll(line, "REALM", realm))
				}
				w.WriteHeader(http.StatusUnauthorized)
			})
			mux.HandleFunc("/", http.NotFound)
			up := httptest.NewServer(mux)
			defer up.Close()
			realm = up.URL + "/token"
			f := &fetch.Fetcher{Budget: &fetch.Budget{Wait: -1}}
			defer f.CloseIdleConnections()
			keys := func(context.Context, string) (oci.Login, error) { return row.login, nil }
			rs, err := oci.NewRegistries([]oci.Registry{{Host: "example.com", Origin: up.URL}}, f.Transport(), keys)
			if err != nil {
				t.Fatal(err)
			}
			u := rs.Upstreams("example.com")[0]
			at, _ := u.Locate(gateway.Asset{Path: "team/app/blobs/x"})
			got, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: u.Endpoint, URL: at, Transport: u.Transport}}})
			if (err == nil) != (row.want != "") || row.want != "" && !bytes.Equal(got.Body, layer) {
				t.Errorf("got %q, %v; want it: %t", got.Body, err, row.want != "")
			}
		})
	}
}

// A token that is refused in the middle of a layer is renewed, and the transfer
// goes on where it was.
func TestATokenThatExpiresInTheMiddle(t *testing.T) {
	layer := bytes.Repeat([]byte("layer"), 100_000)
	d := digest.FromBytes(layer)
	var issued, sent atomic.Int64
	var realm string
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"token":"t%d"}`, issued.Add(1)) })
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", issued.Load()) || sent.Load() == 100_000 && issued.Load() == 1 {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", realm))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var off int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off)
		w.Header().Set("Content-Length", fmt.Sprint(len(layer)-off))
		if off > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, len(layer)-1, len(layer)))
			w.WriteHeader(http.StatusPartialContent)
		}
		if sent.Load() == 0 {
			sent.Add(100_000)
			w.Write(layer[:100_000])
			panic(http.ErrAbortHandler)
		}
		n, _ := w.Write(layer[off:])
		sent.Add(int64(n))
	})
	ask := through(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		realm = "http://" + r.Host + "/token"
		mux.ServeHTTP(w, r)
	}))
	got := ask("GET", "/v2/example.com/team/app/blobs/"+d.String())
	if sha := sha256.Sum256(got.Body.Bytes()); got.Code != http.StatusOK || fmt.Sprintf("sha256:%x", sha) != d.String() {
		t.Errorf("got %d and %d bytes, want the layer", got.Code, got.Body.Len())
	}
	if issued.Load() != 2 || sent.Load() != int64(len(layer)) {
		t.Errorf("got %d tokens and %d bytes sent, want two, and each byte once", issued.Load(), sent.Load())
	}
}

// Registries are known by their hosts however these are written.
func TestHostsHoweverWritten(t *testing.T) {
	rs, err := oci.NewRegistries([]oci.Registry{{Host: "Registry.Example.com", Origin: "https://registry.example.com"}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := rs.Allow("[::1]:5000", "Other.Example.com:5000", "DOCKER.io"); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"registry.example.COM":   "https://registry.example.com/v2/",
		"[::1]:5000":             "http://[::1]:5000/v2/",
		"other.example.com:5000": "https://other.example.com:5000/v2/",
		"docker.io":              "https://registry-1.docker.io/v2/",
	} {
		us := rs.Upstreams(host)
		if len(us) != 1 || us[0].Base != want {
			t.Errorf("%s: got %v, want %s", host, us, want)
		}
	}
	for _, host := range []string{"", "a b", "[::1", "[x]:5", "host/path", "user@host.example.com", "[fe80::1%25lo]:1"} {
		if rs.Allow(host) == nil {
			t.Errorf("%q is allowed as a registry, want an error", host)
		}
	}
}
