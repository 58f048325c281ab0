package oci

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// Limits on what a token endpoint may send and how long a token is kept. Sixty
// seconds are what a token without a time is good for (distribution's "Token
// Authentication Specification", expires_in).
const (
	maxToken      = 1 << 20
	shortestToken = 60 * time.Second
	longestToken  = 24 * time.Hour
	tokenTimeout  = 10 * time.Second
)

// A Login is what a registry's host was given. The zero value is anonymous.
type Login struct {
	User, Password string
	Refresh        string // an identity token, traded for access tokens (OAuth 2)
	Access         string // a registry token, used as it is
}

func (l Login) anonymous() bool { return l == Login{} }

// A Keychain returns the login saved for a host, host:port included, and the
// zero Login where there is none. It may be asked at once from many places.
type Keychain func(ctx context.Context, host string) (Login, error)

// upstreamAuth is the transport of one upstream. It answers the upstream's
// challenges with the login of its own host. It adds a credential to requests
// to that very host and port alone: what follows a redirect goes without.
type upstreamAuth struct {
	host   string // host, or host:port, of the upstream's address
	scheme string
	base   http.RoundTripper
	keys   Keychain
	realms []string // hosts that may get this login besides the host's own family
	scope  string   // what tokens are asked for, where it is not what a request needs to read

	mu        sync.Mutex
	demand    challenge // the last challenge, to answer before it is made again
	demanded  bool
	login     Login
	loginErr  error // why the saved login could not be read
	loginTill time.Time
	tokens    map[string]token // by scope
	anonymous bool             // the saved login was refused, and the anonymous way is open
}

type token struct {
	value string
	till  time.Time
}

// loginFresh is how long a saved login is kept before the keychain is asked
// again: credential helpers are processes, and a login may change meanwhile.
const loginFresh = 5 * time.Minute

// RoundTrip sends r, with a credential where the host demands one.
func (u *upstreamAuth) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != u.host || r.URL.Scheme != u.scheme {
		return u.base.RoundTrip(r)
	}
	scope := cmp.Or(u.scope, scopeOf(r.URL.Path))
	header, err := u.authorization(r.Context(), scope, false)
	if err != nil {
		return nil, err
	}
	resp, err := u.send(r, header)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	c, ok := challenged(resp.Header)
	if !ok {
		return resp, nil
	}
	drain(resp)
	u.demands(c)
	if header, err = u.authorization(r.Context(), scope, true); err != nil {
		return nil, err
	}
	if r, err = rewound(r); err != nil {
		return nil, err
	}
	resp, err = u.send(r, header)
	if err != nil || !refused(resp.StatusCode) || !u.goAnonymous() {
		return resp, err
	}
	// A saved login that has gone stale is refused even for public images,
	// which anybody may pull.
	drain(resp)
	if header, err = u.authorization(r.Context(), scope, true); err != nil {
		return nil, err
	}
	return u.send(r, header)
}

// rewound returns r with its body from the start again.
func rewound(r *http.Request) (*http.Request, error) {
	if r.GetBody == nil {
		return r, nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = body
	return r, nil
}

func (u *upstreamAuth) send(r *http.Request, header string) (*http.Response, error) {
	if header == "" {
		return u.base.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", header)
	return u.base.RoundTrip(r)
}

func refused(code int) bool {
	return code == http.StatusUnauthorized || code == http.StatusForbidden
}

// drain reads the little that is left of an answer so that its connection can
// be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

func (u *upstreamAuth) demands(c challenge) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.demand, u.demanded = c, true
}

// goAnonymous reports whether the anonymous way is new: a login was in use, and
// is not any more.
func (u *upstreamAuth) goAnonymous() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.anonymous || u.login.anonymous() || u.demand.scheme != "bearer" || u.scope != "" {
		return false // nobody writes without a login
	}
	u.anonymous, u.tokens = true, nil
	return true
}

// authorization returns the header's value for scope, or "" where nothing is
// demanded. With fresh set, a kept token is not used: it was just refused.
func (u *upstreamAuth) authorization(ctx context.Context, scope string, fresh bool) (string, error) {
	u.mu.Lock()
	c, demanded := u.demand, u.demanded
	kept, ok := u.tokens[scope]
	u.mu.Unlock()
	if !demanded {
		return "", nil
	}
	if ok && !fresh && time.Now().Before(kept.till) {
		return "Bearer " + kept.value, nil
	}
	login := u.saved(ctx)
	if c.scheme == "basic" {
		if login.User == "" {
			return "", nil
		}
		return basic(login), nil
	}
	if login.Access != "" {
		return "Bearer " + login.Access, nil
	}
	got, withheld, err := u.fetchToken(ctx, c, scope, login)
	if fault.Of(err) == fault.Auth && !withheld && u.goAnonymous() {
		got, _, err = u.fetchToken(ctx, c, scope, Login{})
	}
	if err != nil {
		return "", u.explain(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tokens == nil || len(u.tokens) > 1000 {
		u.tokens = make(map[string]token)
	}
	u.tokens[scope] = got
	return "Bearer " + got.value, nil
}

func basic(l Login) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.User+":"+l.Password))
}

// saved returns the login of the upstream's own host. A keychain that cannot be
// read leaves the anonymous way, which is all that public images need.
func (u *upstreamAuth) saved(ctx context.Context) Login {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.anonymous || u.keys == nil {
		return Login{}
	}
	if time.Now().After(u.loginTill) {
		u.login, u.loginErr = u.keys(ctx, u.host)
		u.loginTill = time.Now().Add(loginFresh)
	}
	return u.login
}

// explain adds to a refusal what kept the saved login from being of use.
func (u *upstreamAuth) explain(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case fault.Of(err) != fault.Auth:
		return err
	case u.anonymous:
		return remarked(err, "the saved login was refused too")
	case u.loginErr == nil:
		return err
	}
	return remarked(err, fmt.Sprintf("the saved login could not be read: %v", u.loginErr))
}

// remarked adds a remark to what went wrong. It goes inside of a *fault.Error:
// whoever retells that keeps what is in it and drops what is around it.
func remarked(err error, remark string) error {
	var own *fault.Error
	if !errors.As(err, &own) {
		return fmt.Errorf("%w (%s)", err, remark)
	}
	told := *own
	told.Err = fmt.Errorf("%w (%s)", own.Err, remark)
	return &told
}

// fetchToken asks the realm for a token. The login goes along only where the
// realm belongs to the upstream; elsewhere it is withheld, and the request is
// anonymous.
func (u *upstreamAuth) fetchToken(ctx context.Context, c challenge, scope string, login Login) (_ token, withheld bool, _ error) {
	realm, err := url.Parse(c.realm)
	if err != nil || realm.Host == "" || realm.Scheme != "https" && realm.Scheme != "http" || realm.User != nil {
		return token{}, false, &fault.Error{Op: "token", Endpoint: u.host, Kind: fault.Rejected, Err: errors.New("the challenge names no realm that can be asked")}
	}
	if realm.Scheme == "http" && u.scheme == "https" {
		return token{}, false, &fault.Error{Op: "token", Endpoint: u.host, Kind: fault.Rejected, Err: errors.New("the challenge leads from https to http")}
	}
	withheld = !login.anonymous() && !u.mayHave(realm)
	if withheld {
		login = Login{}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tokenTimeout, &fault.Error{Op: "token", Endpoint: realm.Host, Kind: fault.Timeout,
		Err: fmt.Errorf("no token within %v", tokenTimeout)})
	defer cancel()
	got, err := requestToken(ctx, u.base, realm, c.service, scope, login)
	if err != nil && withheld {
		err = remarked(err, fmt.Sprintf("the login of %s was not sent to %s, which is not its own; allow it under tokens: in the settings", u.host, realm.Host))
	}
	return got, withheld, err
}

func requestToken(ctx context.Context, base http.RoundTripper, realm *url.URL, service, scope string, login Login) (token, error) {
	r, err := tokenRequest(ctx, realm, service, scope, login)
	if err != nil {
		return token{}, err
	}
	at := time.Now()
	resp, err := base.RoundTrip(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return token{}, &fault.Error{Op: "token", Endpoint: realm.Host, Kind: fault.Of(err), Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return token{}, &fault.Error{Op: "token", Endpoint: realm.Host, Kind: fault.Of(err), Err: err}
	}
	return readToken(resp, body, realm.Host, at)
}

// tokenRequest is a GET with Basic credentials, or the OAuth 2 form where the
// login is an identity token.
func tokenRequest(ctx context.Context, realm *url.URL, service, scope string, login Login) (*http.Request, error) {
	if login.Refresh != "" {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {login.Refresh}, "service": {service},
			"scope": {scope}, "client_id": {"outlast"}}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r, nil
	}
	at := *realm
	query := at.Query()
	if service != "" {
		query.Set("service", service)
	}
	for _, one := range strings.Fields(scope) {
		query.Add("scope", one)
	}
	at.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	if login.User != "" {
		r.Header.Set("Authorization", basic(login))
	}
	return r, nil
}

func readToken(resp *http.Response, body []byte, host string, at time.Time) (token, error) {
	fail := func(kind fault.Kind, format string, args ...any) (token, error) {
		return token{}, &fault.Error{Op: "token", Endpoint: host, Kind: kind, Err: fmt.Errorf(format, args...),
			After: fault.RetryAfter(resp.Header.Get("Retry-After"), at)}
	}
	if fault.IsHTML(resp.Header.Get("Content-Type"), body) {
		return fail(fault.HTML, "status %d with a page instead of a token", resp.StatusCode)
	}
	kind := fault.OfStatus(resp.StatusCode)
	if kind == fault.NotFound {
		// It is the endpoint that is not there: that says nothing of the image.
		kind = fault.Rejected
	}
	if kind != fault.None {
		return fail(kind, "status %d", resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return fail(fault.Rejected, "status %d", resp.StatusCode)
	}
	var got struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   any    `json:"expires_in"` // a number, but for who writes a text
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return fail(fault.Rejected, "the answer is no JSON")
	}
	if got.Token == "" {
		got.Token = got.AccessToken
	}
	if got.Token == "" || strings.ContainsAny(got.Token, "\r\n") {
		return fail(fault.Rejected, "the answer holds no token")
	}
	seconds, _ := strconv.ParseFloat(fmt.Sprint(got.ExpiresIn), 64)
	life := max(time.Duration(min(seconds, longestToken.Seconds()))*time.Second, shortestToken)
	// A tenth less than promised: clocks differ, and requests take time.
	return token{got.Token, at.Add(life * 9 / 10)}, nil
}

// mayHave reports whether the realm may get the upstream's login: it is the same
// host, on any port, or of the same registered domain, or named in the
// settings, or Docker Hub's.
func (u *upstreamAuth) mayHave(realm *url.URL) bool {
	own := hostname(u.host)
	if realm.Hostname() == own || realm.Host == u.host {
		return true
	}
	for _, allowed := range u.realms {
		if realm.Host == allowed || realm.Hostname() == allowed {
			return true
		}
	}
	return sameFamily(own, realm.Hostname())
}

func hostname(hostport string) string {
	u := url.URL{Host: hostport}
	return u.Hostname()
}

// scopeOf returns the scope that a path needs: repository:NAME:pull.
func scopeOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return ""
	}
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(rest, kind); i > 0 {
			return "repository:" + rest[:i] + ":pull"
		}
	}
	return ""
}
