package npm_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/npm"
)

const (
	origin = "https://" + ecotest.OriginHost + "/registry/"
	mirror = "https://" + ecotest.MirrorHost + "/"
)

// A registry is what a registry holds: packages, their versions and the archive
// of each. Its documents name addresses at base.
type registry struct {
	base     string
	packages map[string]map[string][]byte
	change   func(dist map[string]any) // what else it says of an archive
}

func sri(b []byte) string {
	sum := sha512.Sum512(b)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func shasum(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

func (r registry) release(name, version string) map[string]any {
	data := r.packages[name][version]
	dist := map[string]any{
		"tarball":   r.base + archivePath(name, version),
		"integrity": sri(data),
		"shasum":    shasum(data),
	}
	if r.change != nil {
		r.change(dist)
	}
	return map[string]any{"name": name, "version": version, "dist": dist}
}

func archivePath(name, version string) string {
	return name + "/-/" + name[strings.Index(name, "/")+1:] + "-" + version + ".tgz"
}

// ServeHTTP answers below any path, so that origin and mirrors may share it.
func (r registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	path := strings.TrimPrefix(strings.TrimPrefix(q.URL.Path, "/"), "registry/")
	for name, versions := range r.packages {
		if path == "-/package/"+name+"/dist-tags" {
			send(w, q, "application/json", map[string]string{"latest": "1.0.0"})
			return
		}
		if path == name {
			doc := map[string]any{"name": name, "dist-tags": map[string]string{"latest": "1.0.0"}, "versions": map[string]any{}}
			for v := range versions {
				doc["versions"].(map[string]any)[v] = r.release(name, v)
			}
			media := "application/json"
			if strings.Contains(q.Header.Get("Accept"), "install-v1") {
				media = "application/vnd.npm.install-v1+json"
			} else {
				doc["readme"] = "all of it"
			}
			send(w, q, media, doc)
			return
		}
		for v, data := range versions {
			switch path {
			case name + "/" + v:
				send(w, q, "application/json", r.release(name, v))
				return
			case archivePath(name, v):
				w.Header().Set("Content-Type", "application/octet-stream")
				http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(data))
				return
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"error":"Not found"}`))
}

// send sends a document, compressed where the client takes that.
func send(w http.ResponseWriter, q *http.Request, media string, doc any) {
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", media)
	if q.Header.Get("Accept-Encoding") == "gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(data)
		_ = z.Close()
		data = out.Bytes()
	}
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(data))
}

// noise is content that does not get smaller.
func noise(seed uint64, n int) []byte {
	chance := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

// shelf has a package with a scope and one without.
func shelf() registry {
	return registry{base: origin, packages: map[string]map[string][]byte{
		"left-pad":    {"1.0.0": noise(1, 64<<10), "1.1.0": noise(2, 3000)},
		"@types/node": {"1.0.0": noise(3, 64<<10)},
	}}
}

func settings() npm.Settings { return npm.Settings{Registry: origin, Mirrors: []string{mirror}} }

func protocol(t testing.TB, s npm.Settings, base http.RoundTripper) *npm.Protocol {
	t.Helper()
	p, err := npm.New(s, base)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEcosystem(t *testing.T) {
	old := shelf()
	old.change = func(dist map[string]any) { delete(dist, "integrity") }
	for _, tt := range []struct {
		name          string
		at            registry
		fixed, moving string
		claim         []byte // whose hash the client names, as npm does
		accept        string
	}{
		{name: "a package", at: shelf(), fixed: "left-pad/-/left-pad-1.0.0.tgz", moving: "left-pad", claim: shelf().packages["left-pad"]["1.0.0"]},
		{name: "a package with a scope, in the short form", at: shelf(), fixed: "@types/node/-/node-1.0.0.tgz", moving: "@types%2fnode",
			claim: shelf().packages["@types/node"]["1.0.0"], accept: "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"},
		{name: "one version", at: shelf(), moving: "left-pad/1.0.0"},
		{name: "the tags", at: shelf(), moving: "-/package/left-pad/dist-tags"},
		{name: "an archive whose hash is looked up, and old", at: old, fixed: "left-pad/-/left-pad-1.0.0.tgz", moving: "left-pad/1.0.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := make(http.Header)
			if tt.accept != "" {
				header.Set("Accept", tt.accept)
			}
			if tt.claim != nil {
				header.Set("Pacote-Integrity", sri(tt.claim))
			}
			s := ecotest.Subject{
				New:     func() gateway.Ecosystem { return protocol(t, settings(), nil) },
				Backend: shelf(),
				Upstreams: func(t testing.TB, base http.RoundTripper) func(string) []gateway.Upstream {
					return protocol(t, settings(), base).Upstreams
				},
				Moving:  npm.Prefix + tt.moving,
				Fresh:   5 * time.Minute,
				LooksUp: tt.claim == nil,
				Header:  header,
			}
			if tt.fixed != "" {
				s.Fixed = npm.Prefix + tt.fixed
			}
			ecotest.Run(t, s)
		})
	}
}
