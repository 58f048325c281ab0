package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// MinToken is the length below which a token could be guessed.
const MinToken = 16

// A Guard stands before the pages: it says who may come in.
type Guard struct {
	// Token is what a client has to know, in an Authorization header or, for a
	// browser, by the form at /login. Empty: nobody is asked, and only names of
	// this machine's loopback are answered to, so that no page of somebody
	// else's can have a browser read these (DNS rebinding).
	Token string
}

// cookie has its name by the rules of RFC 6265bis for those of one host alone.
const cookie = "outlast_session"

// policy lets a page have what it came with, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Protect puts g before h. What open names is for everybody who gets as far as
// this machine.
func (g Guard) Protect(h http.Handler, open ...string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", g.known(h))
	for _, path := range append(open, "/assets/") {
		mux.Handle(path, h)
	}
	if g.Token != "" {
		mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { g.form(w, r, "") })
		mux.HandleFunc("POST /login", g.login)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for key, value := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
			w.Header().Set(key, value)
		}
		if g.Token == "" && !Local(r.Host) {
			http.Error(w, "this is not served under that name: ask for 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Local reports whether a Host header names this machine's loopback.
func Local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// known lets those through who know the token.
func (g Guard) known(h http.Handler) http.Handler {
	if g.Token == "" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		session := ""
		if c, err := r.Cookie(cookie); err == nil {
			session = c.Value
		}
		switch {
		case g.is(bearer), subtle.ConstantTimeCompare([]byte(session), []byte(g.session())) == 1:
			h.ServeHTTP(w, r)
		case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="outlast"`)
			http.Error(w, "a token is needed", http.StatusUnauthorized)
		}
	})
}

// is compares in a time that tells nothing of the token, not even its length.
func (g Guard) is(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(g.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// session is what a browser keeps in place of the token.
func (g Guard) session() string {
	m := hmac.New(sha256.New, []byte(g.Token))
	m.Write([]byte("outlast dashboard session"))
	return hex.EncodeToString(m.Sum(nil))
}

// maxForm bounds the body of a login.
const maxForm = 4 << 10

func (g Guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !g.is(r.PostFormValue("token")) {
		w.WriteHeader(http.StatusUnauthorized)
		g.form(w, r, "That is not the token.")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: g.session(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g Guard) form(w http.ResponseWriter, r *http.Request, wrong string) {
	_ = new(Site).show(w, r, "login", "Log in", wrong)
}
