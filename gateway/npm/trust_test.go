package npm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/npm"
)

// A rig is a gateway over a registry and one that stands in for it, in a bubble
// of fake time.
type rig struct {
	t              *testing.T
	origin, mirror *faultnet.Transport
	gateway        *gateway.Mirror
}

// bubble runs f with a rig that keeps what it fetches in dir.
func bubble(t *testing.T, dir string, s npm.Settings, atOrigin, atMirror http.Handler, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, origin: &faultnet.Transport{Backend: atOrigin}, mirror: &faultnet.Transport{Backend: atMirror}}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		fetcher := &fetch.Fetcher{Base: faultnet.Hosts{ecotest.OriginHost: r.origin, ecotest.MirrorHost: r.mirror}}
		p := protocol(t, s, fetcher.Transport())
		r.gateway = &gateway.Mirror{Ecosystem: p, Store: store, Fetcher: fetcher, Upstreams: p.Upstreams}
		r.gateway.Start(context.Background())
		defer func() {
			r.gateway.Close()
			r.origin.Close()
			r.mirror.Close()
			store.Close()
			synctest.Wait()
		}()
		f(r)
	})
}

func (r *rig) do(method, path string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.gateway.ServeHTTP(w, req)
	return w
}

func (r *rig) get(path string, header ...string) *httptest.ResponseRecorder {
	return r.do(http.MethodGet, path, header...)
}

func (r *rig) want(w *httptest.ResponseRecorder, code int) *httptest.ResponseRecorder {
	r.t.Helper()
	if w.Code != code {
		r.t.Errorf("got %d %.300s, want %d", w.Code, w.Body, code)
	}
	return w
}

// silent checks that nobody asked upstream.
func (r *rig) silent(up *faultnet.Transport) {
	r.t.Helper()
	if log := up.Log(); len(log) != 0 {
		r.t.Errorf("got %v, want nobody asked", log)
	}
}

// archiveOf is where a document leads for a version.
func archiveOf(t *testing.T, body []byte, version string) (tarball, integrity string) {
	t.Helper()
	var doc struct {
		Versions map[string]struct {
			Dist struct{ Tarball, Integrity string }
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	d := doc.Versions[version].Dist
	return d.Tarball, d.Integrity
}

func TestPathsThatAreNone(t *testing.T) {
	for _, path := range []string{
		"/npm/..", "/npm/%2e%2e", "/npm/%2e%2e/x", "/npm/left-pad/..", "/npm/left-pad/%2e%2e%2fx", "/npm/@types", "/npm/@types%2f", "/npm/@types%2f..",
		"/npm/@types%2f%2e%2e%2fx", "/npm/@%2f/x", "/npm/a%2fb", "/npm/left-pad%00", "/npm/left-pad%0a", "/npm/left%20pad", "/npm/left-pad%5cx", "/npm/left-pad%3fx",
		"/npm/left-pad/-/right-pad-1.0.0.tgz", "/npm/left-pad/-/left-pad-1.0.0.tar", "/npm/left-pad/-/left-pad-..%2fx.tgz", "/npm/left-pad/-/../left-pad-1.0.0.tgz",
		"/npm/left-pad/-/left-pad-1.0.0.tgz/x", "/npm/left-pad/1.0.0/x", "/npm//left-pad", "/npm/http:%2f%2felsewhere.example.com", "/npm/" + strings.Repeat("a", 300),
		"/npm/-/all", "/npm/-/v1/search", "/npm/-/whoami", "/npm/-/npm/v1/security/audits", "/npm/-/package/left-pad", "/npm/-/kept/..", "/npm/%zz",
		"/left-pad", "/left-pad/1.0.0", "/v2/", "/", "/other/left-pad/-/left-pad-1.0.0.tgz",
	} {
		t.Run(path, func(t *testing.T) {
			bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
				req := httptest.NewRequest(http.MethodGet, "/", nil)
				if err := req.URL.UnmarshalBinary([]byte(path)); err != nil {
					return // net/http refuses it
				}
				w := httptest.NewRecorder()
				r.gateway.ServeHTTP(w, req)
				if path != "/" {
					r.want(w, http.StatusNotFound)
				}
				r.silent(r.origin)
				r.silent(r.mirror)
			})
		})
	}
}

func TestPathsOfArchives(t *testing.T) {
	for path, want := range map[string][]byte{
		"/npm/left-pad/-/left-pad-1.1.0.tgz":         shelf().packages["left-pad"]["1.1.0"],
		"/npm/-/kept/left-pad/-/left-pad-1.1.0.tgz":  shelf().packages["left-pad"]["1.1.0"],
		"/left-pad/-/left-pad-1.1.0.tgz":             shelf().packages["left-pad"]["1.1.0"],
		"/npm/@types/node/-/node-1.0.0.tgz":          shelf().packages["@types/node"]["1.0.0"],
		"/npm/@types%2fnode/-/node-1.0.0.tgz":        shelf().packages["@types/node"]["1.0.0"],
		"/npm/@types%2Fnode/-/@types/node-1.0.0.tgz": shelf().packages["@types/node"]["1.0.0"],
		"/@types/node/-/node-1.0.0.tgz":              shelf().packages["@types/node"]["1.0.0"],
	} {
		t.Run(path, func(t *testing.T) {
			if !npm.Serves(path) {
				t.Error("it is not known as one of this protocol")
			}
			bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
				if w := r.want(r.get(path), http.StatusOK); !bytes.Equal(w.Body.Bytes(), want) {
					t.Errorf("got %d bytes, want the %d of the archive", w.Body.Len(), len(want))
				}
			})
		})
	}
}

// A document leads to the gateway, by the name that the client has for it.
func TestDocumentsLeadToTheGateway(t *testing.T) {
	elsewhere := shelf()
	elsewhere.change = func(dist map[string]any) {
		dist["tarball"] = strings.Replace(dist["tarball"].(string), origin+"left-pad/-/", "https://cdn.example.com/", 1)
	}
	ownHost := shelf()
	ownHost.change = func(dist map[string]any) { dist["tarball"] = "https://" + ecotest.OriginHost + "/download/1" }
	for _, tt := range []struct {
		name, path, host string
		at               registry
		want, agent      string
	}{
		{"by its address", "/npm/left-pad", "127.0.0.1:5100", shelf(), "http://127.0.0.1:5100/npm/left-pad/-/left-pad-1.0.0.tgz", ""},
		{"by its name", "/npm/left-pad", "host.docker.internal:5100", shelf(), "http://host.docker.internal:5100/npm/left-pad/-/left-pad-1.0.0.tgz", ""},
		{"but for npm, which does so itself", "/npm/-/kept/left-pad", "127.0.0.1:5100", shelf(), origin + "left-pad/-/left-pad-1.0.0.tgz", "npm/10.8.2 node/v20.19.0 linux x64 workspaces/false"},
		{"but not for others that read npm's settings", "/npm/-/kept/left-pad", "gateway", shelf(), "http://gateway/npm/left-pad/-/left-pad-1.0.0.tgz", "pnpm/9.15.9 npm/? node/v20.19.0 linux x64"},
		{"also from another place of the registry", "/npm/left-pad", "gateway", ownHost, "http://gateway/npm/left-pad/-/left-pad-1.0.0.tgz", ""},
		{"but not from another host", "/npm/left-pad", "gateway", elsewhere, "https://cdn.example.com/left-pad-1.0.0.tgz", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, t.TempDir(), settings(), tt.at, tt.at, func(r *rig) {
				req := httptest.NewRequest(http.MethodGet, tt.path, nil)
				req.Host = tt.host
				req.Header.Set("User-Agent", tt.agent)
				w := httptest.NewRecorder()
				r.gateway.ServeHTTP(w, req)
				if got, _ := archiveOf(t, r.want(w, http.StatusOK).Body.Bytes(), "1.0.0"); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
	for _, host := range []string{"", "a b", "evil/x", `"`, "a:b", "user@host"} {
		t.Run("a host that is none: "+host, func(t *testing.T) {
			bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
				req := httptest.NewRequest(http.MethodGet, "/npm/left-pad", nil)
				req.Host = host
				w := httptest.NewRecorder()
				r.gateway.ServeHTTP(w, req)
				r.want(w, http.StatusBadRequest)
			})
		})
	}
}

// What is private is never asked of a mirror, whatever the registry does: else
// whoever takes the name there gets into the build.
func TestPrivateNames(t *testing.T) {
	own := registry{base: origin, packages: map[string]map[string][]byte{
		"@acme/core": {"1.0.0": noise(7, 3000)}, "acme-tools": {"1.0.0": noise(8, 3000)},
	}}
	s := settings()
	s.Private = []string{"@acme", "acme-*"}
	s.Others = []string{"@other"}
	for _, path := range []string{"/npm/@acme%2fcore", "/npm/@acme/core/-/core-1.0.0.tgz", "/npm/@acme%2fcore/1.0.0", "/npm/acme-tools", "/npm/acme-tools/-/acme-tools-1.0.0.tgz"} {
		for _, f := range []faultnet.Fault{{}, faultnet.Refuse(), faultnet.Hang(), faultnet.Status(404), faultnet.Status(503), faultnet.OKHTML(), faultnet.WrongByte()} {
			t.Run(path+", "+f.String(), func(t *testing.T) {
				bubble(t, t.TempDir(), s, own, own, func(r *rig) {
					r.origin.Play(faultnet.Always(f))
					if w := r.get(path); (w.Code == http.StatusOK) != (f.String() == faultnet.Fault{}.String()) {
						t.Errorf("got %d %.200s", w.Code, w.Body)
					}
					r.silent(r.mirror)
				})
			})
		}
	}
	t.Run("a scope with a registry of its own", func(t *testing.T) {
		bubble(t, t.TempDir(), s, own, own, func(r *rig) {
			r.want(r.get("/npm/@other%2fcore"), http.StatusForbidden)
			r.want(r.get("/npm/@other/core/-/core-1.0.0.tgz", "Pacote-Integrity", sri(nil)), http.StatusForbidden)
			r.silent(r.origin)
			r.silent(r.mirror)
		})
	})
}

// forged is the shelf with other bytes, and documents that say so.
func forged() registry {
	r := shelf()
	r.packages["left-pad"]["1.0.0"] = noise(99, 64<<10)
	return r
}

// A mirror that says another hash of a version than the registry did is not
// believed; of what the registry never spoke of, it is.
func TestAMirrorThatLies(t *testing.T) {
	bare := shelf()
	bare.change = func(dist map[string]any) { delete(dist, "integrity"); delete(dist, "shasum") }
	newer := shelf()
	newer.packages["left-pad"]["1.2.0"] = noise(12, 3000)
	for _, tt := range []struct {
		name    string
		mirror  registry
		version string // that is looked for in what is served
		want    string
	}{
		{"says another hash", forged(), "1.0.0", sri(shelf().packages["left-pad"]["1.0.0"])},
		{"says no hash any more", bare, "1.0.0", sri(shelf().packages["left-pad"]["1.0.0"])},
		{"has one version more", newer, "1.2.0", sri(newer.packages["left-pad"]["1.2.0"])},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			bubble(t, dir, settings(), shelf(), tt.mirror, func(r *rig) { r.want(r.get("/npm/left-pad"), http.StatusOK) })
			for range 2 { // what the mirror said first does not make it right
				bubble(t, dir, settings(), shelf(), tt.mirror, func(r *rig) {
					time.Sleep(time.Hour) // fake time
					r.origin.Play(faultnet.Always(faultnet.Refuse()))
					w := r.want(r.get("/npm/left-pad"), http.StatusOK)
					if _, got := archiveOf(t, w.Body.Bytes(), tt.version); got != tt.want {
						t.Errorf("got the hash %s, want %s", got, tt.want)
					}
				})
			}
		})
	}
}

// The registry itself is believed: what a mirror said in its place is forgotten.
func TestTheRegistryIsBelieved(t *testing.T) {
	dir := t.TempDir()
	path := "/npm/left-pad/-/left-pad-1.0.0.tgz"
	bubble(t, dir, settings(), shelf(), forged(), func(r *rig) {
		r.origin.Play(faultnet.Always(faultnet.Refuse()))
		r.want(r.get("/npm/left-pad"), http.StatusOK)
		r.want(r.get(path), http.StatusOK)
	})
	bubble(t, dir, settings(), shelf(), forged(), func(r *rig) {
		time.Sleep(time.Hour) // fake time
		r.want(r.get("/npm/left-pad"), http.StatusOK)
		if w := r.want(r.get(path), http.StatusOK); !bytes.Equal(w.Body.Bytes(), shelf().packages["left-pad"]["1.0.0"]) {
			t.Error("got the bytes of the mirror, want those of the registry")
		}
	})
}

// What one registry has does not answer for another, and what a mirror said does
// not count where that mirror is not trusted.
func TestRegistriesDoNotMix(t *testing.T) {
	dir := t.TempDir()
	path := "/npm/left-pad/-/left-pad-1.0.0.tgz"
	bubble(t, dir, settings(), shelf(), forged(), func(r *rig) {
		r.origin.Play(faultnet.Always(faultnet.Refuse()))
		r.want(r.get("/npm/left-pad"), http.StatusOK)
		r.want(r.get(path), http.StatusOK)
	})
	for name, s := range map[string]npm.Settings{
		"another registry":        {Registry: "https://" + ecotest.OriginHost + "/another/"},
		"without the mirror":      {Registry: origin},
		"a mirror somewhere else": {Registry: origin, Mirrors: []string{"https://" + ecotest.MirrorHost + "/somewhere/"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dir, s, shelf(), shelf(), func(r *rig) {
				for _, up := range []*faultnet.Transport{r.origin, r.mirror} {
					up.Play(faultnet.Always(faultnet.Refuse()))
				}
				r.want(r.get("/npm/left-pad"), http.StatusBadGateway)
				r.want(r.get(path), http.StatusBadGateway)
			})
		})
	}
}

// A client may say which bytes it wants, and gets no others; nobody else is
// concerned.
func TestAClientThatNamesAHash(t *testing.T) {
	path := "/npm/left-pad/-/left-pad-1.0.0.tgz"
	good := shelf().packages["left-pad"]["1.0.0"]
	bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
		// No other try helps, and npm makes none.
		if w := r.want(r.get(path, "Pacote-Integrity", sri([]byte("others"))), http.StatusUnprocessableEntity); !strings.Contains(w.Body.String(), "integrity checksum failed") {
			t.Errorf("got %s", w.Body)
		}
		time.Sleep(10 * time.Minute) // fake time: until the breakers try again
		for _, header := range []string{sri(good), "sha512-nonsense", ""} {
			if w := r.want(r.get(path, "Pacote-Integrity", header), http.StatusOK); !bytes.Equal(w.Body.Bytes(), good) {
				t.Errorf("%q: got other bytes", header)
			}
		}
	})
}

// An archive of which nobody has spoken is looked up first, by its version alone
// where the registry answers that.
func TestLookingUpAHash(t *testing.T) {
	whole := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, "/left-pad/1.0.0") {
			http.Error(w, `{"error":"no such thing"}`, http.StatusMethodNotAllowed)
			return
		}
		shelf().ServeHTTP(w, q)
	})
	for name, tt := range map[string]struct {
		at   http.Handler
		want []string
	}{
		"by its version":  {shelf(), []string{"/registry/left-pad/1.0.0"}},
		"by its document": {whole, []string{"/registry/left-pad/1.0.0", "/registry/left-pad"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, t.TempDir(), npm.Settings{Registry: origin}, tt.at, nil, func(r *rig) {
				r.want(r.get("/npm/left-pad/-/left-pad-1.0.0.tgz"), http.StatusOK)
				r.want(r.get("/npm/left-pad/-/left-pad-1.0.0.tgz"), http.StatusOK)
				var got []string
				for _, q := range r.origin.Log() {
					got = append(got, q.Path)
				}
				if want := append(tt.want, "/registry/left-pad/-/left-pad-1.0.0.tgz"); strings.Join(got, " ") != strings.Join(want, " ") {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
	t.Run("that nobody names", func(t *testing.T) {
		bare := shelf()
		bare.change = func(dist map[string]any) { delete(dist, "integrity"); delete(dist, "shasum") }
		bubble(t, t.TempDir(), npm.Settings{Registry: origin}, bare, nil, func(r *rig) {
			r.want(r.get("/npm/left-pad/-/left-pad-1.0.0.tgz"), http.StatusBadGateway)
		})
	})
	t.Run("of a version that is none", func(t *testing.T) {
		bubble(t, t.TempDir(), npm.Settings{Registry: origin}, shelf(), nil, func(r *rig) {
			r.want(r.get("/npm/left-pad/-/left-pad-7.0.0.tgz"), http.StatusNotFound)
		})
	})
}

// An old archive has no other hash, and is proved by that one.
func TestOldHashes(t *testing.T) {
	old := shelf()
	old.change = func(dist map[string]any) { delete(dist, "integrity") }
	bubble(t, t.TempDir(), settings(), old, old, func(r *rig) {
		r.mirror.Play(faultnet.Script{{Path: regexp.MustCompile(`tgz$`), Fault: faultnet.WrongByte()}})
		w := r.want(r.get("/npm/left-pad/-/left-pad-1.0.0.tgz"), http.StatusOK)
		if !bytes.Equal(w.Body.Bytes(), old.packages["left-pad"]["1.0.0"]) {
			t.Error("got the spoiled bytes")
		}
		if len(r.mirror.Log()) == 0 {
			t.Error("the mirror was not asked: this test shows nothing")
		}
	})
}

// Who asks for a new answer gets one, and nobody else while the last is fresh.
func TestFreshAnswers(t *testing.T) {
	bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
		for i, header := range [][]string{nil, nil, {"Cache-Control", "max-age=0, no-cache"}, nil} {
			r.want(r.get("/npm/left-pad", header...), http.StatusOK)
			if got, want := len(r.origin.Log()), 1+i/2; got != want && i != 3 {
				t.Errorf("request %d: got %d upstream, want %d", i, got, want)
			}
		}
		if got := len(r.origin.Log()); got != 2 {
			t.Errorf("got %d requests upstream, want 2", got)
		}
	})
}

// Answers that cannot be what was asked for are failures of who gave them.
func TestAnswersThatAreNone(t *testing.T) {
	for name, body := range map[string]string{
		"another package":   `{"name":"right-pad","versions":{}}`,
		"no name":           `{"versions":{}}`,
		"no JSON":           `all is well`,
		"a list":            `[]`,
		"half a document":   `{"name":"left-pad","versions":{`,
		"names of a kind":   `{"name":["left-pad"]}`,
		"a page, as JSON":   `<!DOCTYPE html><html>down</html>`,
		"nothing":           ``,
		"nested too deeply": strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			lying := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(body))
			})
			bubble(t, t.TempDir(), settings(), lying, shelf(), func(r *rig) {
				w := r.want(r.get("/npm/left-pad"), http.StatusOK)
				if _, got := archiveOf(t, w.Body.Bytes(), "1.0.0"); got == "" {
					t.Errorf("got %.200s, want the document of who has it", w.Body)
				}
			})
			bubble(t, t.TempDir(), settings(), lying, lying, func(r *rig) { r.want(r.get("/npm/left-pad"), http.StatusBadGateway) })
		})
	}
}

func TestOnlyReading(t *testing.T) {
	bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
		for _, q := range [][2]string{
			{http.MethodPost, "/npm/-/npm/v1/security/advisories/bulk"}, {http.MethodPost, "/npm/-/npm/v1/security/audits/quick"},
			{http.MethodPut, "/npm/-/user/org.couchdb.user:somebody"}, {http.MethodPost, "/npm/-/v1/login"}, {http.MethodPut, "/npm/left-pad"},
			{http.MethodDelete, "/npm/left-pad/-rev/1"}, {http.MethodPut, "/npm/-/package/left-pad/dist-tags/latest"},
		} {
			w := r.want(r.do(q[0], q[1], "Authorization", "Bearer secret"), http.StatusMethodNotAllowed)
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: got %.100s, want JSON", q[1], w.Body)
			}
		}
		r.silent(r.origin)
		r.silent(r.mirror)
		r.want(r.get("/npm/"), http.StatusOK)
		r.want(r.get("/npm/-/ping"), http.StatusOK)
	})
}

// A login that a client sends stays here.
func TestLoginsStayHere(t *testing.T) {
	bubble(t, t.TempDir(), settings(), shelf(), shelf(), func(r *rig) {
		r.want(r.get("/npm/left-pad", "Authorization", "Bearer secret", "Cookie", "a=b", "Npm-Otp", "123456"), http.StatusOK)
		for _, q := range append(r.origin.Log(), r.mirror.Log()...) {
			for _, name := range []string{"Authorization", "Cookie", "Npm-Otp"} {
				if v := q.Header.Get(name); v != "" {
					t.Errorf("%s %s went out with %s", q.Method, q.Path, name)
				}
			}
		}
	})
}

func TestSettingsThatCannotBeUsed(t *testing.T) {
	for name, s := range map[string]npm.Settings{
		"no host":               {Registry: "https:///x"},
		"no scheme":             {Registry: "registry.example.com"},
		"another scheme":        {Registry: "ftp://registry.example.com"},
		"a login":               {Registry: "https://somebody:hunter2@registry.example.com"},
		"a query":               {Registry: "https://registry.example.com/?x"},
		"a mirror with a login": {Registry: origin, Mirrors: []string{"https://somebody:hunter2@mirror.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := npm.New(s, nil)
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error without the password", err)
			}
		})
	}
	bubble(t, t.TempDir(), npm.Settings{}, nil, nil, func(r *rig) {
		r.want(r.get("/npm/left-pad"), http.StatusForbidden)
		r.want(r.get("/npm/left-pad/-/left-pad-1.0.0.tgz"), http.StatusForbidden)
	})
}
