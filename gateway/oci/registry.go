package oci

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/outlast-build/outlast/gateway"
)

// A Registry is an origin of images and the mirrors that stand in for it.
type Registry struct {
	Host    string   // as references name it: docker.io
	Origin  string   // its address: https://registry-1.docker.io; empty means https://HOST, and http:// for loopback
	Mirrors []Mirror // in the order of preference
	Tokens  []string // hosts of token endpoints that may get the origin's login besides its own family

	Anonymous bool // the origin never gets a login
}

// A Mirror is a place that may have a registry's content.
type Mirror struct {
	URL  string // its address; a path is put before repositories: https://public.ecr.aws/docker/library
	Only string // the beginning of the repositories that it has, which it leaves out: library/
	Tags bool   // what it says of a tag is believed

	Anonymous bool // it never gets a login
}

// Registries knows where each registry's content may be had. Its methods may
// be called at once from many places.
type Registries struct {
	base http.RoundTripper
	keys Keychain

	mu    sync.Mutex
	known map[string][]gateway.Upstream
	home  map[string]Registry // as it was told, with its origin
}

// NewRegistries prepares the upstreams of each registry. Requests go out by
// base, which has the limits, and with the logins of keys; nil keys mean that
// all is anonymous. An address that cannot be used is an error.
func NewRegistries(list []Registry, base http.RoundTripper, keys Keychain) (*Registries, error) {
	rs := &Registries{base: base, keys: keys, known: make(map[string][]gateway.Upstream), home: make(map[string]Registry)}
	for _, r := range list {
		if err := rs.add(r); err != nil {
			return nil, err
		}
	}
	return rs, nil
}

// Allow adds registries that have no settings: those that a build's Dockerfile
// names. It changes nothing of what is known. A host that is none is an error.
func (rs *Registries) Allow(hosts ...string) error {
	for _, host := range hosts {
		named := host
		host, ok := registryHost(named)
		if !ok {
			return fmt.Errorf("%q is no registry", named)
		}
		if rs.Upstreams(host) != nil {
			continue
		}
		if err := rs.add(Registry{Host: host}); err != nil {
			return err
		}
	}
	return nil
}

// Upstreams returns where the content of host may be had, the mirrors in front
// of their origin as in stock tools, or nil where host is not known.
func (rs *Registries) Upstreams(host string) []gateway.Upstream {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	host, _ = registryHost(host)
	return rs.known[host]
}

// Hosts lists the registries that are known.
func (rs *Registries) Hosts() []string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	hosts := make([]string, 0, len(rs.known))
	for h := range rs.known {
		hosts = append(hosts, h)
	}
	return hosts
}

func (rs *Registries) add(r Registry) error {
	host, ok := registryHost(r.Host)
	if !ok {
		return fmt.Errorf("%q is no registry", r.Host)
	}
	if r.Origin == "" {
		r.Origin = defaultOrigin(host)
	}
	origin, err := rs.upstream(Mirror{URL: r.Origin, Tags: true, Anonymous: r.Anonymous}, r.Tokens)
	if err != nil {
		return fmt.Errorf("registry %s: origin: %w", host, err)
	}
	origin.Origin = true
	var all []gateway.Upstream
	for _, m := range r.Mirrors {
		u, err := rs.upstream(m, nil)
		if err != nil {
			return fmt.Errorf("registry %s: mirror: %w", host, err)
		}
		all = append(all, u)
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.known[host], rs.home[host] = append(all, origin), r
	return nil
}

// origin returns the address below which the repositories of a known registry
// lie, and a transport to it that stands on base and asks for tokens of scope.
func (rs *Registries) origin(host string, base http.RoundTripper, scope string) (string, http.RoundTripper, error) {
	rs.mu.Lock()
	r, ok := rs.home[host]
	rs.mu.Unlock()
	if !ok {
		return "", nil, fmt.Errorf("%q is no registry that is known", host)
	}
	at, err := url.Parse(r.Origin) // which was checked when it was added
	if err != nil {
		return "", nil, err
	}
	auth := &upstreamAuth{host: at.Host, scheme: at.Scheme, base: base, keys: rs.keys, realms: r.Tokens, scope: scope}
	if r.Anonymous {
		auth.keys = nil
	}
	return baseOf(at), auth, nil
}

// baseOf is the address that repositories stand behind: https://HOST/v2/PATH/.
func baseOf(at *url.URL) string {
	prefix := strings.Trim(at.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return at.Scheme + "://" + at.Host + "/v2/" + prefix
}

// defaultOrigin is the address that docker and containerd derive from a host:
// plain HTTP for loopback alone.
func defaultOrigin(host string) string {
	switch {
	case host == dockerHub:
		return "https://registry-1.docker.io"
	case Loopback(host):
		return "http://" + host
	}
	return "https://" + host
}

// Loopback reports whether a host, with or without a port, is this machine.
func Loopback(host string) bool {
	name := hostname(host)
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

func (rs *Registries) upstream(m Mirror, tokens []string) (gateway.Upstream, error) {
	at, err := url.Parse(m.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return gateway.Upstream{}, fmt.Errorf("%q is no address of a registry: want https://HOST[:PORT][/PATH]", m.URL)
	}
	keys := rs.keys
	if m.Anonymous {
		keys = nil
	}
	base := baseOf(at)
	return gateway.Upstream{
		Endpoint: at.Host,
		Base:     base,
		Moving:   m.Tags,
		Transport: &upstreamAuth{
			host: at.Host, scheme: at.Scheme, base: rs.base, keys: keys, realms: tokens,
		},
		Locate: func(a gateway.Asset) (string, bool) {
			rest, ok := strings.CutPrefix(a.Path, m.Only)
			return base + rest, ok
		},
	}, nil
}
