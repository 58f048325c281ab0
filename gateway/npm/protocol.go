// Package npm is the protocol of npm's registry, as npm, yarn and pnpm speak
// it. Archives are proved by the hashes that documents name, and documents
// lead their readers back to the gateway. It never asks a mirror for a name
// that is private, never serves an archive that no hash proves, and never
// writes to a registry.
package npm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where the protocol is served: the registry that clients are told is
// the gateway's address with Prefix behind it.
const Prefix = "/npm/"

// Kept is where documents keep the addresses of the registry for npm itself:
// with replace-registry-host set to the registry's host it asks the gateway for
// them all the same, and no lock file ever names the gateway. Other clients,
// which read the same settings, are led as below Prefix.
const Kept = Prefix + "-/kept/"

// cut takes the place where the protocol is served off an escaped path. npm
// drops the path of its registry from addresses whose host it replaces, so that
// an archive may stand without.
func cut(escaped string) string {
	for _, prefix := range []string{Kept, Prefix, "/"} {
		if rest, ok := strings.CutPrefix(escaped, prefix); ok {
			return rest
		}
	}
	return escaped
}

// Serves reports whether a path is for this protocol: what stands below Prefix,
// and archives wherever they stand.
func Serves(escaped string) bool {
	if strings.HasPrefix(escaped, Prefix) {
		return true
	}
	q, err := parse(cut(escaped))
	return err == nil && q.kind == archive
}

// fresh is how long a document needs no new one, unless the client asks for
// one: what registries say themselves of their documents.
const fresh = 5 * time.Minute

// largest bounds a document: the largest that are known have some 60 MB.
const largest = 128 << 20

// Settings say where packages may be had.
type Settings struct {
	Registry string   // the address of the registry; empty: nothing is served
	Mirrors  []string // addresses of registries that stand in for it, in the order of preference
	Private  []string // names, scopes (@acme) and beginnings (acme-*) that the registry alone is asked for
	Others   []string // scopes that have registries of their own: they are never asked for here
}

// Protocol is npm's registry as an ecosystem of the gateway. Its methods may be
// called at once from many places.
type Protocol struct {
	settings Settings
	registry gateway.Upstream
	mirrors  []gateway.Upstream
	known    known
	find     func(context.Context, gateway.Asset) (*gateway.Body, error)
}

var (
	_ gateway.Ecosystem   = (*Protocol)(nil)
	_ gateway.Responder   = (*Protocol)(nil)
	_ gateway.ErrorWriter = (*Protocol)(nil)
	_ gateway.Rewriter    = (*Protocol)(nil)
	_ gateway.Successor   = (*Protocol)(nil)
	_ gateway.Learner     = (*Protocol)(nil)
	_ gateway.Looker      = (*Protocol)(nil)
	_ gateway.Header      = (*Protocol)(nil)
)

// New prepares the protocol. Requests go out by base, which has the limits, and
// without credentials. An address that cannot be used is an error.
func New(s Settings, base http.RoundTripper) (*Protocol, error) {
	p := &Protocol{settings: s}
	if s.Registry == "" {
		return p, nil
	}
	var err error
	if p.registry, err = p.upstream(s.Registry); err != nil {
		return nil, fmt.Errorf("npm registry: %w", err)
	}
	p.registry.Origin = true
	for _, address := range s.Mirrors {
		u, err := p.upstream(address)
		if err != nil {
			return nil, fmt.Errorf("npm mirror: %w", err)
		}
		p.mirrors = append(p.mirrors, u)
	}
	return p, nil
}

// Look gives the protocol the means to look up the hash of an archive.
func (p *Protocol) Look(find func(context.Context, gateway.Asset) (*gateway.Body, error)) {
	p.find = find
}

// The origins of assets: what is private is had from the registry alone.
const (
	public  = "npm"
	private = "npm, private"
)

// Upstreams returns where the content of an origin may be had.
func (p *Protocol) Upstreams(origin string) []gateway.Upstream {
	switch {
	case p.registry.Base == "":
		return nil
	case origin == private:
		return []gateway.Upstream{p.registry}
	}
	return append(p.mirrors[:len(p.mirrors):len(p.mirrors)], p.registry)
}

// origin returns whose upstreams have a package.
func (p *Protocol) origin(name string) (string, error) {
	for _, s := range p.settings.Others {
		if scope(name) == s {
			return "", &gateway.AnswerError{Code: http.StatusForbidden,
				Err: fmt.Errorf("%s is not asked for here: %s has a registry of its own, which the client's .npmrc must name", name, s)}
		}
	}
	for _, pattern := range p.settings.Private {
		if begin, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, begin) || name == pattern || scope(name) == pattern {
			return private, nil
		}
	}
	return public, nil
}

// Respond answers what needs no registry.
func (p *Protocol) Respond(w http.ResponseWriter, r *http.Request) bool {
	rest := cut(r.URL.Path)
	if rest != "" && rest != "-/ping" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
	return true
}

// WriteError writes an error as registries do. Clients show its text. Where the
// client named a hash that the registry has none of, it is the client who has to
// look, and another try would be in vain.
func (p *Protocol) WriteError(w http.ResponseWriter, r *http.Request, code int, err error) {
	if code == http.StatusBadGateway && fault.Of(err) == fault.Corrupt && p.contradicted(r) {
		code, err = http.StatusUnprocessableEntity, fmt.Errorf("integrity checksum failed: the lock file names another hash than the registry: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// Header says on what the form of a document depends.
func (p *Protocol) Header(h http.Header, a gateway.Asset) {
	if a.Small {
		h.Set("Vary", "Accept, User-Agent")
	}
}

// The media types of documents: all of one, and what an installation needs.
const (
	full        = "application/json"
	abbreviated = "application/vnd.npm.install-v1+json"
)

// Asset reads what r asks for.
func (p *Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	path := r.URL.EscapedPath()
	q, err := parse(cut(path))
	if err == nil && !Serves(path) {
		err = fmt.Errorf("%.200q is no archive", path)
	}
	if err != nil {
		return gateway.Asset{}, notFound(err)
	}
	origin, err := p.origin(q.name)
	if err != nil {
		return gateway.Asset{}, err
	}
	if q.kind == archive {
		return p.archive(r, q, origin)
	}
	a := p.document(q, origin, strings.Contains(r.Header.Get("Accept"), abbreviated))
	if strings.Contains(r.Header.Get("Cache-Control"), "no-cache") {
		a.Fresh = 0
	}
	return a, nil
}

// notFound is for what registries do not have, or the gateway does not: audits,
// searches, logins. Clients go on without, or say so, and try no second time.
func notFound(err error) error {
	return &gateway.AnswerError{Code: http.StatusNotFound, Err: fmt.Errorf("not found: %w", err)}
}

// document returns the document that q asks for, in the short form or in full.
func (p *Protocol) document(q request, origin string, short bool) gateway.Asset {
	a := gateway.Asset{
		Name:   q.name,
		Origin: origin,
		Path:   escape(q.name),
		Accept: full,
		Small:  true,
		Limit:  largest,
		Packed: true,
		Fresh:  fresh,
	}
	switch q.kind {
	case oneRelease:
		a.Name += "@" + q.rest
		a.Path += "/" + q.rest
	case distTags:
		a.Path = "-/package/" + a.Path + "/dist-tags"
	case wholeDocument:
		if short {
			a.Accept = abbreviated + "; q=1.0, " + full + "; q=0.8, */*"
		}
	}
	a.Key = "npm/" + p.registry.Base + a.Path
	if a.Accept != full {
		a.Key += " short"
	}
	a.Check = func(body []byte) error { return check(q, body) }
	return a
}

// check refuses what cannot be the answer to q.
func check(q request, body []byte) error {
	wrong := func(err error) error { return &fault.Error{Op: "read", Kind: fault.Rejected, Err: err} }
	if q.kind == distTags {
		var tags map[string]string
		if json.Unmarshal(body, &tags) != nil {
			return wrong(errors.New("no list of tags"))
		}
		return nil
	}
	d, err := read(body)
	switch {
	case err != nil:
		return wrong(err)
	case d.name != q.name:
		return wrong(fmt.Errorf("a document of %.100q came for %s", d.name, q.name))
	}
	return nil
}

// Learn keeps in mind what a document says of archives.
func (p *Protocol) Learn(a gateway.Asset, body []byte) {
	d, err := read(body)
	if err != nil || d.name == "" {
		return
	}
	p.known.add(d)
}

// Succeed returns an error where next changes a hash.
func (p *Protocol) Succeed(before, next []byte) error {
	b, err := read(before)
	if err != nil {
		return nil // a list of tags
	}
	n, err := read(next)
	if err != nil {
		return nil
	}
	return succeed(b, n)
}

// Rewrite leads the readers of a document back to the gateway.
func (p *Protocol) Rewrite(r *http.Request, _ *gateway.Asset, body []byte) ([]byte, error) {
	d, err := read(body)
	if err != nil || len(d.releases) == 0 {
		return body, nil // a list of tags
	}
	base, err := p.base(r)
	if err != nil {
		return nil, err
	}
	return rewrite(body, d.releases, func(r release) string {
		if !versionForm.MatchString(r.version) || !p.ours(r.tarball, d.name, r.version) {
			return ""
		}
		return base + archivePath(d.name, r.version)
	}), nil
}

// base returns what the addresses of archives begin with for the client that
// sent r.
func (p *Protocol) base(r *http.Request) (string, error) {
	if strings.HasPrefix(r.URL.Path, Kept) && strings.HasPrefix(r.UserAgent(), "npm/") {
		return p.registry.Base, nil
	}
	address, err := gateway.Address(r)
	return address + Prefix, err
}
