package oci_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway/oci"
)

const manifestPath = "library/golang/manifests/1.26"

// seen collects every Authorization header that a server gets.
type seen struct {
	mu  sync.Mutex
	all []string
}

func (s *seen) add(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := r.Header.Get("Authorization"); h != "" {
		s.all = append(s.all, h)
	}
}

func (s *seen) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.all...)
}

// tokenServer trades the login alice:secret for the token "alices", and, if
// open, no login for "anonymous".
func tokenServer(t *testing.T, open bool) (*httptest.Server, *seen) {
	s := new(seen)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.add(r)
		user, password, ok := r.BasicAuth()
		switch {
		case ok && user == "alice" && password == "secret":
			fmt.Fprint(w, `{"token":"alices","expires_in":300}`)
		case !ok && open:
			fmt.Fprint(w, `{"access_token":"anonymous"}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, s
}

// guarded is a registry that serves "manifest" to whoever has one of the tokens.
func guarded(t *testing.T, realm string, tokens ...string) (*httptest.Server, *seen) {
	s := new(seen)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.add(r)
		for _, token := range tokens {
			if r.Header.Get("Authorization") == "Bearer "+token {
				fmt.Fprint(w, "manifest")
				return
			}
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="registry, with \"quotes\"",scope="repository:library/golang:pull"`, realm))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(srv.Close)
	return srv, s
}

func logins(all map[string]oci.Login) oci.Keychain {
	return func(_ context.Context, host string) (oci.Login, error) { return all[host], nil }
}

func host(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// get asks the origin of a registry at address for a manifest.
func get(t *testing.T, address string, keys oci.Keychain, tokens ...string) (string, error) {
	t.Helper()
	rs, err := oci.NewRegistries([]oci.Registry{{Host: "docker.io", Origin: address, Tokens: tokens}}, http.DefaultTransport, keys)
	if err != nil {
		t.Fatal(err)
	}
	return fetchFrom(t, rs, address)
}

func fetchFrom(t *testing.T, rs *oci.Registries, address string) (string, error) {
	t.Helper()
	upstreams := rs.Upstreams("docker.io")
	client := http.Client{Transport: upstreams[len(upstreams)-1].Transport}
	resp, err := client.Get(address + "/v2/" + manifestPath)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(body), err
}

func TestTokens(t *testing.T) {
	alice := oci.Login{User: "alice", Password: "secret"}
	stale := oci.Login{User: "alice", Password: "last year's"}
	for _, tt := range []struct {
		name     string
		login    oci.Login
		open     bool     // the token server serves without a login
		tokens   []string // that the registry takes
		want     bool
		wantKind fault.Kind
	}{
		{"a public image without a login", oci.Login{}, true, []string{"anonymous"}, true, ""},
		{"a private image with the login", alice, true, []string{"alices"}, true, ""},
		{"a private image without a login", oci.Login{}, true, []string{"alices"}, false, ""},
		{"a stale login, and a public image", stale, true, []string{"anonymous"}, true, ""},
		{"a good login that this image refuses, and the public way", alice, true, []string{"anonymous"}, true, ""},
		{"a stale login, and no other way", stale, false, []string{"alices"}, false, fault.Auth},
		{"a registry token as it is", oci.Login{Access: "ready"}, false, []string{"ready"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens, _ := tokenServer(t, tt.open)
			registry, _ := guarded(t, tokens.URL, tt.tokens...)
			got, err := get(t, registry.URL, logins(map[string]oci.Login{host(t, registry.URL): tt.login}))
			if (err == nil) != tt.want || tt.want && got != "manifest" {
				t.Fatalf("got %q, %v, want success %v", got, err, tt.want)
			}
			if tt.wantKind != "" && fault.Of(err) != tt.wantKind {
				t.Errorf("got kind %q of %v, want %q", fault.Of(err), err, tt.wantKind)
			}
		})
	}
}

func TestATokenIsFetchedOnce(t *testing.T) {
	tokens, asked := tokenServer(t, false)
	registry, _ := guarded(t, tokens.URL, "alices")
	rs, err := oci.NewRegistries([]oci.Registry{{Host: "docker.io", Origin: registry.URL}}, http.DefaultTransport,
		logins(map[string]oci.Login{host(t, registry.URL): {User: "alice", Password: "secret"}}))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if got, err := fetchFrom(t, rs, registry.URL); got != "manifest" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if n := len(asked.list()); n != 1 {
		t.Errorf("got %d token requests, want 1", n)
	}
}

func TestTheLoginStaysWithItsHost(t *testing.T) {
	alice := oci.Login{User: "alice", Password: "secret"}

	t.Run("a redirect, also to another port of the same address, goes without", func(t *testing.T) {
		elsewhere := new(seen)
		cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			elsewhere.add(r)
			fmt.Fprint(w, "manifest")
		}))
		t.Cleanup(cdn.Close)
		own := new(seen)
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own.add(r)
			if _, _, ok := r.BasicAuth(); ok {
				http.Redirect(w, r, cdn.URL+"/blob", http.StatusTemporaryRedirect)
				return
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}))
		t.Cleanup(registry.Close)
		got, err := get(t, registry.URL, logins(map[string]oci.Login{host(t, registry.URL): alice}))
		if got != "manifest" {
			t.Fatalf("got %q, %v", got, err)
		}
		if len(own.list()) == 0 || len(elsewhere.list()) != 0 {
			t.Errorf("own host saw %q, redirect target saw %q, want the login at the own host alone", own.list(), elsewhere.list())
		}
	})

	t.Run("the docker.io login is not for what the settings put in its place", func(t *testing.T) {
		tokens, asked := tokenServer(t, true)
		registry, _ := guarded(t, tokens.URL, "anonymous")
		all := logins(map[string]oci.Login{"docker.io": alice, "registry-1.docker.io": alice, "index.docker.io": alice})
		if got, err := get(t, registry.URL, all); got != "manifest" {
			t.Fatalf("got %q, %v", got, err)
		}
		if len(asked.list()) != 0 {
			t.Errorf("the token server saw %q", asked.list())
		}
	})

	t.Run("a realm of another family gets no login", func(t *testing.T) {
		tokens, asked := tokenServer(t, true)
		foreign := strings.Replace(tokens.URL, "127.0.0.1", "localhost", 1)
		registry, _ := guarded(t, foreign, "anonymous", "alices")
		keys := logins(map[string]oci.Login{host(t, registry.URL): alice})
		if got, err := get(t, registry.URL, keys); got != "manifest" {
			t.Fatalf("got %q, %v", got, err)
		}
		if len(asked.list()) != 0 {
			t.Errorf("the foreign token server saw %q", asked.list())
		}
		t.Run("unless the settings allow it", func(t *testing.T) {
			if got, err := get(t, registry.URL, keys, "localhost"); got != "manifest" {
				t.Fatalf("got %q, %v", got, err)
			}
			if len(asked.list()) != 1 {
				t.Errorf("the token server saw %d logins, want 1", len(asked.list()))
			}
		})
	})
}

func TestBrokenTokenEndpoints(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   fault.Kind
	}{
		{"503", func(w http.ResponseWriter) { w.WriteHeader(503) }, fault.Outage},
		{"404, which says nothing of the image", func(w http.ResponseWriter) { w.WriteHeader(404) }, fault.Rejected},
		{"400 with a page", func(w http.ResponseWriter) { w.WriteHeader(400); fmt.Fprint(w, "<h2>Our services") }, fault.HTML},
		{"200 with a page", func(w http.ResponseWriter) { fmt.Fprint(w, "<!doctype html>") }, fault.HTML},
		{"429", func(w http.ResponseWriter) { w.WriteHeader(429) }, fault.RateLimited},
		{"no token in it", func(w http.ResponseWriter) { json.NewEncoder(w).Encode("no") }, fault.Rejected},
		{"a token that would split the header", func(w http.ResponseWriter) { fmt.Fprint(w, `{"token":"a\r\nX-Evil: 1"}`) }, fault.Rejected},
		{"a connection that breaks", func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, fault.Connection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }))
			t.Cleanup(tokens.Close)
			registry, _ := guarded(t, tokens.URL, "anonymous")
			_, err := get(t, registry.URL, nil)
			if fault.Of(err) != tt.want {
				t.Fatalf("got kind %q of %v, want %q", fault.Of(err), err, tt.want)
			}
			if !strings.Contains(err.Error(), host(t, tokens.URL)) {
				t.Errorf("got %q, want the token endpoint named", err)
			}
		})
	}
}

// What retells an error keeps a *fault.Error and drops what is around it.
func TestARefusalSaysWhatBecameOfTheLogin(t *testing.T) {
	closed, _ := tokenServer(t, false)
	u, err := url.Parse(closed.URL)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := "http://localhost:" + u.Port()
	for _, c := range []struct {
		name, realm, password string
		want                  string
	}{
		{"a login that is refused", closed.URL, "of old", "the saved login was refused too"},
		{"a realm that is not the registry's own", elsewhere, "secret", "was not sent to " + strings.TrimPrefix(elsewhere, "http://") + ", which is not its own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv, _ := guarded(t, c.realm, "alices")
			host := strings.TrimPrefix(srv.URL, "http://")
			_, err := get(t, srv.URL, logins(map[string]oci.Login{host: {User: "alice", Password: c.password}}))
			var own *fault.Error
			if !errors.As(err, &own) || own.Kind != fault.Auth || !strings.Contains(own.Error(), c.want) {
				t.Errorf("got %v, want a refusal that says %q", err, c.want)
			}
		})
	}
}
