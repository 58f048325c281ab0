// Package config holds the settings of Outlast: one struct, one table that
// names each setting, and the sources that may set it, in their order. It
// reads files and an environment that it is handed, remembers where each value
// came from, and never writes, connects or acts.
package config

import (
	"net/netip"
	"strings"
	"time"
)

// Settings are what Outlast runs by. Load fills in and checks every field: its
// callers need no defaults of their own. A Settings must not change once it is
// shared.
type Settings struct {
	Registries map[string]Registry // by the host that references name: docker.io, localhost:5000
	Store      Store
	Fetch      Fetch
	Gateway    Gateway
	Serve      Serve
	Packages   Packages
	Probe      Probe
	Build      Build
	Thresholds Thresholds
	Timeouts   Timeouts
	Cache      Cache
	History    History
	Actions    Actions
}

// A Registry is where the images of one host come from.
type Registry struct {
	Origin   string   // its own address, without a slash at the end: https://registry-1.docker.io
	Mirrors  []Mirror // what else may have its content, in the order of preference
	Insecure bool     // plain HTTP is allowed to an origin that is not this machine
	Tokens   []string // hosts of token endpoints, besides the origin's own, that may get its credentials

	// Anonymous means that no credentials are ever sent to the origin. Nobody
	// sets it: it is so where a project's file alone asks for plain HTTP.
	Anonymous bool
}

// A Mirror is a place that may have a registry's content.
type Mirror struct {
	URL      string `json:"url"`                // its address, without a slash at the end; a path stands before the repository's name
	Only     string `json:"only,omitempty"`     // "library/": it has only repositories below that, and their names go there without it; empty: all
	Tags     bool   `json:"tags,omitempty"`     // its word on tags is believed while the origin is silent; else it serves digests only
	Insecure bool   `json:"insecure,omitempty"` // plain HTTP is allowed to a mirror that is not this machine

	// Anonymous means that no credentials are ever sent there, as in Registry.
	Anonymous bool `json:"anonymous,omitempty"`
}

// Store is the local store of content.
type Store struct {
	Path string // absolute; empty where no folder is known: then nothing outlives the process
	Size int64  // the limit in bytes; 0 means none
}

// Fetch are the limits of requests to upstreams. None of them is 0.
type Fetch struct {
	Dial   time.Duration // until a connection stands
	Header time.Duration // from the request to the head of its answer
	Idle   time.Duration // without a byte, amid an answer
	Budget time.Duration // that one build waits in all for services to come back
}

// Serve is how `outlast serve` shows the dashboard.
type Serve struct {
	Listen string        // HOST:PORT
	Check  time.Duration // between looks at the services; 0: none are taken, which no file says
}

// Gateway is how `outlast gateway` serves.
type Gateway struct {
	Listen string // HOST:PORT; port 0 takes a free one
	Public bool   // an address that other machines can reach is allowed
}

// Build is how a build is tried.
type Build struct {
	Strategy string        // "auto", or the name of the strategy that is used whatever was measured
	Attempts int           // at most, 1 or more
	Wait     time.Duration // between all attempts together, at most
	Idle     time.Duration // without a sign of life, after which an attempt hangs
	Deadline time.Duration // for all attempts together
}

// Thresholds are the least results of an assessment, 0 to 100, that a strategy
// is chosen for. They never cross: Optimal ≥ Resilient ≥ Conservative.
type Thresholds struct{ Optimal, Resilient, Conservative int }

// Timeouts are how long one attempt of a strategy may take.
type Timeouts struct{ Optimal, Resilient, Conservative, Emergency time.Duration }

// Cache is where external build caches are.
type Cache struct {
	Local    string        // a folder, absolute; empty means none
	Registry string        // a reference, as in registry.example.com/app:cache; empty means none
	Write    bool          // builds write Registry
	Send     time.Duration // how long sending caches may take, once the image is made
	Actions  bool          // the cache service of a GitHub Actions job is used, by way of this program
}

// Actions is how this program serves the cache of GitHub Actions.
type Actions struct {
	Size   int64         // of all entries, in bytes; 0 means no limit
	Budget time.Duration // that one build may lose in all to GitHub's service while that fails
	Relay  time.Duration // that a build that is done may go on sending entries to GitHub's service
	Listen string        // of `outlast actcache`: HOST:PORT; port 0 takes a free one
	Public bool          // an address that other machines can reach is allowed
}

// History is the memory of runs.
type History struct {
	Keep bool          // runs are kept
	Path string        // the folder, absolute; empty where none is known: then nothing is kept
	Age  time.Duration // after which runs are dropped; 0 means never
	Size int64         // the limit of the file in bytes; 0 means none
}

// Registry returns the settings of host, as an image reference names it. A
// host without settings is its own origin: over https, and over http where it
// is this machine, as docker takes it.
func (s Settings) Registry(host string) Registry {
	if r, ok := s.Registries[canonicalHost(host)]; ok {
		return r
	}
	return Registry{Origin: defaultOrigin(host)}
}

// DefaultRegistry returns what holds for host where nothing is set.
func DefaultRegistry(host string) Registry {
	return Settings{Registries: defaultRegistries()}.Registry(host)
}

// hubHosts are the names that Docker Hub has besides docker.io.
var hubHosts = map[string]bool{"index.docker.io": true, "registry-1.docker.io": true, "registry.hub.docker.com": true}

func canonicalHost(host string) string {
	host = strings.ToLower(host)
	if hubHosts[host] {
		return "docker.io"
	}
	return host
}

func defaultOrigin(host string) string {
	if Loopback(host) {
		return "http://" + host
	}
	return "https://" + host
}

// Loopback reports whether host, with or without a port, is this machine by
// its name alone: localhost, 127.0.0.0/8 or ::1.
func Loopback(host string) bool {
	name := hostname(host)
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// hostname takes the port and the brackets off a host.
func hostname(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		name, _, _ := strings.Cut(inner, "]")
		return name
	}
	if name, _, ok := strings.Cut(host, ":"); ok && strings.Count(host, ":") == 1 {
		return name
	}
	return host
}
