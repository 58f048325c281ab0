package outlast

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"

	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/apk"
	"github.com/outlast-build/outlast/gateway/deb"
	"github.com/outlast-build/outlast/gateway/forward"
	"github.com/outlast-build/outlast/gateway/git"
	"github.com/outlast-build/outlast/gateway/gomod"
	"github.com/outlast-build/outlast/gateway/npm"
	"github.com/outlast-build/outlast/gateway/pypi"
	"github.com/outlast-build/outlast/gateway/web"
)

// A service is an ecosystem at its place on the gateway's port.
type service struct {
	manager string // as a Need names it
	prefix  string
	mirror  *gateway.Mirror
}

// ServeHTTP answers for all ecosystems on one port: what is asked of a proxy,
// what begins with an ecosystem's prefix, and, for all else, registries.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if forward.Is(r) {
		g.proxy.ServeHTTP(w, r)
		return
	}
	if g.git != nil && strings.HasPrefix(r.URL.Path, git.Prefix) {
		g.git.ServeHTTP(w, r)
		return
	}
	for _, s := range g.services {
		if strings.HasPrefix(r.URL.Path, s.prefix) {
			s.mirror.ServeHTTP(w, r)
			return
		}
	}
	// npm drops the path of its registry from addresses whose host it replaces.
	if s := g.service("npm"); s != nil && !strings.HasPrefix(r.URL.Path, "/v2/") && npm.Serves(r.URL.EscapedPath()) {
		s.mirror.ServeHTTP(w, r)
		return
	}
	g.Mirror.ServeHTTP(w, r)
}

func (g *Gateway) service(manager string) *service {
	for i := range g.services {
		if g.services[i].manager == manager {
			return &g.services[i]
		}
	}
	return nil
}

// Serves reports whether the gateway knows where a manager's packages are.
func (g *Gateway) Serves(manager string) bool {
	return g.service(family(manager)) != nil
}

// addPackages adds the ecosystems that there are sources for, and the proxy.
// Settings that cannot be used are a warning: they may be another program's.
func (g *Gateway) addPackages(o GatewayOptions) {
	warn := func(err error) {
		if o.Warn != nil {
			o.Warn(fmt.Sprintf("packages are not served: %v", err))
		}
	}
	if p := o.Packages.Go; len(p.Proxies) > 0 {
		protocol, err := gomod.New(p, g.fetcher.Transport())
		if err != nil && p.SumDB != "" {
			warn(err)
			p.SumDB = ""
			protocol, err = gomod.New(p, g.fetcher.Transport())
		}
		if err != nil {
			warn(err)
		} else {
			g.add("go", gomod.Prefix, g.mirrorOf(protocol, g.fetcher, protocol.Upstreams, o))
		}
	}
	if p := o.Packages.NPM; p.Registry != "" {
		protocol, err := npm.New(p, g.fetcher.Transport())
		if err != nil {
			warn(err)
		} else {
			if at := address(p.Registry); at != nil {
				g.npmHost = at.Hostname()
			}
			g.add("npm", npm.Prefix, g.mirrorOf(protocol, g.fetcher, protocol.Upstreams, o))
		}
	}
	if p := o.Packages.Python; p.Index != "" {
		protocol, err := pypi.New(p, g.fetcher.Transport())
		if err != nil {
			warn(err)
		} else {
			g.add("pip", pypi.Prefix, g.mirrorOf(protocol, g.fetcher, protocol.Upstreams, o))
		}
	}
	g.addFiles(o, warn)
	g.addApk(o, warn)
	g.addProxy(o, warn)
}

// addFiles adds what ADD asks web servers for, files and repositories: those of the settings, and those
// that the build names.
func (g *Gateway) addFiles(o GatewayOptions, warn func(error)) {
	guard := forward.Guard{Hosts: o.Packages.Hosts}
	g.strict = &fetch.Fetcher{Limits: g.fetcher.Limits, Board: g.fetcher.Board, OnTry: o.OnTry, Budget: g.fetcher.Budget, Permit: guard.Permit}
	sites, err := gateway.NewSites(o.Packages.Files)
	if err == nil {
		err = sites.Allow(o.Files...)
	}
	if err != nil {
		warn(err)
		return
	}
	g.add("files", web.Prefix, g.mirrorOf(web.Protocol{}, g.strict, sites.Upstreams, o))
	g.git = &git.Proxy{Fetcher: g.strict, Upstreams: sites.Upstreams, Offline: o.Offline, OnTry: o.OnTry, OnServe: o.OnServe}
	if g.store != nil {
		g.git.Store = g.store
	}
}

// addApk adds repositories of Alpine packages: those of the settings, and those
// that base images name.
func (g *Gateway) addApk(o GatewayOptions, warn func(error)) {
	sites, err := gateway.NewSites(o.Packages.Apk)
	if err != nil {
		warn(err)
		return
	}
	g.apk = sites
	g.add("apk", apk.Prefix, g.mirrorOf(new(apk.Protocol), g.strict, sites.Upstreams, o))
}

func (g *Gateway) add(manager, prefix string, m *gateway.Mirror) {
	m.Serves = manager
	g.services = append(g.services, service{manager, prefix, m})
}

// mirrorOf is a mirror with the gateway's store.
func (g *Gateway) mirrorOf(e gateway.Ecosystem, f *fetch.Fetcher, upstreams func(string) []gateway.Upstream, o GatewayOptions) *gateway.Mirror {
	m := &gateway.Mirror{Ecosystem: e, Fetcher: f, Upstreams: upstreams, OnServe: o.OnServe, Offline: o.Offline}
	if g.store != nil {
		m.Store = g.store
	}
	return m
}

// addProxy adds the proxy, and what it hands to archives of Debian packages:
// apt asks it for whatever host its sources name.
func (g *Gateway) addProxy(o GatewayOptions, warn func(error)) {
	guard := forward.Guard{Hosts: o.Packages.Hosts, Private: o.Once}
	g.guarded = &fetch.Fetcher{Limits: g.fetcher.Limits, Board: g.fetcher.Board, OnTry: o.OnTry, Budget: g.fetcher.Budget, Permit: guard.Permit}
	g.proxy = &forward.Proxy{Fetcher: g.guarded, Targets: guard.Hosts, Offline: o.Offline}
	sites, err := gateway.NewSites(o.Packages.Apt)
	if err != nil {
		warn(err)
		sites, _ = gateway.NewSites(nil)
	}
	archives := g.mirrorOf(new(deb.Protocol), g.guarded, sites.Upstreams, o)
	g.add("apt", deb.Prefix, archives)
	g.proxy.Takes, g.proxy.Files = ofArchive, allowing{archives, sites, new(atomic.Int64)}
}

// maxSites bounds the hosts that are learnt from requests.
const maxSites = 4096

// allowing hands on requests for hosts that no setting names.
type allowing struct {
	next  http.Handler
	sites *gateway.Sites
	seen  *atomic.Int64
}

func (a allowing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.sites.Upstreams("http://"+strings.ToLower(r.URL.Host)) == nil && a.seen.Add(1) <= maxSites {
		if err := a.sites.Allow(r.URL.Host); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	a.next.ServeHTTP(w, r)
}

// ofArchive reports whether a request is for a file of an archive of Debian
// packages, by where those lie and what they are called.
func ofArchive(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "" {
		return false
	}
	p := r.URL.Path
	switch path.Base(p) {
	case "InRelease", "Release", "Release.gpg":
		return true
	}
	return strings.Contains(p, "/dists/") || strings.HasSuffix(p, ".deb")
}

func (g *Gateway) startPackages(ctx context.Context) {
	for _, s := range g.services {
		s.mirror.Start(ctx)
	}
}

func (g *Gateway) closePackages() {
	for _, s := range g.services {
		s.mirror.Close()
	}
	g.guarded.CloseIdleConnections()
	g.strict.CloseIdleConnections()
}
