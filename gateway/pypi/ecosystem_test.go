package pypi_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/pypi"
)

const (
	origin = "https://" + ecotest.OriginHost + "/simple"
	mirror = "https://" + ecotest.MirrorHost + "/simple/"
)

// A repository is an index of files by project, in one of its forms.
type repository struct {
	files  map[string]map[string][]byte // by project and name
	json   bool                         // it has the newer form for those who read it
	hashes string                       // "sha256", "md5" or none
	at     string                       // where the index says that the files are; by default beside it
	change func(project string, x map[string]any)
}

func (r repository) hash(b []byte) string {
	switch r.hashes {
	case "md5":
		sum := md5.Sum(b)
		return hex.EncodeToString(sum[:])
	case "sha256":
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	return ""
}

const beside = "../../packages/ab/cd/"

func (r repository) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	path := strings.TrimPrefix(q.URL.Path, "/")
	for project, files := range r.files {
		if path == "simple/"+project+"/" {
			r.index(w, q, project)
			return
		}
		for name, data := range files {
			if path == "packages/ab/cd/"+name {
				http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(data))
				return
			}
		}
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("<html><body>404 Not Found</body></html>"))
}

func (r repository) index(w http.ResponseWriter, q *http.Request, project string) {
	at := r.at
	if at == "" {
		at = beside
	}
	var names []string
	for name := range r.files[project] {
		if !strings.HasSuffix(name, ".metadata") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if r.json && strings.Contains(q.Header.Get("Accept"), "simple.v1+json") {
		files := []any{}
		for _, name := range names {
			f := map[string]any{"filename": name, "url": at + name, "hashes": map[string]string{}, "requires-python": ">=3.6", "yanked": false}
			if r.hashes != "" {
				f["hashes"] = map[string]string{r.hashes: r.hash(r.files[project][name])}
			}
			if m, ok := r.files[project][name+".metadata"]; ok {
				f["core-metadata"] = map[string]string{"sha256": repository{hashes: "sha256"}.hash(m)}
			}
			files = append(files, f)
		}
		x := map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": project, "files": files}
		if r.change != nil {
			r.change(project, x)
		}
		data, err := json.Marshal(x)
		if err != nil {
			panic(err)
		}
		send(w, q, "application/vnd.pypi.simple.v1+json", data)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE html><html><head><title>Links for %s</title></head><body>\n", project)
	for _, name := range names {
		href := at + name
		if r.hashes != "" {
			href += "#" + r.hashes + "=" + r.hash(r.files[project][name])
		}
		more := ""
		if m, ok := r.files[project][name+".metadata"]; ok {
			more = ` data-dist-info-metadata="sha256=` + repository{hashes: "sha256"}.hash(m) + `"`
		}
		fmt.Fprintf(&b, "<a href=%q data-requires-python=\"&gt;=3.6\"%s>%s</a><br>\n", href, more, name)
	}
	b.WriteString("</body></html>")
	send(w, q, "text/html; charset=utf-8", []byte(b.String()))
}

// send sends an index, compressed where the client takes that.
func send(w http.ResponseWriter, q *http.Request, media string, data []byte) {
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

// archive is a zip with files of the given content.
func archive(t testing.TB, content map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	names := make([]string, 0, len(content))
	for name := range content {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content[name])
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
func noise(seed uint64, n int) []byte {
	chance := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

const wheel = "left_pad-1.0.0-py3-none-any.whl"

// shelf has one project with a wheel and what describes it.
func shelf(t testing.TB) repository {
	t.Helper()
	return repository{hashes: "sha256", files: map[string]map[string][]byte{
		"left-pad": {
			wheel:                                   archive(t, map[string][]byte{"left_pad.py": noise(1, 64<<10)}),
			wheel + ".metadata":                     []byte("Metadata-Version: 2.1\nName: left-pad\nVersion: 1.0.0\n" + strings.Repeat("\nIt pads to the left.", 40)),
			"left_pad-0.9.0-py3-none-any.whl":       archive(t, map[string][]byte{"left_pad.py": []byte("pass\n")}),
			"left_pad-0.8.0-cp39-manylinux_1_1.whl": archive(t, map[string][]byte{"left_pad.py": []byte("pass\n")}),
		},
	}}
}

func settings() pypi.Settings { return pypi.Settings{Index: origin, Mirrors: []string{mirror}} }

func protocol(t testing.TB, s pypi.Settings, base http.RoundTripper) *pypi.Protocol {
	t.Helper()
	p, err := pypi.New(s, base)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEcosystem(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*repository)
		fixed  string
		accept string
		once   bool
	}{
		{name: "a page", fixed: wheel},
		{name: "the newer form", fixed: wheel, change: func(r *repository) { r.json = true }, accept: "application/vnd.pypi.simple.v1+json, text/html; q=0.01"},
		{name: "hashes that prove little", fixed: wheel, change: func(r *repository) { r.hashes = "md5" }},
		{name: "no hashes at all", fixed: wheel, change: func(r *repository) { r.hashes = "" }, once: true},
		{name: "what describes a wheel", fixed: wheel + ".metadata", change: func(r *repository) { r.json = true }},
		{name: "files on the origin's own host, by their whole address", fixed: wheel,
			change: func(r *repository) { r.at = "https://" + ecotest.OriginHost + "/packages/ab/cd/" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := shelf(t)
			if tt.change != nil {
				tt.change(&r)
			}
			ecotest.Run(t, ecotest.Subject{
				New:     func() gateway.Ecosystem { return protocol(t, settings(), nil) },
				Backend: r,
				Upstreams: func(t testing.TB, base http.RoundTripper) func(string) []gateway.Upstream {
					return protocol(t, settings(), base).Upstreams
				},
				Fixed:   pypi.Prefix + "files/left-pad/" + tt.fixed,
				Moving:  pypi.Index + "left-pad/",
				Fresh:   time.Minute,
				Once:    tt.once,
				LooksUp: true,
				Header:  http.Header{"Accept": {tt.accept}},
			})
		})
	}
}
