package oci

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/gateway"
)

// manifestTypes are the media types of manifests and indexes, of OCI and of
// Docker v2, in the order in which BuildKit lists them.
var manifestTypes = []string{
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.oci.image.index.v1+json",
}

// Protocol is the pull side of the distribution protocol, as an ecosystem of
// the gateway. The zero value is ready for use.
type Protocol struct {
	sizes sizes
}

var (
	_ gateway.Ecosystem   = (*Protocol)(nil)
	_ gateway.Responder   = (*Protocol)(nil)
	_ gateway.ErrorWriter = (*Protocol)(nil)
	_ gateway.Pinner      = (*Protocol)(nil)
	_ gateway.Learner     = (*Protocol)(nil)
	_ gateway.Typer       = (*Protocol)(nil)
	_ gateway.Header      = (*Protocol)(nil)
)

// Respond answers the ping, and says of every answer which protocol it is.
func (*Protocol) Respond(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if r.URL.Path != "/v2/" && r.URL.Path != "/v2" {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}"))
	return true
}

// Header names the digest of an answer, as registries do.
func (*Protocol) Header(h http.Header, a gateway.Asset) {
	if a.Digest != "" {
		h.Set("Docker-Content-Digest", a.Digest.String())
	}
}

// Asset reads what r asks for.
func (p *Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	q, err := parse(r.URL)
	if err != nil {
		return gateway.Asset{}, err
	}
	return p.asset(q, r.Header.Values("Accept")), nil
}

// Manifest returns the manifest of an image, whose reference is in full:
// docker.io/library/golang:1.26.
func (p *Protocol) Manifest(ref string) (gateway.Asset, error) {
	q, err := parseRef(ref)
	if err != nil {
		return gateway.Asset{}, err
	}
	return p.asset(q, nil), nil
}

func (p *Protocol) asset(q request, accept []string) gateway.Asset {
	a := gateway.Asset{
		Origin: q.host,
		Path:   q.repo + "/" + q.kind + "/" + q.ref,
		Key:    "oci/" + q.host + "/" + q.repo,
		Name:   q.host + "/" + q.repo,
	}
	switch q.kind {
	case "blobs":
		a.Digest = digest.Digest(q.ref)
		a.Key += "@" + q.ref
		a.Name += "@" + q.ref
		a.Type = "application/octet-stream"
		a.Size = p.sizes.get(a.Key)
	case "manifests":
		types := wanted(accept)
		a.Small, a.Accept = true, strings.Join(types, ", ")
		if strings.Contains(q.ref, ":") {
			a.Digest = digest.Digest(q.ref)
			a.Key += "@" + q.ref
			a.Name += "@" + q.ref
			a.Size = p.sizes.get(a.Key)
			break
		}
		a.Key += ":" + q.ref
		a.Name += ":" + q.ref
		if !slices.Equal(types, manifestTypes) {
			a.Key += " " + a.Accept
		}
	default:
		a.Small, a.Headless = true, true
		a.Key += "/" + q.kind + "/" + q.ref
		a.Name += " " + q.kind
		a.Accept = "application/vnd.oci.image.index.v1+json, application/json"
	}
	return a
}

// wanted reads the media types that a client takes, over all its Accept lines.
// Whoever takes anything, or an index among others, is asked for with the full
// list, so that all such clients share one answer. Old clients that know no
// index get from the registry what it makes of that.
func wanted(accept []string) []string {
	var types []string
	for _, line := range accept {
		for one := range strings.SplitSeq(line, ",") {
			media, _, err := mime.ParseMediaType(strings.TrimSpace(one))
			if err == nil && (slices.Contains(manifestTypes, media) || media == "*/*" || media == "application/*") {
				types = append(types, media)
			}
		}
	}
	takesAny := slices.ContainsFunc(types, func(t string) bool { return strings.HasSuffix(t, "*") })
	takesIndex := slices.Contains(types, manifestTypes[1]) || slices.Contains(types, manifestTypes[3])
	if len(types) == 0 || takesAny || takesIndex {
		return manifestTypes
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// Pin reads the digest that a registry names for a tag (distribution
// specification, "Pulling manifests": Docker-Content-Digest).
func (*Protocol) Pin(head http.Header) digest.Digest {
	d := digest.Digest(head.Get("Docker-Content-Digest"))
	if checkDigest(d.String()) != nil {
		return ""
	}
	return d
}

// Pinned returns the manifest that the tag a stands for.
func (p *Protocol) Pinned(a gateway.Asset, d digest.Digest) gateway.Asset {
	if !strings.Contains(a.Path, "/manifests/") {
		a.Digest, a.Key = d, a.Key+"@"+d.String()
		return a
	}
	repo, _, _ := strings.Cut(a.Path, "/manifests/")
	pinned := p.asset(request{host: a.Origin, repo: repo, kind: "manifests", ref: d.String()}, nil)
	pinned.Accept = a.Accept
	return pinned
}

// Judge refuses a body that is no manifest.
func (*Protocol) Judge(body []byte) (string, error) {
	var m manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return "", &fault.Error{Op: "read", Kind: fault.Rejected, Err: errors.New("the body is no JSON")}
	}
	return m.media(), nil
}

// Type tells the media type of a manifest from its bytes: some mirrors serve
// them as plain text or as octets.
func (*Protocol) Type(body []byte) string {
	var m manifest
	if json.Unmarshal(body, &m) != nil {
		return ""
	}
	return m.media()
}
