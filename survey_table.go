package outlast

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/oci"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/probe"
)

// A survey is the table of checks in the making.
type survey struct {
	SurveyOptions
	images   map[string]string // that the build needs, by registry: the first of each
	hosts    []string          // keys of images, in the order of the Dockerfile
	managers map[string]bool   // package managers that the build calls
	known    addresses

	actions, primary, others, proxies, packages, internet, added, mirrors []probe.Check

	names  map[string]bool // to resolve, and whether the build needs them
	opaque []string        // what the build asks for that no check covers: hosts and package managers
}

func newSurvey(ctx context.Context, o SurveyOptions) *survey {
	s := &survey{SurveyOptions: o, images: make(map[string]string), managers: make(map[string]bool), names: make(map[string]bool)}
	for _, n := range o.Needs {
		s.need(n)
	}
	s.known = findAddresses(ctx, o.Env, o.Settings.Packages, s.managers, o.Settings.Probe.Budget/2)
	s.addActions()
	s.addRegistries()
	s.addProxies()
	s.addPackages()
	s.addChecks()
	s.addInternet()
	return s
}

func (s *survey) need(n dockerfile.Need) {
	switch {
	case n.Registry() && n.Host != "" && len(n.Unset) == 0:
		if _, ok := s.images[n.Host]; !ok {
			s.images[n.Host] = n.Ref
			s.hosts = append(s.hosts, n.Host)
		}
	case n.Kind == dockerfile.Packages:
		s.managers[n.Ref] = true
	default:
		s.opaque = append(s.opaque, cmp.Or(n.Host, string(n.Kind)))
		if n.Host != "" {
			s.name(n.Host, true)
		}
	}
}

// categories are those of the seed's scorecard, and those that needs and
// settings add. What a build needs besides shares the points of its like: each
// registry counts the same, and each ecosystem of packages as much as Go.
func (s *survey) categories() []probe.Category {
	points := s.Settings.Probe.Points
	primary, others := share(points.Registries, len(s.primary), len(s.others))
	goes := min(len(s.proxies), 1)
	proxies, packages := share(points.Proxies, goes, len(s.packages))
	added := 0.0
	for _, k := range s.added {
		added += k.Weight
	}
	all := []probe.Category{
		{Name: health.ActionsCache, Points: float64(points.Actions), Checks: s.actions},
		{Name: health.Registries, Points: primary, Checks: s.primary},
		{Name: health.OtherRegistries, Points: others, Checks: s.others},
		{Name: health.GoProxies, Points: proxies, Checks: s.proxies},
		{Name: health.Packages, Points: packages, Checks: s.packages},
		{Name: health.Names, Points: float64(points.DNS), Checks: s.lookUps()},
		{Name: health.Internet, Points: float64(points.Internet), Checks: s.internet},
		{Name: health.Added, Points: added, Checks: s.added},
		{Name: health.Mirrors, Checks: s.mirrors},
	}
	// What only needs and settings bring is not even named without them.
	return slices.DeleteFunc(all, func(c probe.Category) bool {
		return len(c.Checks) == 0 && slices.Contains([]string{health.OtherRegistries, health.Packages, health.Added, health.Mirrors}, c.Name)
	})
}

// share divides points between a and b by their numbers.
func share(points, a, b int) (float64, float64) {
	if a+b == 0 {
		return float64(points), 0
	}
	each := float64(points) / float64(a+b)
	return each * float64(a), each * float64(b)
}

func (s *survey) env(name string) string {
	for _, e := range slices.Backward(s.Env) {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			return v
		}
	}
	return ""
}

// addActions checks the cache service by the protocol that buildx would use
// (util/buildflags, addGithubToken). Without the token nobody could.
func (s *survey) addActions() {
	gha := ghaOf(s.env)
	u, err := url.Parse(gha.url)
	if !gha.named() || err != nil {
		return
	}
	name := "GHA cache service v1"
	if gha.v2 {
		name = "GHA cache service v2"
	}
	s.name(u.Host, false)
	s.actions = append(s.actions, probe.Check{Name: name, Target: u.Host, Host: u.Host, Question: probe.Actions{
		URL: gha.url, V2: gha.v2, Transport: authorized{"Bearer " + gha.token, s.fetcher().Transport()}}})
}

// authorized adds a credential to the requests that it is given: those to one
// host.
type authorized struct {
	header string
	base   http.RoundTripper
}

// RoundTrip is http.RoundTripper's.
func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", a.header)
	return a.base.RoundTrip(r)
}

// addRegistries checks the primary registries and those that the build needs,
// and the mirrors of the latter.
func (s *survey) addRegistries() {
	for _, sample := range s.Settings.Probe.Registries {
		host, _, err := splitImage(sample)
		if err != nil {
			continue // the settings were checked
		}
		ref, needed := s.images[host]
		if !needed {
			ref = sample
		}
		s.primary = append(s.primary, s.registry(ref, needed, !needed))
	}
	for _, host := range s.hosts {
		if !slices.ContainsFunc(s.primary, func(k probe.Check) bool { return k.For == host }) {
			s.others = append(s.others, s.registry(s.images[host], true, false))
		}
		s.mirrors = append(s.mirrors, s.mirrorsOf(s.images[host])...)
	}
}

// registry is a check of the registry that an image comes from.
func (s *survey) registry(ref string, needed, public bool) probe.Check {
	host, path, err := splitImage(ref)
	if err != nil {
		return broken(ref, err)
	}
	f, ups, err := s.upstreams(host)
	if err != nil {
		return broken(host, err)
	}
	origin := ups[len(ups)-1]
	for _, name := range append([]string{hostname(origin.Endpoint)}, s.tokens(host)...) {
		s.name(name, needed)
	}
	return s.manifest(f, origin, host, path, ref, needed, public)
}

// tokens are the hosts of token endpoints that a registry asks for. An origin
// that settings put in the registry's place does not send there, unless they
// say so.
func (s *survey) tokens(host string) []string {
	is, was := s.Settings.Registry(host), config.DefaultRegistry(host)
	if is.Origin != was.Origin && slices.Equal(is.Tokens, was.Tokens) {
		return nil
	}
	return is.Tokens
}

// mirrorsOf are checks of the mirrors that may have an image.
func (s *survey) mirrorsOf(ref string) []probe.Check {
	host, path, err := splitImage(ref)
	if err != nil {
		return nil
	}
	var all []probe.Check
	for i := range s.Settings.Registry(host).Mirrors {
		f, ups, err := s.upstreams(host)
		if err != nil || i >= len(ups)-1 {
			return all
		}
		if _, ok := ups[i].Locate(gateway.Asset{Path: path}); !ok {
			continue
		}
		k := s.manifest(f, ups[i], host, path, ref, false, true)
		k.Name = ups[i].Endpoint
		all = append(all, k)
	}
	return all
}

func (s *survey) manifest(f *fetch.Fetcher, up gateway.Upstream, host, path, ref string, needed, public bool) probe.Check {
	at, _ := up.Locate(gateway.Asset{Path: path})
	q := probe.Manifest{Ref: strings.TrimPrefix(ref, host+"/"), Public: public, Upstream: probe.Upstream{Fetcher: f,
		Source: fetch.Source{Endpoint: up.Endpoint, URL: at, Transport: up.Transport, Origin: up.Origin}}}
	if _, d, ok := strings.Cut(path, "@"); ok {
		q.Digest = digest.Digest(d)
	} else if i := strings.LastIndex(path, "/"); strings.Contains(path[i:], ":") {
		q.Digest = digest.Digest(path[i+1:])
	}
	return probe.Check{Name: host, Target: up.Endpoint, For: host, Host: up.Endpoint, Needed: needed, Question: q}
}

// upstreams returns the upstreams of a registry, on connections of their own.
func (s *survey) upstreams(host string) (*fetch.Fetcher, []gateway.Upstream, error) {
	f := s.fetcher()
	rs, err := oci.NewRegistries(registriesOf(s.Settings), f.Transport(), oci.DockerLogins)
	if err != nil {
		return nil, nil, err
	}
	if err := rs.Allow(host); err != nil {
		return nil, nil, err
	}
	return f, rs.Upstreams(host), nil
}

// splitImage takes an image in full apart: its registry, and the path of its
// manifest below that.
func splitImage(ref string) (host, path string, err error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", "", err
	}
	path = reference.Path(named) + "/manifests/"
	switch n := reference.TagNameOnly(named).(type) {
	case reference.Digested:
		path += n.Digest().String()
	case reference.Tagged:
		path += n.Tag()
	}
	return reference.Domain(named), path, nil
}

// cannot is a check that could not even be made.
type cannot struct{ err error }

// Ask is probe.Question's.
func (c cannot) Ask(context.Context) (string, error) {
	return "", &fault.Error{Kind: fault.Config, Err: c.err}
}

func broken(name string, err error) probe.Check {
	return probe.Check{Name: name, Target: name, Question: cannot{err}}
}

// addProxies checks the Go module proxies that the go command is set to, and
// others. A build that calls go needs the former: they are what it asks.
func (s *survey) addProxies() {
	for _, at := range s.known.goProxies {
		s.proxy(at, s.managers["go"])
	}
	for _, at := range s.Settings.Probe.Proxies {
		u, err := url.Parse(at)
		if err == nil {
			s.proxy(*u, s.managers["go"] && len(s.known.goProxies) == 0)
		}
	}
}

func (s *survey) proxy(at url.URL, needed bool) {
	if slices.ContainsFunc(s.proxies, func(k probe.Check) bool { return k.Target == at.Host }) {
		return
	}
	s.proxies = append(s.proxies, s.goProxy(at.Host, at, needed))
}

func (s *survey) goProxy(name string, at url.URL, needed bool) probe.Check {
	path, version, _ := strings.Cut(s.Settings.Probe.Module, "@")
	s.name(at.Host, needed)
	return probe.Check{Name: name, Target: at.Host, For: "go", Host: at.Host, Needed: needed,
		Question: probe.Module{Upstream: s.upstream(at), Path: path, Version: version}}
}

// upstream is a service by its address, with the credential in it put where
// that host alone sees it.
func (s *survey) upstream(at url.URL) probe.Upstream { return through(s.fetcher(), at) }

func through(f *fetch.Fetcher, at url.URL) probe.Upstream {
	u := probe.Upstream{Fetcher: f}
	if at.User != nil {
		u.Source.Transport = authorized{basicAuth(at.User), f.Transport()}
		at.User = nil
	}
	u.Source.URL, u.Source.Endpoint, u.Source.Origin = at.String(), at.Host, true
	return u
}

// addPackages checks where the build's package managers are set to go, as far
// as that can be known here.
func (s *survey) addPackages() {
	if at := s.known.npm; at != nil {
		s.packages = append(s.packages, s.npm("npm registry", *at, true))
	}
	if at := s.known.python; at != nil {
		s.packages = append(s.packages, s.python("Python index", *at, true))
	}
}

func (s *survey) npm(name string, at url.URL, needed bool) probe.Check {
	s.name(at.Host, needed)
	k := probe.Check{Name: name, Target: at.Host, For: "npm", Host: at.Host, Needed: needed}
	// A package that npm itself needs, and that has few versions.
	at.Path = strings.TrimRight(at.Path, "/") + "/once"
	k.Question = probe.Web{Upstream: s.upstream(at), Want: probe.NPMPackage}
	return k
}

func (s *survey) python(name string, at url.URL, needed bool) probe.Check {
	s.name(at.Host, needed)
	k := probe.Check{Name: name, Target: at.Host, For: "pip", Host: at.Host, Needed: needed}
	at.Path = strings.TrimRight(at.Path, "/") + "/six/"
	k.Question = probe.Web{Upstream: s.upstream(at), Want: probe.PythonIndex}
	return k
}

// addChecks adds those of the settings.
func (s *survey) addChecks() {
	for _, c := range s.Settings.Probe.Checks {
		k := s.check(c, s.wanted(c.For))
		k.Name, k.For, k.Weight = c.Name, cmp.Or(c.For, k.For), float64(c.Points)
		s.added = append(s.added, k)
	}
}

// wanted reports whether the build needs what a check is for.
func (s *survey) wanted(what string) bool {
	_, image := s.images[what]
	return what != "" && (image || s.managers[what])
}

func (s *survey) check(c config.Check, needed bool) probe.Check {
	switch c.Kind {
	case "registry":
		return s.registry(c.Target, needed, false)
	case "tcp":
		s.name(hostname(c.Target), needed)
		return probe.Check{Target: c.Target, Needed: needed, Question: probe.Reach{Places: []probe.Place{s.place(c.Target)}}}
	}
	at, err := url.Parse(c.Target)
	if err != nil {
		return broken(c.Target, err)
	}
	switch c.Kind {
	case "goproxy":
		return s.goProxy(c.Name, *at, needed)
	case "npm":
		return s.npm(c.Name, *at, needed)
	case "pypi":
		return s.python(c.Name, *at, needed)
	}
	s.name(at.Host, needed)
	return probe.Check{Target: at.Host, Host: at.Host, Needed: needed, Question: probe.Web{Upstream: s.upstream(*at)}}
}

// addInternet checks the way out. A build needs it where it asks for something
// that no other check covers.
func (s *survey) addInternet() {
	var places []probe.Place
	for _, p := range s.Settings.Probe.Internet {
		places = append(places, s.place(p))
	}
	if len(places) == 0 {
		return
	}
	for manager := range s.managers {
		if !s.covered(manager) {
			s.opaque = append(s.opaque, manager)
		}
	}
	slices.Sort(s.opaque)
	s.internet = []probe.Check{{Name: "Internet", Target: strings.Join(s.Settings.Probe.Internet, ", "), Needed: len(s.opaque) > 0,
		For: strings.Join(slices.Compact(s.opaque), ", "), Question: probe.Reach{Places: places}}}
}

func (s *survey) covered(manager string) bool {
	for _, list := range [][]probe.Check{s.proxies, s.packages, s.added} {
		if slices.ContainsFunc(list, func(k probe.Check) bool { return k.For == family(manager) || k.For == manager }) {
			return true
		}
	}
	return false
}

// place is somewhere to connect to. Where a proxy stands in between, HTTPS
// goes through it.
func (s *survey) place(at string) probe.Place {
	p := probe.Place{Address: at}
	if !strings.Contains(at, "://") {
		if proxyOf("https://"+at) == "" {
			p.Dial = (&net.Dialer{Resolver: s.Resolver}).DialContext
			return p
		}
		p.Address = "https://" + at
	}
	p.Client = s.fetcher().Transport()
	return p
}

// proxyOf returns the host of the proxy that leads to an address, or "".
func proxyOf(address string) string {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return ""
	}
	proxy, err := http.ProxyFromEnvironment(r)
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// name takes note of a host whose name must resolve: with a proxy in between
// it is the proxy's. Addresses need no resolving.
func (s *survey) name(host string, needed bool) {
	if proxy := proxyOf("https://" + host); proxy != "" {
		host = proxy
	}
	host = strings.ToLower(hostname(host))
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host == "localhost" {
		return
	}
	s.names[host] = s.names[host] || needed
}

// lookUps are the checks of names, in their order, so that two surveys of the
// same services read the same. Where the build needs some, the others are left
// out: the resolver is one service, and counts by what is asked of it.
func (s *survey) lookUps() []probe.Check {
	some := slices.Contains(slices.Collect(maps.Values(s.names)), true)
	var all []probe.Check
	for _, host := range slices.Sorted(maps.Keys(s.names)) {
		if some && !s.names[host] {
			continue
		}
		all = append(all, probe.Check{Name: host, Target: host, Needed: s.names[host], Question: probe.Name{Host: host, Resolver: s.Resolver}})
	}
	return all
}

// hostname takes the port off a host.
func hostname(host string) string {
	u := url.URL{Host: host}
	return u.Hostname()
}
