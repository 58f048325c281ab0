package pypi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/pypi"
)

// A rig is a gateway over an index and one that stands in for it, in a bubble of
// fake time.
type rig struct {
	t                     *testing.T
	origin, mirror, files *faultnet.Transport
	gateway               *gateway.Mirror
}

func bubble(t *testing.T, dir string, s pypi.Settings, atOrigin, atMirror http.Handler, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, origin: &faultnet.Transport{Backend: atOrigin}, mirror: &faultnet.Transport{Backend: atMirror}, files: &faultnet.Transport{Backend: atOrigin}}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		fetcher := &fetch.Fetcher{Base: faultnet.Hosts{ecotest.OriginHost: r.origin, ecotest.MirrorHost: r.mirror, filesHost: r.files}}
		p := protocol(t, s, fetcher.Transport())
		r.gateway = &gateway.Mirror{Ecosystem: p, Store: store, Fetcher: fetcher, Upstreams: p.Upstreams}
		r.gateway.Start(context.Background())
		defer func() {
			r.gateway.Close()
			r.origin.Close()
			r.mirror.Close()
			r.files.Close()
			store.Close()
			synctest.Wait()
		}()
		f(r)
	})
}

func (r *rig) get(path string, accept ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header["Accept"] = accept
	w := httptest.NewRecorder()
	r.gateway.ServeHTTP(w, req)
	return w
}

func (r *rig) want(w *httptest.ResponseRecorder, code int) *httptest.ResponseRecorder {
	r.t.Helper()
	if w.Code != code {
		r.t.Errorf("got %d %.300s, want %d", w.Code, w.Body, code)
	}
	return w
}

func (r *rig) silent(up *faultnet.Transport) {
	r.t.Helper()
	if log := up.Log(); len(log) != 0 {
		r.t.Errorf("got %v, want nobody asked", log)
	}
}

const newer = "application/vnd.pypi.simple.v1+json"

// listed is what an index lists, by file.
func listed(t *testing.T, body []byte) map[string]struct {
	URL    string
	Hashes map[string]string
	Core   any `json:"core-metadata"`
	Yanked any
} {
	t.Helper()
	type file = struct {
		URL    string
		Hashes map[string]string
		Core   any `json:"core-metadata"`
		Yanked any
	}
	var x struct {
		Files []struct {
			Filename string
			file
		}
	}
	if err := json.Unmarshal(body, &x); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	all := make(map[string]file)
	for _, f := range x.Files {
		all[f.Filename] = f.file
	}
	return all
}

func TestPathsThatAreNone(t *testing.T) {
	for _, path := range []string{
		"/pypi/", "/pypi/simple/", "/pypi/simple/..", "/pypi/simple/%2e%2e/", "/pypi/simple/left-pad/x", "/pypi/simple/left%2fpad/", "/pypi/simple/left-pad%00/",
		"/pypi/pypi/left-pad/json", "/pypi/legacy/", "/pypi/files/left-pad/..", "/pypi/files/left-pad/%2e%2e%2f%2e%2e%2fetc", "/pypi/files/left-pad/a%2fb", "/pypi/files/left-pad",
		"/pypi/files/left-pad/x/y", "/pypi/files/left-pad/http:%2f%2felsewhere.example.com", "/pypi/simple/" + strings.Repeat("a", 2000), "/simple/left-pad/", "/pypi/simple//left-pad/",
	} {
		t.Run(path, func(t *testing.T) {
			bubble(t, t.TempDir(), settings(), shelf(t), shelf(t), func(r *rig) {
				r.want(r.get(path), http.StatusNotFound)
				r.silent(r.origin)
				r.silent(r.mirror)
			})
		})
	}
}

// A client gets the form that it reads, whatever form the index has.
func TestForms(t *testing.T) {
	for _, has := range []bool{false, true} {
		at := shelf(t)
		at.json = has
		bubble(t, t.TempDir(), settings(), at, at, func(r *rig) {
			for _, path := range []string{"/pypi/simple/left-pad/", "/pypi/simple/Left.Pad", "/pypi/simple/left__pad/"} {
				w := r.want(r.get(path, newer+", text/html; q=0.1"), http.StatusOK)
				f := listed(t, w.Body.Bytes())[wheel]
				if w.Header().Get("Content-Type") != newer || f.URL != "http://example.com/pypi/files/left-pad/"+wheel || f.Hashes["sha256"] != at.hash(at.files["left-pad"][wheel]) || f.Core == nil {
					t.Errorf("%s: got %s %+v", path, w.Header(), f)
				}
			}
			w := r.want(r.get("/pypi/simple/left-pad/"), http.StatusOK)
			for _, part := range []string{
				`href="http://example.com/pypi/files/left-pad/` + wheel + "#sha256=" + at.hash(at.files["left-pad"][wheel]) + `"`,
				`data-requires-python="&gt;=3.6"`, `data-core-metadata="sha256=`, ">" + wheel + "</a>",
			} {
				if !strings.Contains(w.Body.String(), part) {
					t.Errorf("got %s, want %s in it", w.Body, part)
				}
			}
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
				t.Errorf("got %s", w.Header())
			}
			if n := len(r.origin.Log()) + len(r.mirror.Log()); n != 1 {
				t.Errorf("got %d requests for all forms and names, want one", n)
			}
		})
	}
}

// What an index leads to is had from there, and not where it must not lead.
func TestWhereAnIndexMayLead(t *testing.T) {
	for at, want := range map[string]int{
		"https://" + filesHost + "/packages/ab/cd/": http.StatusOK,
		"../../packages/ab/cd/":                     http.StatusOK,
		"/packages/ab/cd/":                          http.StatusOK,
		"//" + filesHost + "/packages/ab/cd/":       http.StatusOK,
		"http://" + filesHost + "/packages/ab/cd/":  http.StatusNotFound,
		"https://127.0.0.1/packages/ab/cd/":         http.StatusNotFound,
		"https://localhost:5000/":                   http.StatusNotFound,
		"https://[::1]/":                            http.StatusNotFound,
		"https://169.254.169.254/latest/":           http.StatusNotFound,
		"https://10.0.0.1/":                         http.StatusNotFound,
		"https://192.168.1.1/":                      http.StatusNotFound,
		"https://somebody@" + filesHost + "/":       http.StatusNotFound,
		"file:///etc/":                              http.StatusNotFound,
		"ftp://" + filesHost + "/":                  http.StatusNotFound,
	} {
		t.Run(at, func(t *testing.T) {
			for _, has := range []bool{true, false} {
				repo := shelf(t)
				repo.json, repo.at = has, at
				bubble(t, t.TempDir(), pypi.Settings{Index: origin}, repo, nil, func(r *rig) {
					w := r.want(r.get("/pypi/simple/left-pad/", newer), http.StatusOK)
					if _, ok := listed(t, w.Body.Bytes())[wheel]; ok != (want == http.StatusOK) {
						t.Errorf("listed: %v", ok)
					}
					w = r.want(r.get("/pypi/files/left-pad/"+wheel), want)
					if want == http.StatusOK && !bytes.Equal(w.Body.Bytes(), repo.files["left-pad"][wheel]) {
						t.Error("got other bytes")
					}
				})
			}
		})
	}
}

func TestPrivateNames(t *testing.T) {
	own := projects(t)
	s := settings()
	s.Private = []string{"Left_Pad", "pad-*"}
	for _, path := range []string{"/pypi/simple/left-pad/", "/pypi/simple/LEFT.pad/", "/pypi/simple/pad-core/", "/pypi/files/left-pad/left_pad-1.0.0-py3-none-any.whl"} {
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
}

// A mirror that says another hash of a file than the index did is not believed.
func TestAMirrorThatLies(t *testing.T) {
	forged := shelf(t)
	forged.files["left-pad"][wheel] = archive(t, map[string][]byte{"left_pad.py": noise(99, 64<<10)})
	bare := shelf(t)
	bare.hashes = ""
	good := shelf(t).hash(shelf(t).files["left-pad"][wheel])
	for name, at := range map[string]repository{"says another hash": forged, "says no hash any more": bare} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bubble(t, dir, settings(), shelf(t), at, func(r *rig) { r.want(r.get("/pypi/simple/left-pad/"), http.StatusOK) })
			bubble(t, dir, settings(), shelf(t), at, func(r *rig) {
				time.Sleep(time.Hour) // fake time
				r.origin.Play(faultnet.Always(faultnet.Refuse()))
				w := r.want(r.get("/pypi/simple/left-pad/", newer), http.StatusOK)
				if got := listed(t, w.Body.Bytes())[wheel].Hashes["sha256"]; got != good {
					t.Errorf("got the hash %s, want %s", got, good)
				}
			})
		})
	}
}

// Answers that cannot be an index of the project are failures of who gave them.
func TestAnswersThatAreNone(t *testing.T) {
	for name, body := range map[string]string{
		"another project":     `{"meta":{"api-version":"1.0"},"name":"right-pad","files":[]}`,
		"another version":     `{"meta":{"api-version":"2.0"},"name":"left-pad","files":[]}`,
		"half of it":          `{"meta":{"api-version":"1.0"},"name":"left-pad","fi`,
		"a page of an outage": `<!DOCTYPE html><html><body><h1>Down</h1><a href="/status">status</a></body></html>`,
		"a page to log in":    `<html><form action="/login"><a href="left-pad">x</a></form></html>`,
		"nothing":             ``,
		"links of another":    `<html><a href="right_pad-1.0.0.tar.gz">x</a></html>`,
		"links in a comment":  `<html><!-- <a href="left-pad-1.0.0.tar.gz">x</a> --></html>`,
	} {
		t.Run(name, func(t *testing.T) {
			lying := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
			bubble(t, t.TempDir(), settings(), lying, shelf(t), func(r *rig) {
				w := r.want(r.get("/pypi/simple/left-pad/", newer), http.StatusOK)
				if _, ok := listed(t, w.Body.Bytes())[wheel]; !ok {
					t.Errorf("got %.200s, want the index of who has it", w.Body)
				}
			})
			bubble(t, t.TempDir(), settings(), lying, lying, func(r *rig) { r.want(r.get("/pypi/simple/left-pad/"), http.StatusBadGateway) })
		})
	}
}

// What an index says in its texts ends up as text.
func TestTextsStayTexts(t *testing.T) {
	at := shelf(t)
	at.json = true
	at.change = func(_ string, x map[string]any) {
		for _, f := range x["files"].([]any) {
			f.(map[string]any)["requires-python"] = `>=3"><script>alert(1)</script>`
			f.(map[string]any)["yanked"] = `"><a href="https://elsewhere.example.com/left-pad-9.9.9.tar.gz">`
		}
	}
	bubble(t, t.TempDir(), settings(), at, at, func(r *rig) {
		w := r.want(r.get("/pypi/simple/left-pad/"), http.StatusOK)
		if body := w.Body.String(); strings.Contains(body, "<script") || strings.Contains(body, `<a href="https://elsewhere`) || !strings.Contains(body, "data-yanked=") {
			t.Errorf("got %s", body)
		}
	})
}

func TestSettingsThatCannotBeUsed(t *testing.T) {
	for name, s := range map[string]pypi.Settings{
		"no host":               {Index: "https:///simple"},
		"another scheme":        {Index: "ftp://pypi.example.com/simple"},
		"a login":               {Index: "https://somebody:hunter2@pypi.example.com/simple"},
		"a mirror with a login": {Index: origin, Mirrors: []string{"https://somebody:hunter2@mirror.example.com/simple"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pypi.New(s, nil)
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error without the password", err)
			}
		})
	}
	bubble(t, t.TempDir(), pypi.Settings{}, nil, nil, func(r *rig) {
		r.want(r.get("/pypi/simple/left-pad/"), http.StatusForbidden)
		r.want(r.get("/pypi/files/left-pad/"+wheel), http.StatusForbidden)
	})
}
