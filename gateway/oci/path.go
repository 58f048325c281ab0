// Package oci is the pull side of the OCI distribution protocol, as docker,
// containerd, BuildKit, crane and skopeo speak it. It never takes a tag from a
// place that the settings do not trust for tags. Of the push side it has what
// sends a build cache; what it serves never pushes.
package oci

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// The forms of names and tags are those of the distribution specification,
// section "Pulling manifests". A repository with its registry in front is at
// most 255 + 255 bytes, and the whole path is bounded with it.
var (
	nameForm  = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm   = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	hostForm  = regexp.MustCompile(`^[a-z0-9]+(?:[.-]+[a-z0-9]+)*(?::[0-9]{1,5})?$`)
	maxName   = 512
	dockerHub = "docker.io"
)

// A request is what a path of the protocol asks for.
type request struct {
	host string // the registry: docker.io
	repo string // library/golang
	kind string // manifests, blobs, tags or referrers
	ref  string // a tag or a digest
}

// HostPath puts a registry's host into the form of the first element of a
// repository's path, which holds neither colons nor capitals:
// registry.example.com:5000 becomes registry.example.com__5000, for no host name
// has an underscore, and [::1]:5000 becomes
// 0000-0000-0000-0000-0000-0000-0000-0001.ipv6-literal.net__5000, after the
// custom by which such an address stands where only a name can.
func HostPath(host string) string {
	host = strings.ToLower(host)
	if inner, port, ok := strings.Cut(strings.TrimPrefix(host, "["), "]"); ok && strings.HasPrefix(host, "[") {
		if ip, err := netip.ParseAddr(inner); err == nil && ip.Is6() && ip.Zone() == "" {
			host = strings.ReplaceAll(ip.StringExpanded(), ":", "-") + ipv6Literal + port
		}
	}
	return strings.Replace(host, ":", "__", 1)
}

const ipv6Literal = ".ipv6-literal.net"

// hostOf is the reverse of HostPath. It reports false where the first element
// of a path is no host: there docker's rule holds that a host has a dot or a
// port, or is localhost.
func hostOf(element string) (string, bool) {
	host := strings.ToLower(strings.Replace(element, "__", ":", 1))
	if host != "localhost" && !strings.ContainsAny(host, ".:") || !hostForm.MatchString(host) {
		return "", false
	}
	if text, port, ok := strings.Cut(host, ipv6Literal); ok && (port == "" || port[0] == ':') {
		ip, err := netip.ParseAddr(strings.ReplaceAll(text, "-", ":"))
		return "[" + ip.String() + "]" + port, err == nil && ip.Is6()
	}
	return canonical(host), true
}

// registryHost returns a host as references and settings name it in the form in
// which registries are known, or false where it is none.
func registryHost(host string) (string, bool) {
	if !strings.HasPrefix(host, "[") {
		host = canonical(host)
		return host, hostForm.MatchString(host)
	}
	return hostOf(HostPath(host))
}

// canonical folds capitals, and the names under which Docker Hub is known.
func canonical(host string) string {
	switch host = strings.ToLower(host); host {
	case "index.docker.io", "registry-1.docker.io":
		return dockerHub
	}
	return host
}

// parse reads a path below /v2/. The registry is the first element of the path
// (as a source policy puts it there), or the parameter ns (as containerd adds
// it for mirrors), or Docker Hub (what the Docker Engine's registry-mirrors are
// for).
func parse(u *url.URL) (request, error) {
	path, ok := strings.CutPrefix(u.Path, "/v2/")
	if !ok || u.RawPath != "" {
		return request{}, noSuchPath(u)
	}
	parts := strings.Split(path, "/")
	if len(parts) < 3 || len(path) > 2*maxName {
		return request{}, noSuchPath(u)
	}
	kind, ref := parts[len(parts)-2], parts[len(parts)-1]
	q := request{kind: kind, ref: ref, host: dockerHub}
	elements := parts[:len(parts)-2]
	if host, ok := hostOf(elements[0]); ok && len(elements) > 1 {
		q.host, elements = host, elements[1:]
	} else if ns := u.Query().Get("ns"); ns != "" {
		host, ok := hostOf(HostPath(ns))
		if !ok {
			return request{}, bad("ns: %q is no registry", ns)
		}
		q.host = host
	}
	q.repo = strings.Join(elements, "/")
	if q.host == dockerHub && !strings.Contains(q.repo, "/") {
		q.repo = "library/" + q.repo
	}
	if !nameForm.MatchString(q.repo) || len(q.repo) > maxName {
		return request{}, &gateway.AnswerError{Code: http.StatusBadRequest, Err: &protocolError{"NAME_INVALID", fmt.Sprintf("%q is no repository", q.repo)}}
	}
	return q, q.check()
}

func (q request) check() error {
	switch q.kind {
	case "manifests":
		if strings.Contains(q.ref, ":") {
			return checkDigest(q.ref)
		}
		if !tagForm.MatchString(q.ref) {
			return bad("%q is no tag", q.ref)
		}
	case "blobs", "referrers":
		return checkDigest(q.ref)
	case "tags":
		if q.ref != "list" {
			return bad("tags/%s: only tags/list can be asked for", q.ref)
		}
	default:
		return &gateway.AnswerError{Code: http.StatusNotFound, Err: &protocolError{"UNSUPPORTED", "no such path"}}
	}
	return nil
}

func checkDigest(ref string) error {
	if d := digest.Digest(ref); d.Validate() != nil || !slices.Contains([]digest.Algorithm{digest.SHA256, digest.SHA512}, d.Algorithm()) {
		return &gateway.AnswerError{Code: http.StatusBadRequest, Err: &protocolError{"DIGEST_INVALID", fmt.Sprintf("%q is no digest", ref)}}
	}
	return nil
}

func noSuchPath(u *url.URL) error {
	return &gateway.AnswerError{Code: http.StatusNotFound, Err: &protocolError{"UNSUPPORTED", fmt.Sprintf("%.200q is no path of the protocol", u.Path)}}
}

func bad(format string, args ...any) error {
	return &gateway.AnswerError{Code: http.StatusBadRequest, Err: &protocolError{"UNSUPPORTED", fmt.Sprintf(format, args...)}}
}
