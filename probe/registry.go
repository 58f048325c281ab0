package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// A Manifest is asked of a registry: a token where it wants one, and the bytes
// of a manifest or an index. An answer to /v2/ would prove nothing: registries
// went on giving it in outages of everything behind.
type Manifest struct {
	Upstream
	Ref    string        // what the Source's address stands for, for people: library/alpine:3
	Digest digest.Digest // of the reference; empty where it is a tag

	// Public says that everybody may have it, so that a no is a failure. Else
	// the registry may know that it does not exist or is not for this user.
	Public bool
}

// manifestTypes are what a builder accepts. Without the indexes a registry may
// answer with something that was made up for old clients.
const manifestTypes = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"

// Ask gets the manifest and holds it against the digest that the registry
// names for it.
func (m Manifest) Ask(ctx context.Context) (string, error) {
	body, err := m.bytes(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: manifest of %d bytes", m.Ref, len(body)), nil
}

// A DigestOf asks for a manifest, and sees the digest of its bytes.
type DigestOf struct{ Manifest }

// Ask gets the manifest.
func (d DigestOf) Ask(ctx context.Context) (string, error) {
	body, err := d.bytes(ctx)
	if err != nil {
		return "", err
	}
	return digest.FromBytes(body).String(), nil
}

func (m Manifest) bytes(ctx context.Context) ([]byte, error) {
	base := m.Source.Transport
	if base == nil {
		base = m.Fetcher.Transport()
	}
	ear := &tap{base: base}
	m.Source.Transport = ear
	got, err := m.get(ctx, fetch.Ask{Name: m.Ref, Digest: m.Digest, Check: isManifest, Header: http.Header{"Accept": {manifestTypes}}})
	if err == nil {
		return got.Body, nil
	}
	if kind := fault.Of(err); !m.Public && (kind == fault.NotFound || kind == fault.Auth) && refuses(ear) {
		return nil, &No{fmt.Errorf("%s: %w", m.Ref, bare(err))}
	}
	return nil, err
}

// bare drops what stands beside the error anyhow.
func bare(err error) error {
	var own *fault.Error
	if errors.As(err, &own) && own.Err != nil && own.Op == "" {
		return &fault.Error{Kind: own.Kind, Err: own.Err}
	}
	return err
}

// isManifest judges a body: JSON that looks like a manifest, with the digest
// that the registry names in its head.
func isManifest(a fetch.Answer) error {
	if named := digest.Digest(a.Header.Get("Docker-Content-Digest")); named != "" {
		if err := named.Validate(); err != nil {
			return &fault.Error{Kind: fault.Rejected, Err: errors.New("the registry names a digest that is none")}
		}
		if named.Algorithm().FromBytes(a.Body) != named {
			return &fault.Error{Kind: fault.Corrupt, Err: fmt.Errorf("the bytes do not match %s, which the registry names", named)}
		}
	}
	var m struct {
		SchemaVersion int               `json:"schemaVersion"`
		Manifests     []json.RawMessage `json:"manifests"`
		Layers        []json.RawMessage `json:"layers"`
		Config        json.RawMessage   `json:"config"`
	}
	if err := json.Unmarshal(a.Body, &m); err != nil {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("the body is no JSON")}
	}
	if m.SchemaVersion == 0 || m.Manifests == nil && m.Layers == nil && m.Config == nil {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("the body is no manifest")}
	}
	return nil
}

// refuses reports whether a no came as the protocol has it (distribution
// specification, "Error codes"): a server that has lost its registry says 404
// as well. Where a token was refused there was no request to the registry.
func refuses(t *tap) bool {
	status, text := t.said()
	if status == 0 {
		return true
	}
	var body struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	return json.Unmarshal(text, &body) == nil && len(body.Errors) > 0 && strings.TrimSpace(body.Errors[0].Code) != ""
}
