package outlast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/forward"
	"github.com/outlast-build/outlast/gateway/git"
	"github.com/outlast-build/outlast/gateway/oci"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/httpx"
)

// A Gateway serves the content of registries and of package repositories on
// this machine: from the store, and from the upstreams of each. Close ends it.
type Gateway struct {
	Registries *oci.Registries
	Mirror     *gateway.Mirror // of registries

	protocol *oci.Protocol
	store    *cas.Store // nil where it could not be opened
	fetcher  *fetch.Fetcher

	services []service      // all the other ecosystems
	npmHost  string         // of npm's registry
	apk      *gateway.Sites // nil where there is nothing for it
	git      *git.Proxy     // nil where there is nothing for it
	guarded  *fetch.Fetcher // for hosts that a client names
	strict   *fetch.Fetcher // for hosts that a Dockerfile names
	proxy    *forward.Proxy
}

// GatewayOptions are what a Gateway is told to do beyond its settings.
type GatewayOptions struct {
	Settings config.Settings
	Hosts    []string             // registries to serve that the settings do not name
	Files    []string             // web servers to serve files of that the settings do not name: HOST[:PORT]
	Packages PackageSources       // the package repositories to serve
	OnTry    func(fetch.Try)      // told of each request to an upstream; nil: nobody is
	OnServe  func(gateway.Served) // told of each answer; nil: nobody is
	OnBytes  func()               // told, without its being said of what, that bytes arrive; nil: nobody is
	Once     bool                 // all is for one build, which has one budget of waiting
	Offline  bool                 // no upstream is asked: the store has it, or nobody
	Board    *health.Board        // what is known of the upstreams, and is learnt; nil: nothing yet
	Warn     func(string)         // told what does not work and does no harm; nil: nobody is
}

// NewGateway prepares a gateway that fetches until ctx ends or it is closed. A
// store that cannot be opened is a warning: the gateway works without.
func NewGateway(ctx context.Context, o GatewayOptions) (*Gateway, error) {
	g := &Gateway{protocol: new(oci.Protocol)}
	g.fetcher = &fetch.Fetcher{Limits: fetch.Limits{Dial: o.Settings.Fetch.Dial, Header: o.Settings.Fetch.Header, Idle: o.Settings.Fetch.Idle}, OnTry: o.OnTry, Board: o.Board}
	if o.Once {
		g.fetcher.Budget = &fetch.Budget{Wait: o.Settings.Fetch.Budget}
	}
	base := g.fetcher.Transport()
	if o.OnBytes != nil {
		base = pulse{base, o.OnBytes}
	}
	var err error
	g.Registries, err = oci.NewRegistries(registriesOf(o.Settings), base, oci.DockerLogins)
	if err != nil {
		return nil, &fault.Error{Op: "read settings", Kind: fault.Config, Err: err}
	}
	if err := g.Registries.Allow(o.Hosts...); err != nil {
		return nil, &fault.Error{Op: "read references", Kind: fault.Dockerfile, Err: err}
	}
	g.Mirror = &gateway.Mirror{Ecosystem: g.protocol, Fetcher: g.fetcher, Upstreams: g.Registries.Upstreams, OnServe: o.OnServe, Offline: o.Offline}
	if err := g.openStore(o.Settings.Store); err != nil && o.Warn != nil {
		o.Warn(fmt.Sprintf("the local store is not used: %v", err))
	}
	g.addPackages(o)
	g.Mirror.Start(ctx)
	g.startPackages(ctx)
	return g, nil
}

func (g *Gateway) openStore(s config.Store) error {
	if s.Path == "" {
		return errors.New("neither HOME nor XDG_CACHE_HOME says where it could be")
	}
	store, err := cas.Open(s.Path, s.Size)
	if err != nil {
		return err
	}
	g.store, g.Mirror.Store = store, store
	return nil
}

// Close ends what is still fetched and lets go of the store.
func (g *Gateway) Close() error {
	g.Mirror.Close()
	g.closePackages()
	g.fetcher.CloseIdleConnections()
	if g.store == nil {
		return nil
	}
	return g.store.Close()
}

func registriesOf(s config.Settings) []oci.Registry {
	var all []oci.Registry
	for host, r := range s.Registries {
		own := oci.Registry{Host: host, Origin: r.Origin, Tokens: r.Tokens, Anonymous: r.Anonymous}
		for _, m := range r.Mirrors {
			own.Mirrors = append(own.Mirrors, oci.Mirror{URL: m.URL, Only: m.Only, Tags: m.Tags, Anonymous: m.Anonymous})
		}
		all = append(all, own)
	}
	return all
}

// serving is the gateway of one build, on an address that nobody else knows.
type serving struct {
	*Gateway
	server  *http.Server
	address string
	offline bool
	wants   wants

	mu     sync.Mutex
	failed map[string]error // by asset: what could not be served, and was not since
	given  map[string]traffic
	dirs   []string
}

// serve starts a gateway on a free port of the loopback address.
func serve(ctx context.Context, o GatewayOptions) (*serving, error) {
	s := &serving{failed: make(map[string]error), given: make(map[string]traffic), offline: o.Offline}
	told := o.OnServe
	o.OnServe = func(a gateway.Served) { s.noteServed(a); told(a) }
	var err error
	if s.Gateway, err = NewGateway(ctx, o); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Gateway.Close()
		return nil, &fault.Error{Op: "listen on loopback", Kind: fault.Resource, Err: err}
	}
	s.address = listener.Addr().String()
	s.server = httpx.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.wants.note(s.Gateway, r)
		s.Gateway.ServeHTTP(w, r)
	}), nil)
	go s.server.Serve(listener)
	return s, nil
}

func (s *serving) close() {
	s.server.Close()
	s.Gateway.Close()
	for _, d := range s.dirs {
		os.RemoveAll(d)
	}
}

// prefix stands in place of a registry's host in references.
func (s *serving) prefix(host string) string { return s.address + "/" + oci.HostPath(host) }

// maxFailed bounds what is kept of what could not be served: steps say what
// they ask for.
const maxFailed = 1000

func (s *serving) noteServed(a gateway.Served) {
	kind, _, _ := strings.Cut(a.Asset.Key, "/")
	if !s.offline && kind != "oci" && kind != "web" && kind != "git" {
		return // package managers may do without, or go elsewhere
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.Err == nil:
		delete(s.failed, a.Asset.Name)
		s.giveLocked(a.Asset)
	case !errors.Is(a.Err, context.Canceled) && len(s.failed) < maxFailed:
		s.failed[a.Asset.Name] = a.Err
	}
}

// begin forgets what could not be served: another attempt asks again.
func (s *serving) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.failed)
	clear(s.given)
}

// traffic is what was served of a repository.
type traffic struct {
	named  bool // a tag was answered
	layers int  // or configurations
	bytes  int64
}

func (s *serving) giveLocked(a gateway.Asset) {
	repo := repository(a.Name)
	t, known := s.given[repo]
	if !known && len(s.given) >= maxFailed {
		return
	}
	switch {
	case !strings.Contains(a.Name, "@"):
		t.named = true
	case !a.Small:
		t.layers++
		t.bytes += max(a.Size, 0)
	}
	s.given[repo] = t
}

func (s *serving) traffic(repo string) traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given[repo]
}

// lacks is a failure to serve something of a repository; nil where all was
// served.
func (s *serving) lacks(repo string) *fetch.Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, err := range s.failed {
		var f *fetch.Failure
		if repository(name) == repo && errors.As(err, &f) {
			return f
		}
	}
	return nil
}

// has reports whether an image can be had from anywhere. An answer that says
// nothing about that, such as a refused login, counts as a yes.
func (s *serving) has(ctx context.Context, ref string) bool {
	a, err := s.protocol.Manifest(ref)
	if err != nil {
		return true
	}
	b, err := s.Mirror.Find(ctx, a, false)
	if err == nil {
		b.Close()
		return true
	}
	var f *fetch.Failure
	return ctx.Err() != nil || !errors.As(err, &f) || f.Kind() == fault.Auth
}

// absent lists, of the references given, those that no source had: neither
// their manifests nor what those name.
func (s *serving) absent(refs []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name, err := range s.failed {
		var f *fetch.Failure
		if !errors.As(err, &f) || f.Kind() == fault.Auth {
			continue
		}
		repo, _, byDigest := strings.Cut(name, "@")
		for _, ref := range refs {
			if !slices.Contains(all, ref) && (ref == name || byDigest && repository(ref) == repo) {
				all = append(all, ref)
			}
		}
	}
	return all
}

// repository returns a reference without its tag and digest.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		ref = ref[:i]
	}
	return ref
}

// knows reports whether the store has an answer about an image.
func (s *serving) knows(ref string) bool {
	a, err := s.protocol.Manifest(ref)
	if err != nil || s.store == nil {
		return false
	}
	d := a.Digest
	if d == "" {
		n, err := s.store.Name(a.Key)
		if err != nil {
			return false
		}
		d = n.Digest
	}
	_, err = s.store.Stat(d)
	return err == nil
}

// missing returns what could not be had from anywhere although nobody who
// knows said no, but for what is of the repositories of caches.
func (s *serving) missing(caches []string) []*fetch.Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*fetch.Failure
	for name, err := range s.failed {
		var f *fetch.Failure
		if slices.Contains(caches, repository(name)) {
			continue
		}
		if errors.As(err, &f) && f.Kind() != fault.NotFound && f.Kind() != fault.Auth {
			all = append(all, f)
		}
	}
	return all
}

func (s *serving) exporter() *oci.Exporter {
	e := &oci.Exporter{Protocol: s.protocol, Mirror: s.Mirror}
	if s.store != nil {
		e.Path = s.store.Path
	}
	return e
}

// export writes images into a folder and returns, for each reference as the
// Dockerfile has it, the build context that stands for it.
func (s *serving) export(ctx context.Context, images []image) (map[string]string, error) {
	dir, err := os.MkdirTemp("", "outlast-images-")
	if err != nil {
		return nil, &fault.Error{Op: "make a folder for images", Kind: fault.Resource, Err: err}
	}
	s.mu.Lock()
	s.dirs = append(s.dirs, dir)
	s.mu.Unlock()
	contexts := make(map[string]string, len(images))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, im := range images {
		group.Go(func() error {
			own := filepath.Join(dir, fmt.Sprint(i))
			d, err := s.exporter().Export(ctx, own, im.ref, im.platforms)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			contexts[im.as] = "oci-layout://" + own + "@" + d.String()
			return nil
		})
	}
	return contexts, group.Wait()
}

// registryOf returns the registry in front of an asset's name.
func registryOf(name string) string {
	host, _, _ := strings.Cut(name, "/")
	return host
}

// Usage looks through the store. It is an error where there is none.
func (g *Gateway) Usage() (cas.Usage, error) {
	if g.store == nil {
		return cas.Usage{}, errors.New("there is no local store")
	}
	return g.store.Usage()
}
