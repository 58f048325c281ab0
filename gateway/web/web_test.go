package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/web"
)

// A server has files, each with a date, and one page that says it is away.
type server map[string]file

type file struct{ body, modified, etag, media string }

func (s server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s[r.URL.RequestURI()]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.media)
	if f.etag != "" {
		h.Set("ETag", f.etag)
	}
	when, _ := http.ParseTime(f.modified)
	http.ServeContent(w, r, "", when, strings.NewReader(f.body))
}

const monday, tuesday = "Mon, 02 Feb 2026 10:00:00 GMT", "Tue, 03 Feb 2026 10:00:00 GMT"

// A world is a web server, a mirror of it, and a gateway before them.
type world struct {
	origin, mirror *faultnet.Transport
	gateway        *gateway.Mirror
}

func in(t *testing.T, dir string, origin, mirror http.Handler, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{origin: &faultnet.Transport{Backend: origin}, mirror: &faultnet.Transport{Backend: mirror}}
		sites, err := gateway.NewSites([]gateway.Site{{Place: "files.example.com/get", Mirrors: []string{"https://copy.example.com/kept"}}})
		if err == nil {
			err = sites.Allow("other.example.com")
		}
		if err != nil {
			t.Fatal(err)
		}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.gateway = &gateway.Mirror{Ecosystem: web.Protocol{}, Store: store, Upstreams: sites.Upstreams, Fetcher: &fetch.Fetcher{
			Base: faultnet.Hosts{"files.example.com": w.origin, "other.example.com": w.origin, "copy.example.com": w.mirror}}}
		w.gateway.Start(context.Background())
		defer func() {
			w.gateway.Close()
			w.origin.Close()
			w.mirror.Close()
			synctest.Wait()
			store.Close()
		}()
		f(t, w)
	})
}

func (w *world) get(address string, d digest.Digest) *httptest.ResponseRecorder {
	synctest.Wait() // the store has what came
	at, ok := web.Address("gateway.example.com", address, d)
	if !ok {
		at = "http://gateway.example.com/web/refused"
	}
	r := httptest.NewRecorder()
	w.gateway.ServeHTTP(r, httptest.NewRequest(http.MethodGet, strings.TrimPrefix(at, "http://gateway.example.com"), nil))
	return r
}

func (w *world) want(t *testing.T, r *httptest.ResponseRecorder, code int, body string) {
	t.Helper()
	if r.Code != code || code == http.StatusOK && r.Body.String() != body {
		t.Errorf("got %d %.200q, want %d %.200q", r.Code, r.Body, code, body)
	}
}

const at = "https://files.example.com/get/tool-1.0.tar.gz"

func TestAFileIsWhatItsServerHasNow(t *testing.T) {
	origin := server{"/get/tool-1.0.tar.gz": {"one", monday, `"1"`, "application/gzip"}}
	in(t, t.TempDir(), origin, server{}, func(t *testing.T, w *world) {
		r := w.get(at, "")
		w.want(t, r, 200, "one")
		if got := r.Header().Get("Last-Modified"); got != monday {
			t.Errorf("BuildKit dates the file by this: got %q, want %q", got, monday)
		}
		w.want(t, w.get(at, ""), 200, "one")
		origin["/get/tool-1.0.tar.gz"] = file{"two", tuesday, `"2"`, "application/gzip"}
		r = w.get(at, "")
		w.want(t, r, 200, "two")
		if got := r.Header().Get("Last-Modified"); got != tuesday {
			t.Errorf("got %q, want %q", got, tuesday)
		}
		delete(origin, "/get/tool-1.0.tar.gz")
		w.want(t, w.get(at, ""), 404, "")
		gets := w.origin.Log().Where(func(q faultnet.Request) bool { return q.Method == http.MethodGet && q.Status == 200 })
		if len(gets) != 2 {
			t.Errorf("the file was fetched %d times, want 2: what did not change is in the store", len(gets))
		}
	})
}

func TestAnOutageIsGoneRound(t *testing.T) {
	body := strings.Repeat("content ", 40<<10)
	origin := server{"/get/tool-1.0.tar.gz": {body, monday, "", "application/gzip"}}
	mirror := server{"/kept/tool-1.0.tar.gz": {body, tuesday, "", "application/gzip"}}
	for _, tt := range []struct {
		name  string
		fault faultnet.Fault
	}{
		{"refuses", faultnet.Refuse()},
		{"hangs", faultnet.Hang()},
		{"stalls", faultnet.HangAfter(1000)},
		{"is cut off", faultnet.CutAfter(1000)},
		{"503", faultnet.Status(503)},
		{"429", faultnet.TooMany(time.Hour)},
		{"400 with a page", faultnet.StatusHTML(400, "")},
		{"200 with a page", faultnet.OKHTML()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, d := range []digest.Digest{"", digest.FromString(body)} {
				dir := t.TempDir()
				in(t, dir, origin, mirror, func(t *testing.T, w *world) {
					w.origin.Play(faultnet.Always(tt.fault))
					w.want(t, w.get(at, d), 200, body)
				})
				in(t, dir, origin, mirror, func(t *testing.T, w *world) {
					w.origin.Play(faultnet.Always(tt.fault))
					w.mirror.Play(faultnet.Always(tt.fault))
					r := w.get(at, d)
					w.want(t, r, 200, body)
					if stale := r.Header().Get("X-Outlast-Stale") != ""; stale == (d != "") {
						t.Errorf("digest %q: stale is %v: what a digest proves is never old, all else is", d, stale)
					}
				})
			}
			in(t, t.TempDir(), origin, nil, func(t *testing.T, w *world) {
				w.mirror.Play(faultnet.Always(faultnet.Refuse()))
				w.origin.Play(faultnet.Script{{On: faultnet.First(2), Fault: tt.fault}})
				if tt.name != "429" { // it asks for an hour
					w.want(t, w.get(at, ""), 200, body)
				}
			})
		})
	}
}

func TestAPageIsNoArchive(t *testing.T) {
	page := file{"<!DOCTYPE html><title>away</title>", "", "", "text/html"}
	for _, tt := range []struct {
		path string
		code int
	}{
		{"/tool-1.0.tar.gz", 502}, {"/install.sh", 502}, {"/key.asc", 502}, {"/tool.deb?token=1", 502},
		{"/", 200}, {"/index.html", 200}, {"/manual.php?page=2", 200}, {"/kubectl", 200}, {"/v1.30", 200},
	} {
		in(t, t.TempDir(), server{tt.path: page}, nil, func(t *testing.T, w *world) {
			w.want(t, w.get("https://other.example.com"+tt.path, ""), tt.code, page.body)
		})
	}
	t.Run("what was none before is none now", func(t *testing.T) {
		origin := server{"/kubectl": {"\x7fELF", monday, `"1"`, "application/octet-stream"}}
		in(t, t.TempDir(), origin, nil, func(t *testing.T, w *world) {
			w.want(t, w.get("https://other.example.com/kubectl", ""), 200, "\x7fELF")
			origin["/kubectl"] = page
			w.want(t, w.get("https://other.example.com/kubectl", ""), 200, "\x7fELF")
		})
	})
}

func TestADigestProvesWhoeverSends(t *testing.T) {
	lie := server{"/kept/tool-1.0.tar.gz": {"evil", monday, "", "application/gzip"}}
	origin := server{"/get/tool-1.0.tar.gz": {"good", monday, "", "application/gzip"}}
	in(t, t.TempDir(), origin, lie, func(t *testing.T, w *world) {
		w.want(t, w.get(at, digest.FromString("good")), 200, "good")
		w.want(t, w.get(at, digest.FromString("better")), 502, "")
	})
}

func TestAMirrorsDateChangesNoKey(t *testing.T) {
	origin := server{"/get/tool-1.0.tar.gz": {"one", monday, `"1"`, "application/gzip"}}
	mirror := server{"/kept/tool-1.0.tar.gz": {"one", tuesday, `"x"`, "application/gzip"}}
	in(t, t.TempDir(), origin, mirror, func(t *testing.T, w *world) {
		w.want(t, w.get(at, ""), 200, "one")
		w.origin.Play(faultnet.Always(faultnet.Refuse()))
		r := w.get(at, "")
		w.want(t, r, 200, "one")
		if got := r.Header().Get("Last-Modified"); got != monday {
			t.Errorf("got %q, want %q: the date is part of BuildKit's cache key", got, monday)
		}
	})
}

func TestAQueryIsAskedForAndKeptSecret(t *testing.T) {
	origin := server{"/a%20b.bin?sig=s3cret%2F": {"one", monday, "", "application/octet-stream"}}
	var named []string
	in(t, t.TempDir(), origin, nil, func(t *testing.T, w *world) {
		w.gateway.OnServe = func(s gateway.Served) { named = append(named, s.Asset.Key, s.Asset.Name) }
		w.want(t, w.get("https://other.example.com/a%20b.bin?sig=s3cret%2F", ""), 200, "one")
		w.want(t, w.get("https://other.example.com/a%20b.bin?sig=other", ""), 404, "")
	})
	if text := strings.Join(named, " "); strings.Contains(text, "s3cret") || text == "" {
		t.Errorf("a key or a name tells the query: %s", text)
	}
}

// A copy that is put together of two versions is worse than none.
func TestPartsOfTwoVersionsAreNotPutTogether(t *testing.T) {
	old, new := strings.Repeat("a", 600<<10), strings.Repeat("b", 600<<10)
	n := 0
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, etag := old, `"1"`
		if n++; n > 1 {
			body, etag = new, `"2"`
		}
		server{r.URL.RequestURI(): {body, monday, etag, "application/gzip"}}.ServeHTTP(w, r)
	})
	in(t, t.TempDir(), origin, nil, func(t *testing.T, w *world) {
		w.origin.Play(faultnet.Script{{On: faultnet.First(1), Fault: faultnet.CutAfter(300 << 10)}})
		r := w.get("https://other.example.com/tool.tar.gz", "")
		if got := r.Body.String(); got != new && r.Code == 200 {
			t.Errorf("got %d of %d bytes of the first version and %d of the second", strings.Count(got, "a"), len(got), strings.Count(got, "b"))
		}
	})
}

func TestAddress(t *testing.T) {
	d := digest.FromString("x")
	for _, tt := range []struct{ address, want string }{
		{"https://files.example.com/a.tgz", "http://127.0.0.1:80/web/-/https/files.example.com/a.tgz"},
		{"http://files.example.com:8080/a%2Fb%20c?x=1&y=%2F", "http://127.0.0.1:80/web/-/http/files.example.com:8080/a%2Fb%20c?x=1&y=%2F"},
		{"https://files.example.com/", "http://127.0.0.1:80/web/-/https/files.example.com/"},
		{"https://files.example.com/a//b", "http://127.0.0.1:80/web/-/https/files.example.com/a//b"},
		{"https://files.example.com", ""}, // an address without a path: its own server says what it is
		{"https://user:word@files.example.com/a", ""},
		{"https://files.example.com/a#b", ""},
		{"https://files.example.com/../a", ""},
		{"https://files.example.com/%2e%2e/a", ""},
		{"https://files.example.com/a%0d%0ab", ""},
		{`https://files.example.com/a%5cb`, ""},
		{"https://[fe80::1%25eth0]/a", ""},
		{"ftp://files.example.com/a", ""},
		{"https:files.example.com/a", ""},
		{"https://files.example.com/" + strings.Repeat("a", 9<<10), ""},
	} {
		if got, _ := web.Address("127.0.0.1:80", tt.address, ""); got != tt.want {
			t.Errorf("%.60s: got %q, want %q", tt.address, got, tt.want)
		}
	}
	if got, _ := web.Address("127.0.0.1:80", at, d); got != "http://127.0.0.1:80/web/"+d.String()+"/https/files.example.com/get/tool-1.0.tar.gz" {
		t.Errorf("got %q", got)
	}
}

func TestEcosystem(t *testing.T) {
	body := strings.Repeat("content ", 8<<10)
	origin, mirror := "/get/a.tar.gz", "/kept/a.tar.gz"
	backend := server{origin: {body, monday, `"1"`, "application/gzip"}, mirror: {body, monday, `"1"`, "application/gzip"}}
	ecotest.Run(t, ecotest.Subject{
		New:     func() gateway.Ecosystem { return web.Protocol{} },
		Backend: backend,
		Upstreams: func(t testing.TB, _ http.RoundTripper) func(string) []gateway.Upstream {
			sites, err := gateway.NewSites([]gateway.Site{{Place: ecotest.OriginHost + "/get", Mirrors: []string{"https://" + ecotest.MirrorHost + "/kept"}}})
			if err != nil {
				t.Fatal(err)
			}
			return sites.Upstreams
		},
		Whole: true,
		Fixed: "/web/" + digest.FromString(body).String() + "/https/" + ecotest.OriginHost + origin,
	})
}
