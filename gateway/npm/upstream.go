package npm

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/gateway"
)

// upstream returns the registry at address.
func (p *Protocol) upstream(address string) (gateway.Upstream, error) {
	at, err := url.Parse(address)
	switch {
	case err != nil:
		return gateway.Upstream{}, errors.New("the address cannot be read") // it may hold a password
	case at.User != nil:
		return gateway.Upstream{}, fmt.Errorf("%s: credentials do not belong into an address", at.Host)
	case at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.RawQuery != "" || at.Fragment != "":
		return gateway.Upstream{}, fmt.Errorf("%q is no address of a registry: want https://HOST[:PORT][/PATH]", address)
	}
	base := strings.TrimRight(at.String(), "/") + "/"
	return gateway.Upstream{
		Endpoint: at.Host,
		Base:     base,
		Moving:   true,
		Locate:   func(a gateway.Asset) (string, bool) { return p.locate(at, base, a), true },
	}, nil
}

// locate returns the address of a at the registry with the given base. Archives
// may stand elsewhere on the registry's own host, where a document says so.
func (p *Protocol) locate(at *url.URL, base string, a gateway.Asset) string {
	usual := base + a.Path
	q, err := parse(a.Path)
	if err != nil || q.kind != archive || base != p.registry.Base {
		return usual
	}
	r, ok := p.known.release(q.name, q.rest)
	if !ok || strings.HasSuffix(r.tarball, "/"+a.Path) {
		return usual
	}
	to, err := url.Parse(r.tarball)
	if err != nil || to.Host != at.Host || to.Scheme != at.Scheme || to.User != nil {
		return usual
	}
	return r.tarball
}

// ours reports whether the archive at an address can be had from the registry
// or its mirrors. What stands elsewhere is left to its own host.
func (p *Protocol) ours(address, name, version string) bool {
	if strings.HasSuffix(address, "/"+archivePath(name, version)) {
		return true
	}
	at, err := url.Parse(address)
	return err == nil && slices.ContainsFunc(p.Upstreams(public), func(u gateway.Upstream) bool { return u.Endpoint == at.Host })
}
