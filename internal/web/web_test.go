package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/internal/web"
	"github.com/outlast-build/outlast/record"
)

var now = runs.Start.Add(6 * time.Hour)

// site returns a dashboard over a real history with these runs.
func site(t testing.TB, all ...record.Run) *web.Site {
	t.Helper()
	s, err := history.Open(t.Context(), t.TempDir(), history.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.Add(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	return &web.Site{History: s, Now: func() time.Time { return now }, Version: "v1.0.0"}
}

// get returns a page, which has to be one.
func get(t testing.TB, s *web.Site, path string, code int) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if w.Code != code {
		t.Errorf("%s: got status %d, want %d", path, w.Code, code)
	}
	return w.Body.String()
}

// paths are the pages of a site with many runs.
var paths = []string{"/", "/builds", "/builds?outcome=built&strategy=optimal", "/builds/RUN00000198", "/compare?run=RUN00000198&run=RUN00000130", "/services", "/caches", "/strategies", "/advice"}

func TestPagesSayWhatTheRunsSay(t *testing.T) {
	s := site(t, runs.Many(200, now)...)
	s.Running = func() []record.Run { return []record.Run{runs.Running(now)} }
	for path, wants := range map[string][]string{
		"/":                        {"100 of 100 points", "github.com/acme/service main", "attempt 2", "RUN go build", "Services in trouble", "gcr.io", "All builds"},
		"/builds":                  {"ghcr.io/acme/service:1.4.0", "no-source", "Older builds", "release-1.4"},
		"/builds?outcome=failed":   {"failed", "github.com/acme/service"},
		"/builds/RUN00000198":      {"Where the time went", "<svg", "RUN go mod download"},
		"/builds/LIVE7QW2MZP4RB6T": {"Where the time went"},
		"/compare?run=RUN00000198&run=RUN00000130": {"Two builds", "(differs)", "RUN go mod download"},
		"/services":   {"mirror.example.com", "serves spoiled bytes", "answered", "<svg"},
		"/caches":     {"The share of cached steps", "registry", "local"},
		"/strategies": {"optimal", "emergency", "Further attempts"},
		"/advice":     {"Nothing is recommended"},
	} {
		got := get(t, s, path, 200)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	}
	older := get(t, s, "/builds?outcome=failed", 200)
	if strings.Contains(older, `badge good`) {
		t.Error("the filter lets others through")
	}
}

func TestPagesWithoutRunsSayWhatToDo(t *testing.T) {
	for path, want := range map[string]string{"/": "No build is running", "/builds": "outlast build .", "/services": "outlast check", "/caches": "No build is kept yet", "/strategies": "No build is kept yet", "/advice": "Nothing is recommended"} {
		if got := get(t, site(t), path, 200); !strings.Contains(got, want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
	for _, path := range []string{"/", "/builds", "/services", "/caches", "/strategies", "/advice"} {
		if got := get(t, new(web.Site), path, 200); !strings.Contains(got, "history.keep") {
			t.Errorf("%s does not say how to keep a history", path)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := site(t)
	for _, path := range []string{"/builds/NONE", "/builds/%2e%2e", "/nowhere", "/compare?run=A&run=B"} {
		if got := get(t, s, path, 404); !strings.Contains(got, "Not here") || !strings.Contains(got, "</html>") {
			t.Errorf("%s: got %q", path, got)
		}
	}
	get(t, s, "/compare?run=A", 200)
}

func TestHostileTextIsShownAsText(t *testing.T) {
	const text = "<script>alert(1)</script>\"'><img src=x onerror=y>\x1b[31m\u202e]]>"
	quiet, loud := site(t, saying("word")...), site(t, saying(text)...)
	quiet.Running = func() []record.Run { return saying("word")[1:2] }
	loud.Running = func() []record.Run { return saying(text)[1:2] }
	for _, path := range []string{"/", "/builds", "/builds/RUN00000019", "/compare?run=RUN00000019&run=RUN00000018", "/services", "/caches", "/strategies"} {
		elements := elementsOf(get(t, quiet, path, 200))
		got := get(t, loud, path, 200)
		for name := range elementsOf(got) {
			if !elements[name] {
				t.Errorf("%s: an element %s came with the text", path, name)
			}
		}
		if strings.ContainsAny(got, "\x1b\u202e") || strings.Contains(got, `="javascript:`) {
			t.Errorf("%s holds control characters or an address that is a script", path)
		}
	}
	get(t, loud, "/builds?"+url.Values{"repo": {text}, "branch": {text}}.Encode(), 200)
}

// saying are runs in which whatever others chose is that text.
func saying(text string) []record.Run {
	all := runs.Many(20, now)
	for i := range all {
		r := &all[i]
		r.Strategy, r.Builder, r.Error = text, text, text
		r.Context = record.Context{Repo: text, Branch: text, Commit: text, Job: text, URL: "javascript:alert(1)"}
		for j := range r.Services {
			r.Services[j].Endpoint, r.Services[j].Serves, r.Services[j].Last = text, text, text
		}
		for j := range r.Images {
			r.Images[j].Tags = []string{text}
		}
		for j := range r.Attempts {
			r.Attempts[j].Caches = []string{text}
			for k := range r.Attempts[j].Ran {
				r.Attempts[j].Ran[k].Name = text
			}
		}
	}
	return all
}

// elementsOf are the names of the elements of a page, with those of their
// attributes.
func elementsOf(page string) map[string]bool {
	all := make(map[string]bool)
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return all
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			all[token.Data] = true
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					all[token.Data+" "+a.Key] = true
				}
			}
		}
	}
}

func TestGuard(t *testing.T) {
	const token = "a-token-of-thirty-two-characters"
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "in") })
	open := web.Guard{}.Protect(ok)
	locked := web.Guard{Token: token}.Protect(ok, "/healthz")
	type header map[string]string
	for _, tt := range []struct {
		name   string
		h      http.Handler
		host   string
		path   string
		header header
		code   int
	}{
		{"this machine by its address", open, "127.0.0.1:5180", "/", nil, 200},
		{"this machine by its name", open, "localhost:5180", "/", nil, 200},
		{"IPv6", open, "[::1]:5180", "/", nil, 200},
		{"somebody's name that leads here", open, "evil.example.com:5180", "/", nil, 421},
		{"an address of the network", open, "192.0.2.7:5180", "/", nil, 421},
		{"no name", open, "", "/", nil, 421},
		{"nobody", locked, "ci.example.com", "/metrics", nil, 401},
		{"nobody, with a browser", locked, "ci.example.com", "/", header{"Accept": "text/html"}, 303},
		{"one who knows the token", locked, "ci.example.com", "/metrics", header{"Authorization": "Bearer " + token}, 200},
		{"one who knows another", locked, "ci.example.com", "/metrics", header{"Authorization": "Bearer " + token + "x"}, 401},
		{"an empty one", locked, "ci.example.com", "/metrics", header{"Authorization": "Bearer "}, 401},
		{"the token in the address", locked, "ci.example.com", "/metrics?token=" + token, nil, 401},
		{"the token as a cookie", locked, "ci.example.com", "/", header{"Cookie": "outlast_session=" + token}, 401},
		{"what is for everybody", locked, "ci.example.com", "/healthz", nil, 200},
	} {
		r := httptest.NewRequest("GET", tt.path, nil)
		r.Host = tt.host
		for key, value := range tt.header {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		tt.h.ServeHTTP(w, r)
		if w.Code != tt.code {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.code)
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none';") {
			t.Errorf("%s: got policy %q", tt.name, p)
		}
	}
}

func TestABrowserLogsInByTheForm(t *testing.T) {
	const token = "a-token-of-thirty-two-characters"
	h := web.Guard{Token: token}.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "in") }))
	post := func(given string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"token": {given}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := post("wrong"); w.Code != 401 || !strings.Contains(w.Body.String(), "That is not the token.") || len(w.Result().Cookies()) != 0 {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	w := post(token)
	cookies := w.Result().Cookies()
	if w.Code != 303 || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || strings.Contains(cookies[0].Value, token) {
		t.Fatalf("got %d and cookies %v", w.Code, cookies)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	in := httptest.NewRecorder()
	if h.ServeHTTP(in, r); in.Body.String() != "in" {
		t.Errorf("got %d %q", in.Code, in.Body)
	}
}
