package faultnet

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// A Place is what a request is for, as the OCI distribution protocol has it.
// The empty Place stands for any.
type Place string

// The places of a registry and of the token service beside it.
const (
	Ping     Place = "ping"     // /v2/
	Token    Place = "token"    // a token endpoint
	Tag      Place = "tag"      // a manifest by its tag
	Manifest Place = "manifest" // a manifest by its digest
	Config   Place = "config"   // a blob that is known to be an image's configuration
	Blob     Place = "blob"     // any other blob
	Other    Place = "other"    // uploads, lists, and what is no registry's
)

// Places lists the places of a pull, in the order in which a pull comes to
// them.
func Places() []Place { return []Place{Ping, Token, Tag, Manifest, Config, Blob} }

var registryPath = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

// PlaceOf says what r is for. Configs tells configurations from layers; nil
// knows none.
func PlaceOf(r *http.Request, configs *Configs) Place {
	path := r.URL.Path
	if path == "/v2" || path == "/v2/" {
		return Ping
	}
	if m := registryPath.FindStringSubmatch(path); m != nil {
		switch {
		case m[2] == "manifests" && strings.Contains(m[3], ":"):
			return Manifest
		case m[2] == "manifests":
			return Tag
		case configs.Has(m[3]):
			return Config
		case strings.Contains(m[3], ":"):
			return Blob
		}
		return Other
	}
	if strings.HasSuffix(path, "/token") || !strings.HasPrefix(path, "/v2/") && r.URL.Query().Has("scope") {
		return Token
	}
	return Other
}

// repository returns the name of the repository that r is for, or "".
func repository(r *http.Request) string {
	rest, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if !ok {
		return ""
	}
	for _, mark := range []string{"/manifests/", "/blobs/", "/tags/list", "/referrers/"} {
		if i := strings.LastIndex(rest, mark); i > 0 {
			return rest[:i]
		}
	}
	return ""
}

// maxConfigs bounds what is learned; real runs know some dozens.
const maxConfigs = 65536

// Configs knows which digests are those of image configurations, which look
// like any other blob from outside. It learns them from the manifests that
// pass through, and may be shared by several services, so that one knows what
// another has seen. The zero value knows none; a *Configs may be used at once
// from many places.
type Configs struct {
	mu      sync.Mutex
	digests map[string]bool
}

// Add makes digests known as those of configurations.
func (c *Configs) Add(digests ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.digests == nil {
		c.digests = make(map[string]bool)
	}
	for _, d := range digests {
		if len(c.digests) < maxConfigs {
			c.digests[d] = true
		}
	}
}

// Has reports whether digest is known as that of a configuration.
func (c *Configs) Has(digest string) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.digests[digest]
}

// learn adds the configuration that a manifest names, if body is one.
func (c *Configs) learn(body []byte) {
	var manifest struct {
		Config struct{ Digest string }
	}
	if json.Unmarshal(body, &manifest) == nil && manifest.Config.Digest != "" {
		c.Add(manifest.Config.Digest)
	}
}
