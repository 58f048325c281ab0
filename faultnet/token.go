package faultnet

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A TokenService issues tokens as the distribution token specification has it:
// a registry that is guarded by it names its address in a challenge, and a
// client asks there for a token with a scope. It is a handler; behind a
// Service it fails by script like any other backend. Its fields are set before
// its first use. All methods may be called at once from many places.
type TokenService struct {
	Users   map[string]string // passwords; who gives another is refused. Nil knows no users
	Closed  bool              // nobody gets a token without a login
	Service string            // what the challenge calls the registry; empty means "faultnet"
	Life    time.Duration     // of a token; 0 means five minutes

	mu     sync.Mutex
	tokens map[string]grant
	logins []Login
}

// A Login is one request for a token, with the credential that came along.
type Login struct {
	At       time.Time
	User     string // "" where no credential came along
	Password string
	Scopes   []string
	Issued   bool // a token was given
}

type grant struct {
	scopes []string
	until  time.Time
}

// Limits of what a TokenService keeps: tokens that ran out go first.
const (
	maxTokens = 1 << 14
	maxForm   = 1 << 16
)

// ServeHTTP gives a token for GET with basic authentication or without, and
// for the POST that OAuth 2 clients send.
func (t *TokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		sendError(w, http.StatusMethodNotAllowed)
		return
	}
	if err := r.ParseForm(); err != nil {
		sendError(w, http.StatusBadRequest)
		return
	}
	l := Login{At: time.Now(), Scopes: scopes(r.Form["scope"])}
	l.User, l.Password, _ = r.BasicAuth()
	if r.Method == http.MethodPost {
		l.User, l.Password = r.PostForm.Get("username"), r.PostForm.Get("password")
	}
	token, ok := t.issue(l)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+t.name()+`"`)
		sendError(w, http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"token": token, "access_token": token, "expires_in": int(t.life() / time.Second), "issued_at": l.At.UTC().Format(time.RFC3339),
	})
}

func (t *TokenService) issue(l Login) (token string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	password, known := t.Users[l.User]
	l.Issued = known && password == l.Password || l.User == "" && !t.Closed
	if len(t.logins) < maxLog {
		t.logins = append(t.logins, l)
	}
	if !l.Issued {
		return "", false
	}
	if t.tokens == nil {
		t.tokens = make(map[string]grant)
	}
	if len(t.tokens) >= maxTokens {
		t.sweepLocked(l.At)
	}
	token = rand.Text()
	t.tokens[token] = grant{l.Scopes, l.At.Add(t.life())}
	return token, true
}

// sweepLocked makes room: what ran out goes, and all of it if none did.
func (t *TokenService) sweepLocked(now time.Time) {
	for token, g := range t.tokens {
		if now.After(g.until) {
			delete(t.tokens, token)
		}
	}
	if len(t.tokens) >= maxTokens {
		clear(t.tokens)
	}
}

// Logins returns a copy of every request for a token so far, at most the first
// 65536.
func (t *TokenService) Logins() []Login {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.logins)
}

// Revoke makes every token void that was issued so far.
func (t *TokenService) Revoke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.tokens)
}

// Guard lets requests through to next that carry a token of t with the scope
// that they need, and answers others with 401 and a challenge that names realm,
// the address of t.
func (t *TokenService) Guard(realm string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope := scopeOf(r)
		problem := t.check(r.Header.Get("Authorization"), scope)
		if problem == "" {
			next.ServeHTTP(w, r)
			return
		}
		challenge := fmt.Sprintf("Bearer realm=%q,service=%q", realm, t.name())
		if scope != "" {
			challenge += fmt.Sprintf(",scope=%q", scope)
		}
		if problem != noToken {
			challenge += fmt.Sprintf(",error=%q", problem)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		sendError(w, http.StatusUnauthorized)
	})
}

// The problems of a request's token, as RFC 6750 names all but the first.
const (
	noToken           = "no token"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
)

func (t *TokenService) check(authorization, scope string) (problem string) {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return noToken
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.tokens[token]
	switch {
	case !ok || time.Now().After(g.until):
		return invalidToken
	case scope != "" && !slices.ContainsFunc(g.scopes, func(s string) bool { return covers(s, scope) }):
		return insufficientScope
	}
	return ""
}

// scopeOf is the scope that r needs: "repository:library/app:pull".
func scopeOf(r *http.Request) string {
	name := repository(r)
	switch {
	case name == "":
		return ""
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return "repository:" + name + ":pull"
	case r.Method == http.MethodDelete:
		return "repository:" + name + ":delete"
	}
	return "repository:" + name + ":push"
}

// covers reports whether a granted scope, with its list of actions, has the
// one action that is needed.
func covers(granted, needed string) bool {
	resource, actions := cutLast(granted)
	want, action := cutLast(needed)
	return resource == want && slices.Contains(strings.Split(actions, ","), action)
}

func cutLast(scope string) (resource, actions string) {
	i := strings.LastIndexByte(scope, ':')
	if i < 0 {
		return scope, ""
	}
	return scope[:i], scope[i+1:]
}

// scopes splits what may come in one parameter or in several.
func scopes(values []string) []string {
	var all []string
	for _, v := range values {
		all = append(all, strings.Fields(v)...)
	}
	return all
}

func (t *TokenService) name() string {
	if t.Service == "" {
		return "faultnet"
	}
	return t.Service
}

func (t *TokenService) life() time.Duration {
	if t.Life <= 0 {
		return 5 * time.Minute
	}
	return t.Life
}
