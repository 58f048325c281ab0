package fetch_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// secretive adds a login to every request, whatever its host: a transport that
// does so wrongly must not matter.
type secretive struct{ base http.RoundTripper }

func (s secretive) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Cookie", "secret")
	return s.base.RoundTrip(r)
}

// seen notes the headers of all requests before it serves h.
type seen struct {
	mu   sync.Mutex
	head []http.Header
	h    http.Handler
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.head = append(s.head, r.Header.Clone())
	s.mu.Unlock()
	s.h.ServeHTTP(w, r)
}

// A login stays with its host: a redirect target never sees it, nor one on
// another port of the same address, nor the address that led there.
func TestALoginStaysAtHome(t *testing.T) {
	target := &seen{h: text(good)}
	away := httptest.NewServer(target)
	defer away.Close()
	home := &seen{}
	origin := httptest.NewServer(home)
	defer origin.Close()
	home.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/blob":
			http.Redirect(w, r, "/within?signature=secret", http.StatusTemporaryRedirect)
		case "/within":
			http.Redirect(w, r, away.URL+"/there?signature=other", http.StatusFound)
		}
	})
	f := new(fetch.Fetcher)
	defer f.CloseIdleConnections()
	ask := fetch.Ask{Name: "it", Header: http.Header{"Accept": {"application/json"}, "X-Secret": {"secret"}, "Authorization": {"secret"}},
		Sources: []fetch.Source{{Endpoint: "origin", URL: origin.URL + "/blob", Transport: secretive{f.Transport()}}}}
	ask.Digest = digestOf(good)
	for what, get := range map[string]func() error{
		"Bytes": func() error { _, err := f.Bytes(t.Context(), ask); return err },
		"Head":  func() error { _, err := f.Head(t.Context(), ask); return err },
		"Spool": func() error { _, err := f.Spool(t.Context(), ask, new(memory)); return err },
	} {
		target.head, home.head = nil, nil
		if err := get(); err != nil {
			t.Fatal(what, err)
		}
		if len(home.head) != 2 || home.head[0].Get("Authorization") == "" || home.head[1].Get("Authorization") == "" {
			t.Errorf("%s: got %v at home, want the login there, twice", what, home.head)
		}
		if len(target.head) != 1 {
			t.Fatalf("%s: got %d requests at the target, want 1", what, len(target.head))
		}
		for name, values := range target.head[0] {
			if strings.Contains(strings.Join(values, " "), "secret") {
				t.Errorf("%s: %s: %s reached the target", what, name, values)
			}
		}
		if got := target.head[0].Get("Accept"); got != "application/json" {
			t.Errorf("%s: got Accept %q at the target, want it to go along", what, got)
		}
	}
}

func TestRedirects(t *testing.T) {
	for _, row := range []struct {
		name, from, to string
		text           string // of the error; empty is success
	}{
		{"to another host", "https://home.example/blob", "https://cdn.example/blob", ""},
		{"from http to https", "http://home.example/blob", "https://cdn.example/blob", ""},
		{"from https to http", "https://home.example/blob", "http://cdn.example/blob?sig=secret", "redirect from https to http, at cdn.example"},
		{"from https to http of this machine", "https://127.0.0.1/blob", "http://127.0.0.1:81/blob", ""},
		{"from outside to this machine", "https://home.example/blob", "http://127.0.0.1:81/blob?sig=secret", "redirect from outside to this machine, at 127.0.0.1:81"},
		{"from outside to the cloud's own address", "http://home.example/blob", "http://169.254.169.254/latest", "redirect from outside to this machine, at 169.254.169.254"},
		{"from outside to this machine, by name", "http://home.example/blob", "http://localhost/blob", "redirect from outside to this machine, at localhost"},
		{"to another scheme", "http://home.example/blob", "file:///etc/passwd", `redirect to the scheme "file"`},
		{"with a user", "http://home.example/blob", "http://user:secret@cdn.example/blob", "redirect to an address with a user in it"},
		{"for ever", "http://home.example/blob", "http://home.example/blob", "more than 10 redirects"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := &faultnet.Transport{Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if got := "://" + r.Host + r.URL.Path; strings.HasSuffix(row.from, got) {
						http.Redirect(w, r, row.to, http.StatusFound)
						return
					}
					text(good).ServeHTTP(w, r)
				})}
				f := &fetch.Fetcher{Base: up, Budget: &fetch.Budget{Wait: -1}}
				_, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "home", URL: row.from}}})
				if row.text == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), row.text) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want %q and no secret", err, row.text)
				}
			})
		})
	}
}

// What goes wrong at a redirect's target is said to be there.
func TestWhereItWentWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fetch.Fetcher{Budget: &fetch.Budget{Wait: -1}, Base: faultnet.Hosts{
			"home.example": &faultnet.Transport{Backend: http.RedirectHandler("http://cdn.example/x?X-Amz-Signature=secret", http.StatusFound)},
			"cdn.example":  &faultnet.Transport{Script: faultnet.Always(faultnet.Status(503))},
		}}
		ask := fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "home.example", URL: "http://home.example/blob?token=secret"}}}
		_, err := f.Bytes(t.Context(), ask)
		want := "it: no source left: home.example: outage: at cdn.example: status 503 Service Unavailable"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		f.Base.(faultnet.Hosts)["cdn.example"] = &faultnet.Transport{Script: faultnet.Always(faultnet.Refuse())}
		_, err = f.Bytes(t.Context(), ask)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v, want the refusal and no secret", err)
		}
		delete(f.Base.(faultnet.Hosts), "cdn.example")
		_, err = f.Bytes(t.Context(), ask)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "dns") {
			t.Errorf("got %v, want a dns failure and no secret", err)
		}
	})
}

// errorsOf a transport may say too much.
type talkative struct{ text string }

func (e talkative) RoundTrip(*http.Request) (*http.Response, error) { return nil, e }
func (e talkative) Error() string                                   { return e.text }

func TestErrorsKeepSecrets(t *testing.T) {
	for _, said := range []string{
		`Get "https://user:secret@a.example/x?sig=secret": EOF`,
		`parse "https://a.example/x?Signature=secret&b=secret": bad`,
		"token refused: Authorization: Bearer secret.secret-secret",
		"bad header: authorization basic c2VjcmV0=secret",
	} {
		f := &fetch.Fetcher{Base: talkative{said}, Budget: &fetch.Budget{Wait: -1}}
		_, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a.example", URL: "https://a.example/x?sig=secret"}}})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v from %q, want no secret", err, said)
		}
	}
}
