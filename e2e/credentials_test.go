package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

const (
	secretUser     = "ada"
	secretPassword = "correct-horse-battery-staple"
)

// A private registry: it and its token endpoint may see the login; its content
// network and its mirror may not.
type private struct {
	t      *testing.T
	bench  *bench
	config string // the settings file
	store  string

	origin, tokens, cdn, mirror *faultnet.Service
	desk                        *faultnet.TokenService
}

// A guard puts the demand for a login before a registry.
type guard func(p *private, next http.Handler) http.Handler

func bearer(p *private, next http.Handler) http.Handler {
	return p.desk.Guard(p.tokens.URL()+"/token", next)
}

func basic(_ *private, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != secretUser || password != secretPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// challenging answers every request with a demand.
func challenging(demand func(p *private) string) guard {
	return func(p *private, _ http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", demand(p))
			w.WriteHeader(http.StatusUnauthorized)
		})
	}
}

func newPrivate(t *testing.T, b *bench, content string, origin, mirror guard) *private {
	t.Helper()
	p := &private{t: t, bench: b, desk: &faultnet.TokenService{Users: map[string]string{secretUser: secretPassword}, Closed: true}}
	proxy := func() http.Handler {
		h, err := faultnet.NewProxy(content)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	start := func(listen string, backend http.Handler) *faultnet.Service {
		s := &faultnet.Service{Listen: listen + ":0", Backend: backend}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	p.tokens = start("127.0.0.2", p.desk)
	p.cdn = start("127.0.0.3", proxy())
	redirecting, err := faultnet.RedirectBlobs(p.cdn.URL()+"?signature=of-the-cdn", proxy())
	if err != nil {
		t.Fatal(err)
	}
	p.origin = start("127.0.0.2", origin(p, redirecting))
	p.mirror = start("127.0.0.4", mirror(p, proxy()))
	dir := t.TempDir()
	p.config, p.store = filepath.Join(dir, "outlast.yaml"), filepath.Join(dir, "store")
	p.settings("")
	return p
}

// settings writes the settings file, with more for the registry.
func (p *private) settings(more string) {
	p.t.Helper()
	text := fmt.Sprintf("registries:\n  %q:\n    mirrors: [{url: \"http://%s\", tags: true}]\n%sstore: {path: %q}\nfetch: {budget: 1s}\n",
		p.origin.Host(), p.mirror.Host(), more, p.store)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// build builds on an image of the private registry.
func (p *private) build() result {
	p.t.Helper()
	dir := p.bench.context("FROM " + p.origin.Host() + "/library/alpine:3\nRUN true\n")
	return p.bench.run("build", "--config", p.config, "--progress", "plain", "--no-cache", "--output", "type=oci,dest=/dev/null", dir)
}

// secrets are all that must stay between the registry and its own.
func (p *private) secrets() []string {
	all := []string{secretPassword, base64.StdEncoding.EncodeToString([]byte(secretUser + ":" + secretPassword))}
	for _, r := range p.origin.Log() {
		if token, ok := strings.CutPrefix(r.Authorization(), "Bearer "); ok {
			all = append(all, token)
		}
	}
	return all
}

// check looks for secrets wherever they could have gone.
func (p *private) check(r result) {
	p.t.Helper()
	secrets := p.secrets()
	leaks := func(where, text string) {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				p.t.Errorf("%s holds the secret %s:\n%s", where, s, text)
			}
		}
	}
	for name, s := range map[string]*faultnet.Service{"mirror": p.mirror, "content network": p.cdn} {
		for _, asked := range s.Log() {
			if asked.Authorization() != "" {
				p.t.Errorf("the %s got %q with %v", name, asked.Authorization(), asked)
			}
			leaks("what the "+name+" was asked", fmt.Sprint(asked.Header, asked.Path, asked.Query))
		}
	}
	leaks("the output", r.text())
	leaks("BuildKit's log", p.bench.buildkit.Log())
	for _, dir := range []string{filepath.Dir(p.config), filepath.Join(p.bench.dir, "state"), filepath.Join(p.bench.dir, "store")} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			data, err := os.ReadFile(path)
			leaks("the name of a file", path)
			for _, s := range secrets {
				if strings.Contains(string(data), s) {
					p.t.Errorf("%s holds the secret %s", path, s)
				}
			}
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// login writes config.json for the private registry.
func (p *private) login(password string) {
	p.write(map[string]any{"auths": map[string]any{p.origin.Host(): map[string]string{
		"auth": base64.StdEncoding.EncodeToString([]byte(secretUser + ":" + password))}}})
}

func (p *private) write(config map[string]any) {
	p.t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.bench.buildx.Config, "config.json"), data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// loginByHelper has a program give the login, which writes down whom it was
// asked about.
func (p *private) loginByHelper() (asked string) {
	p.t.Helper()
	bin := p.t.TempDir()
	asked = filepath.Join(bin, "asked")
	script := fmt.Sprintf("#!/bin/sh\nread -r host\necho \"$1 $host\" >>%s\n"+
		"[ \"$host\" = %s ] || { echo 'credentials not found in native keychain'; exit 1; }\n"+
		"printf '{\"ServerURL\":\"%%s\",\"Username\":\"%s\",\"Secret\":\"%s\"}' \"$host\"\n", asked, p.origin.Host(), secretUser, secretPassword)
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-vault"), []byte(script), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.bench.env = append(p.bench.env, "PATH="+bin+":"+os.Getenv("PATH"))
	p.write(map[string]any{"credsStore": "vault"})
	return asked
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	t.Parallel()
	content := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	open := func(_ *private, next http.Handler) http.Handler { return next }
	ownRealm := challenging(func(p *private) string {
		return fmt.Sprintf("Bearer realm=\"http://%s/token\",service=\"mirror\"", p.mirror.Host())
	})
	stolenRealm := challenging(func(p *private) string {
		return fmt.Sprintf("Bearer realm=\"%s/token\",service=\"faultnet\"", p.tokens.URL())
	})
	basicDemand := challenging(func(*private) string { return `Basic realm="give me"` })
	spoiling := faultnet.Script{{Method: "GET", Place: faultnet.Blob, Fault: faultnet.WrongByte()}}
	for _, c := range []struct {
		name           string
		origin, mirror guard
		script         faultnet.Script // of the mirror
		helper         bool
	}{
		{name: "a login of config.json, for tokens", origin: bearer, mirror: open, script: spoiling},
		{name: "a login of config.json, sent itself", origin: basic, mirror: open, script: spoiling},
		{name: "a login of a helper", origin: bearer, mirror: open, script: spoiling, helper: true},
		{name: "a mirror that demands a login", origin: bearer, mirror: basicDemand},
		{name: "a mirror with a token endpoint of its own", origin: bearer, mirror: ownRealm},
		{name: "a mirror that names the origin's token endpoint", origin: bearer, mirror: stolenRealm},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, publicSites) // a BuildKit that has cached nothing
			p := newPrivate(t, b, content.URL, c.origin, c.mirror)
			if err := p.mirror.Play(c.script); err != nil {
				t.Fatal(err)
			}
			asked := ""
			if c.helper {
				asked = p.loginByHelper()
			} else {
				p.login(secretPassword)
			}
			got := p.build()
			got.want(t, 0)
			p.check(got)
			if len(p.origin.Log().Where(func(r faultnet.Request) bool { return r.Authorization() != "" })) == 0 {
				t.Error("the origin got no credential: the test shows nothing")
			}
			if p.cdn.Count() == 0 || p.mirror.Count() == 0 {
				t.Errorf("got %d requests at the content network and %d at the mirror, want some at both", p.cdn.Count(), p.mirror.Count())
			}
			if c.helper {
				names, err := os.ReadFile(asked)
				if err != nil || !strings.Contains(string(names), "get "+p.origin.Host()) {
					t.Errorf("the helper was asked about %q, %v, want the origin among them", names, err)
				}
			}
		})
	}
}

func TestCredentialsAreNotToldInErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	content := testenv.NewRegistry(t, testenv.RegistryOptions{Images: true})
	missing := func(*private, http.Handler) http.Handler { return http.NotFoundHandler() }

	t.Run("a password that is refused", func(t *testing.T) {
		b.t = t
		p := newPrivate(t, b, content.URL, bearer, missing)
		p.login(secretPassword + "-of-old")
		got := p.build()
		got.want(t, 1, p.tokens.Host())
		p.check(got)
	})
	t.Run("a token endpoint that fails", func(t *testing.T) {
		b.t = t
		p := newPrivate(t, b, content.URL, bearer, missing)
		p.login(secretPassword)
		if err := p.tokens.Play(faultnet.Always(faultnet.StatusHTML(400, ""))); err != nil {
			t.Fatal(err)
		}
		got := p.build()
		got.want(t, 3, p.tokens.Host(), "page instead of a token")
		p.check(got)
	})
	t.Run("a token endpoint that is not the registry's own", func(t *testing.T) {
		b.t = t
		elsewhere := func(p *private, next http.Handler) http.Handler {
			stranger := &faultnet.Service{Listen: "127.0.0.5:0", Backend: p.desk}
			if err := stranger.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stranger.Close() })
			p.tokens = stranger
			return p.desk.Guard(stranger.URL()+"/token", next)
		}
		p := newPrivate(t, b, content.URL, elsewhere, missing)
		p.login(secretPassword)
		got := p.build()
		got.want(t, 1, "was not sent to "+p.tokens.Host(), "tokens:")
		p.check(got)
		for _, l := range p.desk.Logins() {
			if l.User != "" {
				t.Errorf("the stranger got the login of %s", l.User)
			}
		}

		p.settings(fmt.Sprintf("    tokens: [%q]\n", p.tokens.Host()))
		got = p.build()
		got.want(t, 0)
		p.check(got)
	})
}
