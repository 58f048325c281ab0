// Package pypi is the protocol of Python's package indexes, as pip, poetry and
// uv speak it. Files are proved by the hashes that the index names, and the
// index leads its readers back to the gateway, to whatever host its files stand
// on. It never asks a mirror for a project that is private, and never writes to
// an index.
package pypi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where the protocol is served, and Index the index below it, which
// clients are told.
const (
	Prefix = "/pypi/"
	Index  = Prefix + "simple/"
)

// fresh is how long an index needs no new one: what PyPI says itself of its own
// is ten minutes, and pip asks each time.
const fresh = time.Minute

// largest bounds an index: the largest that are known have some 20 MB.
const largest = 64 << 20

// maxMetadata bounds the metadata of a file: most have a few kB.
const maxMetadata = 16 << 20

// Settings say where projects may be had.
type Settings struct {
	Index   string   // the address of the index, as PIP_INDEX_URL has it; empty: nothing is served
	Mirrors []string // addresses of indexes that stand in for it, in the order of preference
	Private []string // projects, and beginnings of them (acme-*), that the index alone is asked for
}

// Protocol is an index as an ecosystem of the gateway. Its methods may be called
// at once from many places.
type Protocol struct {
	settings Settings
	at       *url.URL
	index    gateway.Upstream
	mirrors  []gateway.Upstream
	find     func(context.Context, gateway.Asset) (*gateway.Body, error)
}

var (
	_ gateway.Ecosystem = (*Protocol)(nil)
	_ gateway.Rewriter  = (*Protocol)(nil)
	_ gateway.Successor = (*Protocol)(nil)
	_ gateway.Looker    = (*Protocol)(nil)
	_ gateway.Header    = (*Protocol)(nil)
)

// New prepares the protocol. Requests go out by base, which has the limits, and
// without credentials. An address that cannot be used is an error.
func New(s Settings, base http.RoundTripper) (*Protocol, error) {
	p := &Protocol{settings: s}
	if s.Index == "" {
		return p, nil
	}
	var err error
	if p.at, err = address(s.Index); err != nil {
		return nil, fmt.Errorf("python index: %w", err)
	}
	p.index = upstream(p.at)
	p.index.Origin = true
	for _, m := range s.Mirrors {
		at, err := address(m)
		if err != nil {
			return nil, fmt.Errorf("mirror of the python index: %w", err)
		}
		p.mirrors = append(p.mirrors, upstream(at))
	}
	return p, nil
}

// address reads the address of an index. It ends with a slash.
func address(text string) (*url.URL, error) {
	at, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the address cannot be read") // it may hold a password
	case at.User != nil:
		return nil, fmt.Errorf("%s: credentials do not belong into an address", at.Host)
	case at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.RawQuery != "" || at.Fragment != "":
		return nil, fmt.Errorf("%q is no address of an index: want https://HOST[:PORT]/PATH", text)
	}
	at.Path, at.RawPath = strings.TrimRight(at.Path, "/")+"/", ""
	return at, nil
}

func upstream(at *url.URL) gateway.Upstream {
	return gateway.Upstream{
		Endpoint: at.Host,
		Base:     at.String(),
		Moving:   true,
		Locate:   func(a gateway.Asset) (string, bool) { return locate(at, a.Path) },
	}
}

// locate returns the address of what path says at the index at. What stands on
// another host may be beside the index there: the mirrors of PyPI have its
// packages so.
func locate(at *url.URL, path string) (string, bool) {
	to, err := url.Parse(path)
	if err != nil {
		return "", false
	}
	if to.Host == "" || to.Host == at.Host {
		return at.ResolveReference(to).String(), true
	}
	i := strings.Index(to.EscapedPath(), "/packages/")
	if i < 0 {
		return "", false
	}
	beside, err := url.Parse(".." + to.EscapedPath()[i:])
	if err != nil {
		return "", false
	}
	return at.ResolveReference(beside).String(), true
}

// Look gives the protocol the means to look up what an index says of a file.
func (p *Protocol) Look(find func(context.Context, gateway.Asset) (*gateway.Body, error)) {
	p.find = find
}

// The origins of assets. What is private is had from the index alone; files on a
// host of their own are had from there too.
const (
	public  = "pypi"
	private = "pypi, private"
	on      = " on " // and the scheme and host of a file
)

// Upstreams returns where the content of an origin may be had.
func (p *Protocol) Upstreams(origin string) []gateway.Upstream {
	if p.at == nil {
		return nil
	}
	origin, host, _ := strings.Cut(origin, on)
	var all []gateway.Upstream
	if at, err := url.Parse(host); err == nil && host != "" {
		all = append(all, gateway.Upstream{Endpoint: at.Host, Base: host + "/", Moving: true,
			Locate: func(a gateway.Asset) (string, bool) { return a.Path, true }})
	}
	if origin != private {
		all = append(all, p.mirrors...)
	}
	return append(all, p.index)
}

// origin returns whose upstreams have a project.
func (p *Protocol) origin(name string) string {
	for _, pattern := range p.settings.Private {
		begin, ok := strings.CutSuffix(pattern, "*")
		if ok && strings.HasPrefix(name, normal(begin)) || name == normal(pattern) {
			return private
		}
	}
	return public
}

// Header says that an index comes in two forms.
func (p *Protocol) Header(h http.Header, a gateway.Asset) {
	if a.HTML {
		h.Set("Vary", "Accept")
	}
}

// Asset reads what r asks for.
func (p *Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), Prefix)
	q, err := parse(rest)
	if !ok || err != nil {
		return gateway.Asset{}, notFound(fmt.Errorf("%.200q is no path of an index", r.URL.Path))
	}
	if q.file == "" {
		return p.project(q.name), nil
	}
	return p.file(r.Context(), q)
}

// notFound is for what an index does not have, or the gateway does not: the list
// of all projects, and what is beside the index.
func notFound(err error) error {
	return &gateway.AnswerError{Code: http.StatusNotFound, Err: fmt.Errorf("not found: %w", err)}
}

// The media types of an index.
const (
	asJSON = "application/vnd.pypi.simple.v1+json"
	asHTML = "application/vnd.pypi.simple.v1+html"
	asPage = "text/html"
)

// project returns the index of a project, in whatever form the upstream has it:
// clients get the one that they read.
func (p *Protocol) project(name string) gateway.Asset {
	return gateway.Asset{
		Key:    "pypi/" + p.index.Base + name + "/",
		Name:   name,
		Origin: p.origin(name),
		Path:   name + "/",
		Accept: asJSON + ", " + asHTML + "; q=0.2, " + asPage + "; q=0.01",
		Small:  true,
		Limit:  largest,
		Packed: true,
		HTML:   true,
		Fresh:  fresh,
		Check: func(body []byte) error {
			_, err := check(name, body)
			switch {
			case errors.Is(err, errNoIndex):
				return &fault.Error{Op: "read", Kind: fault.HTML, Err: err}
			case err != nil:
				return &fault.Error{Op: "read", Kind: fault.Rejected, Err: err}
			}
			return nil
		},
	}
}

// file returns a file of a project, with what the index says of it.
func (p *Protocol) file(ctx context.Context, q request) (gateway.Asset, error) {
	a := gateway.Asset{Name: q.file, Origin: p.origin(q.name), Type: "application/octet-stream"}
	if p.at == nil {
		return a, nil // nobody is asked
	}
	f, err := p.lookUp(ctx, q)
	if err != nil {
		return a, err
	}
	to, ok := p.lead(q.name, f.URL)
	if !ok {
		return a, notFound(fmt.Errorf("the index leads to %.200q for %s, where it must not lead", f.URL, q.file))
	}
	a.Path = fromTop(q.name, f.URL)
	if to.Host != p.at.Host {
		a.Path, a.Origin = to.String(), a.Origin+on+to.Scheme+"://"+to.Host
	}
	hashes := f.Hashes
	if q.meta {
		if hashes = f.metadata(); hashes == nil {
			return a, notFound(fmt.Errorf("%s has no metadata that a hash proves", q.file))
		}
		path, err := url.Parse(a.Path)
		if err != nil {
			return a, notFound(err)
		}
		path.Path, path.RawPath = path.Path+".metadata", ""
		a.Path, a.Name = path.String(), a.Name+".metadata"
		a.Small, a.Limit = true, maxMetadata
	}
	a.Key = "pypi/" + p.index.Base + q.name + "/" + a.Name
	return proved(a, q.file, hashes), nil
}

// fromTop returns a reference of a project's index as one of the whole index.
func fromTop(name, reference string) string {
	to, err := url.Parse(reference)
	if err != nil || to.Host != "" || strings.HasPrefix(to.Path, "/") {
		return reference
	}
	return name + "/" + reference
}

// lead returns the address that the index of a project leads to, or false where
// it must not: away from a secure connection, or into this machine's own network.
func (p *Protocol) lead(name, reference string) (*url.URL, bool) {
	to, err := url.Parse(reference)
	if err != nil {
		return nil, false
	}
	to = p.at.JoinPath(name, "/").ResolveReference(to)
	for _, host := range append(p.mirrors[:len(p.mirrors):len(p.mirrors)], p.index) {
		if to.Host == host.Endpoint && strings.HasPrefix(host.Base, to.Scheme+":") && to.User == nil {
			return to, true
		}
	}
	if ip, err := netip.ParseAddr(to.Hostname()); err == nil && (ip.Unmap().IsPrivate() || ip.IsMulticast()) {
		return nil, false
	}
	return to, fetch.MayLead(p.at, to) == nil
}

// lookUp finds what the index says of a file: what it said last, for files never
// change, else what it says now.
func (p *Protocol) lookUp(ctx context.Context, q request) (file, error) {
	a := p.project(q.name)
	a.Stored = true
	if f, err := p.fileIn(ctx, a, q); err == nil {
		return f, nil
	}
	a.Stored = false
	return p.fileIn(ctx, a, q)
}

func (p *Protocol) fileIn(ctx context.Context, a gateway.Asset, q request) (file, error) {
	b, err := p.find(ctx, a)
	if err != nil {
		return file{}, err
	}
	defer b.Close()
	x, err := read(b.Bytes())
	if err != nil {
		return file{}, err
	}
	for _, f := range x.Files {
		if f.Name == q.file {
			return f, nil
		}
	}
	return file{}, notFound(fmt.Errorf("the index of %s has no file %s", q.name, q.file))
}

// Succeed returns an error where next changes a hash.
func (p *Protocol) Succeed(before, next []byte) error {
	b, err := read(before)
	if err != nil {
		return nil // it is believed no more
	}
	n, err := read(next)
	if err != nil {
		return err
	}
	return succeed(b, n)
}

// Rewrite leads the readers of an index back to the gateway, in the form that
// they read.
func (p *Protocol) Rewrite(r *http.Request, a *gateway.Asset, body []byte) ([]byte, error) {
	if !a.HTML {
		return body, nil
	}
	name := strings.TrimSuffix(a.Path, "/")
	x, err := check(name, body)
	if err != nil {
		return nil, err
	}
	own, err := gateway.Address(r)
	if err != nil {
		return nil, err
	}
	x.Name = name
	files := x.Files
	x.Files = make([]file, 0, len(files))
	for _, f := range files {
		if _, ok := p.lead(name, f.URL); !ok || !fileForm.MatchString(f.Name) {
			continue
		}
		f.URL = own + Prefix + filePath(name, f.Name)
		f.Core = f.metadata().said()
		f.DistInfo = f.Core
		x.Files = append(x.Files, f)
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	switch {
	case strings.Contains(accept, "simple.v1+json") || strings.Contains(accept, "simple.latest+json"):
		a.Type = asJSON
		return x.asJSON()
	case strings.Contains(accept, asHTML):
		a.Type = asHTML
	default:
		a.Type = asPage + "; charset=utf-8"
	}
	return x.asHTML(), nil
}
