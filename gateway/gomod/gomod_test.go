package gomod_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/gomod"
)

// A world is two proxies, a checksum database, and a gateway before them.
type world struct {
	first, second, sums *faultnet.Transport
	gateway             *gateway.Mirror
}

// settings name both proxies.
func settings() gomod.Settings {
	return gomod.Settings{Proxies: []string{"https://user:password@first.example.com/go", "https://second.example.com"}}
}

func in(t *testing.T, dir string, s gomod.Settings, first, second, sums http.Handler, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{first: &faultnet.Transport{Backend: http.StripPrefix("/go", first)}, second: &faultnet.Transport{Backend: second}, sums: &faultnet.Transport{Backend: sums}}
		fetcher := &fetch.Fetcher{Base: faultnet.Hosts{"first.example.com": w.first, "second.example.com": w.second, "sum.example.com": w.sums}}
		p, err := gomod.New(s, fetcher.Transport())
		if err != nil {
			t.Fatal(err)
		}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.gateway = &gateway.Mirror{Ecosystem: p, Store: store, Upstreams: p.Upstreams, Fetcher: fetcher}
		w.gateway.Start(context.Background())
		defer func() {
			w.gateway.Close()
			w.first.Close()
			w.second.Close()
			w.sums.Close()
			time.Sleep(time.Minute) // fake time: until nobody looks up any more
			synctest.Wait()
			store.Close()
		}()
		f(t, w)
	})
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	r := httptest.NewRecorder()
	w.gateway.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
	return r
}

func (w *world) want(t *testing.T, path string, body []byte) {
	t.Helper()
	if r := w.get(path); r.Code != http.StatusOK || !bytes.Equal(r.Body.Bytes(), body) {
		t.Errorf("%s: got %d and %d bytes, want 200 and %d bytes: %.300q", path, r.Code, r.Body.Len(), len(body), r.Body)
	}
}

func (w *world) requests() int { return len(w.first.Log()) + len(w.second.Log()) + len(w.sums.Log()) }

const version = "example.com/!big/@v/v1.0.0"

// with returns the proxy with another body at path.
func with(f files, path string, body []byte) files {
	other := files{path: body}
	for k, v := range f {
		if k != path {
			other[k] = v
		}
	}
	return other
}

// bomb is an archive that says it unpacks to two gigabytes.
func bomb(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: 100, UncompressedSize64: 2 << 30})
	if err == nil {
		_, err = w.Write(make([]byte, 100))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAProxyThatLiesIsPassedOver(t *testing.T) {
	const folder = "example.com/Big@v1.0.0/"
	good := proxy(t)
	for name, lie := range map[string]struct {
		path string
		body []byte
	}{
		"another module's archive":          {version + ".zip", archive(t, map[string][]byte{"example.com/Other@v1.0.0/go.mod": nil})},
		"another version's archive":         {version + ".zip", archive(t, map[string][]byte{"example.com/Big@v1.0.1/go.mod": nil})},
		"a file that leads out":             {version + ".zip", archive(t, map[string][]byte{folder + "../../evil": nil})},
		"a file with a backslash":           {version + ".zip", archive(t, map[string][]byte{folder + `..\evil`: nil})},
		"an archive without files":          {version + ".zip", archive(t, nil)},
		"an archive that unpacks to a lot":  {version + ".zip", bomb(t, folder+"a")},
		"no archive":                        {version + ".zip", noise(4000)},
		"the information of another":        {version + ".info", []byte(`{"Version":"v1.0.1"}`)},
		"information that is none":          {version + ".info", []byte(`{"Version":"../../x"}`)},
		"a go.mod that is none":             {version + ".mod", []byte("module \"example.com\n")},
		"a list of what are no versions":    {"example.com/!big/@v/list", []byte("latest\n")},
		"a latest that is no version":       {"example.com/!big/@latest", []byte(`{"Version":"main"}`)},
		"a branch that is another module's": {"example.com/!big/@v/main.info", []byte(`{"Version":"v2.0.0"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, t.TempDir(), settings(), with(good, lie.path, lie.body), good, nil, func(t *testing.T, w *world) {
				w.want(t, "/go/"+lie.path, good[lie.path])
				if len(w.first.Log()) == 0 {
					t.Error("the proxy that lies was not asked: this test shows nothing")
				}
			})
		})
	}
}

func TestRequestsThatAskNobody(t *testing.T) {
	s := settings()
	s.Private, s.NoSum = "*.corp.example.com,example.com/secret", "*.corp.example.com"
	good := proxy(t)
	for name, path := range map[string]string{
		"a private module":                    "git.corp.example.com/x/@v/list",
		"a private module's archive":          "git.corp.example.com/x/@v/v1.0.0.zip",
		"a private module with capitals":      "git.corp.example.com/!x/@latest",
		"what is below a private module":      "example.com/secret/part/@v/v1.0.0.mod",
		"a private module's checksum":         "sumdb/sum.example.com/lookup/git.corp.example.com/x@v1.0.0",
		"up":                                  "example.com/../../x/@v/list",
		"up, escaped":                         "example.com/%2e%2e/x/@v/list",
		"a slash, escaped":                    "example.com%2fx/@v/list",
		"a capital without its sign":          "example.com/Big/@v/list",
		"no module":                           "@v/list",
		"no file":                             "example.com/x/@v/",
		"another file":                        "example.com/x/@v/v1.0.0.exe",
		"an archive of a branch":              "example.com/x/@v/main.zip",
		"a version that the path cannot have": "example.com/x/@v/v2.0.0.zip",
		"a version that leads out":            "example.com/x/@v/..%5c..%5cv1.0.0.zip",
		"a path that is too long":             "example.com/" + strings.Repeat("x", 1100) + "/@v/list",
		"a tile that is none":                 "sumdb/sum.example.com/tile/8/0/../x",
		"a database with a query in it":       "sumdb/sum.example.com%3fx/latest",
		"a lookup of what is no module":       "sumdb/sum.example.com/lookup/..@v1.0.0",
	} {
		t.Run(name, func(t *testing.T) {
			in(t, t.TempDir(), s, good, good, nil, func(t *testing.T, w *world) {
				if r := w.get("/go/" + path); r.Code != http.StatusNotFound || w.requests() != 0 {
					t.Errorf("got %d %s and %d requests, want 404 and none", r.Code, r.Body, w.requests())
				}
			})
		})
	}
}

// database is a checksum database for what a proxy has, and its key.
func database(t *testing.T, of files) (http.Handler, string) {
	t.Helper()
	secret, key, err := note.GenerateKey(nil, "sum.example.com")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.zip"), of[version+".zip"], 0o600); err != nil {
		t.Fatal(err)
	}
	zip, err := dirhash.HashZip(filepath.Join(dir, "m.zip"), dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), of[version+".mod"], 0o600); err != nil {
		t.Fatal(err)
	}
	mod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, "go.mod")) })
	if err != nil {
		t.Fatal(err)
	}
	const name = "example.com/Big v1.0.0"
	return sumdb.NewServer(sumdb.NewTestServer(secret, func(_, vers string) ([]byte, error) {
		return []byte(name + " " + zip + "\n" + name + "/go.mod " + mod + "\n"), nil
	})), key
}

func TestWhatTheDatabaseSignsForIsProved(t *testing.T) {
	good := proxy(t)
	sums, key := database(t, good)
	evil := with(good, version+".zip", archive(t, map[string][]byte{"example.com/Big@v1.0.0/evil.go": []byte("package evil")}))
	evil[version+".mod"] = []byte("module example.com/Evil\n")
	keyed := settings()
	keyed.SumDB = key
	named := settings()
	named.SumDB = "sum.example.com"
	none := http.NotFoundHandler()
	for _, path := range []string{version + ".zip", version + ".mod"} {
		for name, tt := range map[string]struct {
			settings      gomod.Settings
			first, second files
			sums          http.Handler
			fault         faultnet.Fault // of the database
			want          []byte         // nil: refused
		}{
			"the first proxy lies": {keyed, evil, good, sums, faultnet.Fault{}, good[path]},
			"both lie":             {keyed, evil, evil, sums, faultnet.Fault{}, nil},
			"the database hangs: the sender is believed": {keyed, good, good, sums, faultnet.Hang(), good[path]},
			"the database is spoiled: so it is":          {keyed, good, good, sums, faultnet.WrongByte(), good[path]},
			"nobody knows its key: so it is":             {named, evil, good, sums, faultnet.Fault{}, evil[path]},
			"it does not know the module: so it is":      {keyed, good, good, none, faultnet.Fault{}, good[path]},
		} {
			t.Run(filepath.Ext(path)+": "+name, func(t *testing.T) {
				in(t, t.TempDir(), tt.settings, tt.first, tt.second, tt.sums, func(t *testing.T, w *world) {
					w.sums.Play(faultnet.Always(tt.fault))
					began := time.Now()
					if tt.want != nil {
						w.want(t, "/go/"+path, tt.want)
					} else if r := w.get("/go/" + path); r.Code != http.StatusBadGateway {
						t.Errorf("got %d %.100q, want 502", r.Code, r.Body)
					}
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("took %v", took)
					}
				})
			})
		}
	}
}

func TestTheDatabaseIsServed(t *testing.T) {
	good := proxy(t)
	sums, key := database(t, good)
	s := settings()
	s.SumDB = key
	in(t, t.TempDir(), s, good, good, sums, func(t *testing.T, w *world) {
		if r := w.get("/go/sumdb/sum.example.com/supported"); r.Code != http.StatusOK {
			t.Errorf("supported: got %d, want 200", r.Code)
		}
		if r := w.get("/go/sumdb/sum.example.com/lookup/example.com/!big@v1.0.0"); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), "example.com/Big v1.0.0 h1:") {
			t.Errorf("lookup: got %d %s, want the hash", r.Code, r.Body)
		}
		if r := w.get("/go/sumdb/other.example.com/supported"); r.Code != http.StatusNotFound {
			t.Errorf("another database: got %d, want 404", r.Code)
		}
	})
}

func TestWhatWasSeenFirstStays(t *testing.T) {
	good := proxy(t)
	again := func(files map[string][]byte) []byte { return archive(t, files) }
	const folder = "example.com/Big@v1.0.0/"
	same := map[string][]byte{folder + "go.mod": good[version+".mod"], folder + "noise.bin": noise(64 << 10)}
	other := map[string][]byte{folder + "go.mod": good[version+".mod"], folder + "noise.bin": noise(64 << 9)}
	packed := again(same)
	for bytes.Equal(packed, good[version+".zip"]) { // a map has no order
		packed = again(same)
	}
	for name, tt := range map[string]struct {
		body []byte
		code int
	}{
		"packed in another way it is the same": {packed, http.StatusOK},
		"other content is refused":             {again(other), http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in(t, dir, settings(), good, good, nil, func(t *testing.T, w *world) {
				w.want(t, "/go/"+version+".zip", good[version+".zip"])
			})
			// The store made room: the name is there, and the content is gone.
			if err := os.RemoveAll(filepath.Join(dir, "blobs")); err != nil {
				t.Fatal(err)
			}
			changed := with(good, version+".zip", tt.body)
			in(t, dir, settings(), changed, changed, nil, func(t *testing.T, w *world) {
				if r := w.get("/go/" + version + ".zip"); r.Code != tt.code {
					t.Errorf("got %d %.200q, want %d", r.Code, r.Body, tt.code)
				}
			})
		})
	}
}

func TestALoginGoesToItsOwnHostAlone(t *testing.T) {
	good := proxy(t)
	in(t, t.TempDir(), settings(), files{}, good, nil, func(t *testing.T, w *world) {
		w.want(t, "/go/"+version+".mod", good[version+".mod"])
		for _, q := range w.first.Log() {
			if got := q.Header.Get("Authorization"); got != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:password")) {
				t.Errorf("first: got Authorization %q, want its login", got)
			}
		}
		for _, q := range w.second.Log() {
			if got := q.Header.Get("Authorization"); got != "" {
				t.Errorf("second: got Authorization %q, want none", got)
			}
		}
		w.first.Play(faultnet.Always(faultnet.Status(500)))
		w.second.Play(faultnet.Always(faultnet.Status(500)))
		if r := w.get("/go/example.com/x/@v/list"); strings.Contains(r.Body.String(), "password") {
			t.Errorf("got %s, with a password in it", r.Body)
		}
	})
	for _, bad := range []string{"https://user:password@", "://user:password@x", "ftp://user:password@x.example.com", "https://user:password@x.example.com?y"} {
		if _, err := gomod.New(gomod.Settings{Proxies: []string{bad}}, nil); err == nil || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: got error %v, want one without the password", bad, err)
		}
	}
}

func TestProxies(t *testing.T) {
	for value, want := range map[string][]string{
		"":                             nil,
		"direct":                       nil,
		"off":                          nil,
		"https://a.example.com,direct": {"https://a.example.com"},
		"https://a.example.com|https://b.example.com/x,off":     {"https://a.example.com", "https://b.example.com/x"},
		" https://a.example.com , direct,https://b.example.com": {"https://a.example.com"},
	} {
		if got := gomod.Proxies(value); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
