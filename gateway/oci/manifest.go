package oci

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// manifest is what the gateway reads of a manifest or an index.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	Manifests     []descriptor `json:"manifests"`
}

type descriptor struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// media returns the manifest's media type. OCI lets it be left out (image
// specification, "manifest", property mediaType).
func (m manifest) media() string {
	switch {
	case slices.Contains(manifestTypes, m.MediaType):
		return m.MediaType
	case m.Manifests != nil:
		return "application/vnd.oci.image.index.v1+json"
	case m.Config != nil:
		return "application/vnd.oci.image.manifest.v1+json"
	case m.SchemaVersion == 1:
		return "application/vnd.docker.distribution.manifest.v1+prettyjws"
	}
	return m.MediaType
}

// Learn remembers the sizes of what a manifest refers to, so that a transfer
// of the wrong length is known as one from its head. What one repository says
// is believed for that repository alone.
func (p *Protocol) Learn(a gateway.Asset, body []byte) {
	var m manifest
	if json.Unmarshal(body, &m) != nil {
		return
	}
	place, _, _ := strings.Cut(a.Key, "@")
	if m.Config != nil {
		p.sizes.set(place, *m.Config)
	}
	for _, list := range [][]descriptor{m.Layers, m.Manifests} {
		for _, d := range list {
			p.sizes.set(place, d)
		}
	}
}

// maxSizes bounds what is remembered. At about 250 bytes each it is 16 MiB,
// and the manifests of thousands of images.
const maxSizes = 1 << 16

// sizes maps keys of assets to bytes.
type sizes struct {
	mu    sync.Mutex
	known map[string]int64
}

func (s *sizes) get(key string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[key]
}

func (s *sizes) set(place string, d descriptor) {
	if d.Size <= 0 || checkDigest(d.Digest.String()) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSizes {
		s.known = make(map[string]int64)
	}
	s.known[place+"@"+d.Digest.String()] = d.Size
}
