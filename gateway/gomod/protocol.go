// Package gomod is the module proxy protocol of Go, as the go command speaks it
// to what GOPROXY names, with the checksum database behind it. It never asks a
// proxy for a private module, and never serves a module that is not what its
// path and version say.
package gomod

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where the protocol is served: GOPROXY is the gateway's address with
// Prefix behind it.
const Prefix = "/go/"

// fresh is how long a list of versions needs no new one: as long as it takes to
// resolve one build's modules.
const fresh = time.Minute

// Settings say where modules may be had.
type Settings struct {
	Proxies []string // addresses, in the order of preference; a user in them is that host's login
	SumDB   string   // as GOSUMDB has it: NAME, or NAME+HASH+KEY with an address behind it or without; empty or off: none
	Private string   // patterns of modules that no proxy is asked for, as GONOPROXY or GOPRIVATE has them
	NoSum   string   // patterns of modules that no checksum database is asked for, as GONOSUMDB or GOPRIVATE has them
}

// Protocol is the module proxy protocol, as an ecosystem of the gateway. Its
// methods may be called at once from many places.
type Protocol struct {
	settings Settings
	proxies  []gateway.Upstream
	database *database // nil where there is none
}

var (
	_ gateway.Ecosystem = (*Protocol)(nil)
	_ gateway.Responder = (*Protocol)(nil)
	_ gateway.Looker    = (*Protocol)(nil)
)

// New prepares the protocol. Requests go out by base, which has the limits. An
// address or a key that cannot be used is an error.
func New(s Settings, base http.RoundTripper) (*Protocol, error) {
	p := &Protocol{settings: s}
	for _, proxy := range s.Proxies {
		u, err := upstream(proxy, base)
		if err != nil {
			return nil, fmt.Errorf("go proxy: %w", err)
		}
		p.proxies = append(p.proxies, u)
	}
	var err error
	if p.database, err = newDatabase(s.SumDB, base); err != nil {
		return nil, fmt.Errorf("go checksum database: %w", err)
	}
	return p, nil
}

// Look gives the protocol the means to look things up in the checksum database.
func (p *Protocol) Look(find func(context.Context, gateway.Asset) (*gateway.Body, error)) {
	if p.database != nil {
		p.database.prepare(find)
	}
}

// The origins of assets: modules come from proxies, and what a checksum database
// says comes from it and from the proxies that pass it on.
const (
	fromProxies  = "go"
	fromDatabase = "sumdb/" // with its name
)

// Upstreams returns where the content of an origin may be had. All that proxies
// say has the same weight: a no counts where it is the word of all.
func (p *Protocol) Upstreams(origin string) []gateway.Upstream {
	name, ok := strings.CutPrefix(origin, fromDatabase)
	if !ok || p.database == nil || p.database.name != name {
		return p.proxies
	}
	return append(p.proxies[:len(p.proxies):len(p.proxies)], p.database.upstream)
}

// Respond says that the checksum database is served, for the one that the
// settings name: else the go command would go there by itself.
func (p *Protocol) Respond(w http.ResponseWriter, r *http.Request) bool {
	return p.database != nil && r.URL.Path == Prefix+fromDatabase+p.database.name+"/supported" && r.Method == http.MethodGet
}

// Asset reads what r asks for.
func (p *Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	path, err := pathOf(r.URL)
	if err != nil {
		return gateway.Asset{}, err
	}
	if rest, ok := strings.CutPrefix(path, fromDatabase); ok {
		return p.sums(rest)
	}
	q, err := parse(path)
	if err != nil {
		return gateway.Asset{}, notFound("%v", err)
	}
	if module.MatchPrefixPatterns(p.settings.Private, q.module) {
		return gateway.Asset{}, notFound("%s is private: it is had from its own host alone", q.module)
	}
	return p.asset(q), nil
}

func pathOf(u *url.URL) (string, error) {
	path, ok := strings.CutPrefix(u.Path, Prefix)
	if !ok || strings.Contains(strings.ToLower(u.RawPath), "%2f") || len(path) > maxPath {
		return "", notFound("%.200q is no path of the protocol", u.Path)
	}
	return path, nil
}

// notFound is what makes the go command go on to the next entry of its GOPROXY.
func notFound(format string, args ...any) error {
	return &gateway.AnswerError{Code: http.StatusNotFound, Err: fmt.Errorf("not found: "+format, args...)}
}

func (p *Protocol) asset(q request) gateway.Asset {
	a := gateway.Asset{
		Key:    "go/" + q.path,
		Name:   q.module + "@" + q.version,
		Origin: fromProxies,
		Path:   q.path,
		Type:   q.kind.media,
		Small:  q.kind.small,
	}
	if q.moves() {
		a.Name = strings.TrimSuffix(a.Name, "@")
		a.Small, a.Fresh = true, fresh
		a.Check = func(body []byte) error { return q.kind.check(q, body) }
		return a
	}
	a.Name += " " + q.kind.name
	a.Prove = p.prover(q)
	return a
}

// errNoDatabase says that nobody vouches for a module.
var errNoDatabase = errors.New("no checksum database vouches for it")
