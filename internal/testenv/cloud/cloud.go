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
	"slices"
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

	name  string
	https bool
}

// Host is how the place is addressed: the host:port where it listens, or its
// name.
func (p *Place) Host() string {
	if p.name != "" {
		return p.name
	}
	return p.Registry.Host()
}

// URL is the address that settings have.
func (p *Place) URL() string {
	if p.https {
		return "https://" + p.Host()
	}
	return "http://" + p.Host()
}

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
	owner    bool // of the registry
}

// Start starts the registry with the base images in dir. The caller closes
// the cloud.
func Start(ctx context.Context, dir string) (*Cloud, error) {
	r, err := testenv.StartRegistry(ctx, filepath.Join(dir, "registry"), testenv.RegistryOptions{Images: true})
	if err != nil {
		return nil, err
	}
	return &Cloud{registry: r, configs: new(faultnet.Configs), owner: true}, nil
}

// Beside returns a cloud without sites over the same registry. The caller
// closes it, before c.
func (c *Cloud) Beside() *Cloud { return &Cloud{registry: c.registry, configs: c.configs} }

// Close ends everything.
func (c *Cloud) Close() {
	for _, p := range c.places {
		p.close()
	}
	if c.owner {
		c.registry.Stop()
	}
}

// PlaceOptions say how a place is set up. The zero value is a healthy one that
// everybody may pull from.
type PlaceOptions struct {
	Listen  string // host:port on loopback; empty means a free port of 127.0.0.1
	Guarded bool   // it demands tokens
	Tags    bool   // the settings trust it for tags
	Rate    int64  // bytes a second of each connection; 0 is no limit

	// Name is the host by which it is addressed in place of where it listens.
	Name string
	// HTTPS has it addressed by https://. It has no certificate: this is for
	// a place that never comes so far, because of its name or its script.
	HTTPS bool
	// Realm is the address of its token endpoint, in place of that of Tokens.
	// A scheme alone, such as "https://", stands before the host of Tokens.
	Realm string
}

// Place adds a registry service.
func (c *Cloud) Place(o PlaceOptions) (*Place, error) {
	backend, err := faultnet.NewProxy(c.registry.URL)
	if err != nil {
		return nil, err
	}
	p := &Place{Registry: &faultnet.Service{Listen: o.Listen, Backend: backend, Configs: c.configs, Rate: o.Rate},
		Tags: o.Tags, name: o.Name, https: o.HTTPS}
	if o.Guarded {
		tokens := new(faultnet.TokenService)
		p.Tokens = &faultnet.Service{Backend: tokens}
		if err := p.Tokens.Start(); err != nil {
			return nil, err
		}
		p.Registry.Backend = tokens.Guard(o.realm(p.Tokens), backend)
	}
	if err := p.Registry.Start(); err != nil {
		return nil, err
	}
	c.places = append(c.places, p)
	return p, nil
}

// realm is what the challenge names.
func (o PlaceOptions) realm(tokens *faultnet.Service) string {
	switch {
	case o.Realm == "":
		return tokens.URL() + "/token"
	case strings.HasSuffix(o.Realm, "://"):
		return o.Realm + tokens.Host() + "/token"
	}
	return o.Realm
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
		fmt.Fprintf(&b, "  %q:\n    origin: %s\n    mirrors:\n", s.Host(), s.Origin.URL())
		if len(s.Mirrors) == 0 {
			b.WriteString("      []\n")
		}
		for _, m := range s.Mirrors {
			fmt.Fprintf(&b, "      - {url: %q, tags: %t}\n", m.URL(), m.Tags)
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
		places := s.Mirrors
		if s.Name != "" {
			places = append(slices.Clone(places), s.Origin)
		}
		var hosts []string
		for _, p := range places {
			hosts = append(hosts, fmt.Sprintf("%q", p.Host()))
		}
		fmt.Fprintf(&b, "[registry.%q]\n  mirrors = [%s]\n", s.Host(), strings.Join(hosts, ", "))
		if s.Name == "" {
			fmt.Fprintf(&b, "  http = %t\n", !s.Origin.https)
		}
		for _, p := range places {
			if !strings.Contains(b.String(), fmt.Sprintf("[registry.%q]", p.Host())) {
				fmt.Fprintf(&b, "[registry.%q]\n  http = %t\n", p.Host(), !p.https)
			}
		}
	}
	return b.String()
}
