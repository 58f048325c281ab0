package gomod_test

import (
	"archive/zip"
	"bytes"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/gomod"
)

// files is a proxy: paths and what they hold.
type files map[string][]byte

func (f files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := f[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.Error(w, "not found: no such module", http.StatusNotFound)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// archive makes an archive with files of the given names and content.
func archive(t testing.TB, content map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, body := range content {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// noise is content that does not get smaller.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// proxy has one module, example.com/Big@v1.0.0.
func proxy(t testing.TB) files {
	const in, at = "example.com/Big@v1.0.0/", "example.com/!big/@v/"
	mod := []byte("module example.com/Big\n\ngo 1.24\n")
	return files{
		at + "list":                []byte("v1.0.0\nv0.10.0\n"),
		at + "v1.0.0.info":         []byte(`{"Version":"v1.0.0","Time":"2026-01-02T03:04:05Z"}`),
		at + "main.info":           []byte(`{"Version":"v1.0.1-0.20260102030405-abcdefabcdef","Time":"2026-01-02T03:04:05Z"}`),
		at + "v1.0.0.mod":          mod,
		at + "v1.0.0.zip":          archive(t, map[string][]byte{in + "go.mod": mod, in + "noise.bin": noise(64 << 10)}),
		"example.com/!big/@latest": []byte(`{"Version":"v1.0.0","Time":"2026-01-02T03:04:05Z"}`),
	}
}

var twoProxies = gomod.Settings{Proxies: []string{"https://" + ecotest.MirrorHost, "https://" + ecotest.OriginHost}}

func TestEcosystem(t *testing.T) {
	for name, paths := range map[string][2]string{
		"archive and list":    {"v1.0.0.zip", "/go/example.com/!big/@v/list"},
		"info and the latest": {"v1.0.0.info", "/go/example.com/!big/@latest"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := gomod.New(twoProxies, nil)
			if err != nil {
				t.Fatal(err)
			}
			ecotest.Run(t, ecotest.Subject{
				New:       func() gateway.Ecosystem { return p },
				Backend:   proxy(t),
				Upstreams: func(testing.TB, http.RoundTripper) func(string) []gateway.Upstream { return p.Upstreams },
				Fixed:     "/go/example.com/!big/@v/" + paths[0],
				Moving:    paths[1],
				Fresh:     time.Minute,
				Once:      true,
				Peers:     true,
			})
		})
	}
}
