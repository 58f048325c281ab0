package apk_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// part is one archive of a package or an index. All but the last have no end of
// their own, as abuild makes them.
func part(t testing.TB, last bool, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644})
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	end := w.Flush
	if last {
		end = w.Close
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A pack is a package and what an index says of it.
type pack struct {
	name string
	body []byte
	line string
}

// newPack makes a package as abuild does: a signature, control files, data.
func newPack(t testing.TB, name, version, content string) pack {
	t.Helper()
	data := part(t, true, "usr/bin/"+name, content)
	control := part(t, false, ".PKGINFO", fmt.Sprintf("pkgname = %s\npkgver = %s\ndatahash = %x\n", name, version, sha256.Sum256(data)))
	body := bytes.Join([][]byte{part(t, false, ".SIGN.RSA.test.rsa.pub", "signature"), control, data}, nil)
	sum := sha1.Sum(control)
	return pack{name + "-" + version + ".apk", body,
		fmt.Sprintf("C:Q1%s\nP:%s\nV:%s\nA:x86_64\nS:%d\nI:4096\n\n", base64.StdEncoding.EncodeToString(sum[:]), name, version, len(body))}
}

// newIndex makes an index as Alpine does.
func newIndex(t testing.TB, packs ...pack) []byte {
	t.Helper()
	list := ""
	for _, p := range packs {
		list += p.line
	}
	return append(part(t, false, ".SIGN.RSA.test.rsa.pub", "signature"), part(t, true, "DESCRIPTION", "v1", "APKINDEX", list)...)
}

// files is a repository, by path.
type files map[string][]byte

func (f files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := f[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

const repo = "/alpine/v3.99/main/x86_64/"
