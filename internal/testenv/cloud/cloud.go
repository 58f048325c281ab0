// Package cloud is a small network of fake registries on loopback: real
// content from a real registry, served by services that fail by script, each
// with a token endpoint of its own where that is wanted. Tests, the demo and
// the tables of outages play on it.
package cloud

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// A Place is one registry service: its content by a real registry, its
// failures by script.
type Place struct {
	Registry *faultnet.Service
	Tokens   *faultnet.Service // nil where everybody may pull
	Tags     bool              // the settings trust it for tags
}

// Host is where the place listens: host:port.
func (p *Place) Host() string { return p.Registry.Host() }

// Play sets what fails from now on at the registry, and forgets what was
// before. Requests that hang end.
func (p *Place) Play(s faultnet.Script) error {
	err := p.Registry.Play(s)
	p.Registry.CloseConnections()
	return err
}

func (p *Place) close() {
	p.Registry.Close()
	if p.Tokens != nil {
		p.Tokens.Close()
	}
}

// A Site is what stands behind one registry's name: its mirrors, in order, and
// its origin.
type Site struct {
	Name    string // as references have it: docker.io; empty: the origin's own address
	Mirrors []*Place
	Origin  *Place
}

// Host is the name of the site in references.
func (s *Site) Host() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Origin.Host()
}

// A Cloud is a set of sites over one registry with the base images.
type Cloud struct {
	Sites []*Site

	registry *testenv.Registry
	configs  *faultnet.Configs
	places   []*Place
}

// Start starts the registry with the base images in dir. The caller closes
// the cloud.
func Start(ctx context.Context, dir string) (*Cloud, error) {
	r, err := testenv.StartRegistry(ctx, filepath.Join(dir, "registry"), testenv.RegistryOptions{Images: true})
	if err != nil {
		return nil, err
	}
	return &Cloud{registry: r, configs: new(faultnet.Configs)}, nil
}

// Close ends everything.
func (c *Cloud) Close() {
	for _, p := range c.places {
		p.close()
	}
	c.registry.Stop()
}

// PlaceOptions say how a place is set up. The zero value is a healthy one that
// everybody may pull from.
type PlaceOptions struct {
	Listen  string // host:port on loopback; empty means a free port of 127.0.0.1
	Guarded bool   // it demands tokens
	Tags    bool   // the settings trust it for tags
	Rate    int64  // bytes a second of each connection; 0 is no limit
}

// Place adds a registry service.
func (c *Cloud) Place(o PlaceOptions) (*Place, error) {
	backend, err := faultnet.NewProxy(c.registry.URL)
	if err != nil {
		return nil, err
	}
	p := &Place{Registry: &faultnet.Service{Listen: o.Listen, Backend: backend, Configs: c.configs, Rate: o.Rate}, Tags: o.Tags}
	if o.Guarded {
		tokens := new(faultnet.TokenService)
		p.Tokens = &faultnet.Service{Backend: tokens}
		if err := p.Tokens.Start(); err != nil {
			return nil, err
		}
		p.Registry.Backend = tokens.Guard(p.Tokens.URL()+"/token", backend)
	}
	if err := p.Registry.Start(); err != nil {
		return nil, err
	}
	c.places = append(c.places, p)
	return p, nil
}

// Site adds a registry's name with as many mirrors as there are options beside
// the first, which are the origin's.
func (c *Cloud) Site(name string, origin PlaceOptions, mirrors ...PlaceOptions) (*Site, error) {
	s := &Site{Name: name}
	var err error
	if s.Origin, err = c.Place(origin); err != nil {
		return nil, err
	}
	for _, o := range mirrors {
		m, err := c.Place(o)
		if err != nil {
			return nil, err
		}
		s.Mirrors = append(s.Mirrors, m)
	}
	c.Sites = append(c.Sites, s)
	return s, nil
}

// Heal makes all well and forgets what was asked.
func (c *Cloud) Heal() error {
	for _, p := range c.places {
		if err := p.Play(nil); err != nil {
			return err
		}
		if p.Tokens != nil {
			if err := p.Tokens.Play(nil); err != nil {
				return err
			}
			p.Tokens.CloseConnections()
		}
	}
	return nil
}

// Settings are Outlast's for these sites, with the store in the folder given.
func (c *Cloud) Settings(store string) string {
	var b strings.Builder
	b.WriteString("registries:\n")
	for _, s := range c.Sites {
		fmt.Fprintf(&b, "  %q:\n    origin: http://%s\n    mirrors:\n", s.Host(), s.Origin.Host())
		if len(s.Mirrors) == 0 {
			b.WriteString("      []\n")
		}
		for _, m := range s.Mirrors {
			fmt.Fprintf(&b, "      - {url: \"http://%s\", tags: %t}\n", m.Host(), m.Tags)
		}
	}
	fmt.Fprintf(&b, "store: {path: %q}\n", store)
	return b.String()
}

// WriteSettings writes Settings to a file in dir, with a store beside it, and
// returns the file's path.
func (c *Cloud) WriteSettings(dir string) (string, error) {
	file := filepath.Join(dir, "settings.yaml")
	return file, os.WriteFile(file, []byte(c.Settings(filepath.Join(dir, "store"))), 0o600)
}

// BuildkitConfig is the best that stock BuildKit can be told of these sites:
// buildkitd.toml with the mirrors of each. A name that is not the origin's own
// address gets its origin as the last mirror.
func (c *Cloud) BuildkitConfig() string {
	var b strings.Builder
	for _, s := range c.Sites {
		var hosts []string
		for _, m := range s.Mirrors {
			hosts = append(hosts, fmt.Sprintf("%q", m.Host()))
		}
		if s.Name != "" {
			hosts = append(hosts, fmt.Sprintf("%q", s.Origin.Host()))
		}
		fmt.Fprintf(&b, "[registry.%q]\n  mirrors = [%s]\n", s.Host(), strings.Join(hosts, ", "))
		for _, h := range append(hosts, fmt.Sprintf("%q", s.Origin.Host())) {
			if h != fmt.Sprintf("%q", s.Host()) && !strings.Contains(b.String(), "[registry."+h+"]") {
				fmt.Fprintf(&b, "[registry.%s]\n  http = true\n", h)
			}
		}
	}
	return b.String()
}
