// Package deb is an archive of Debian packages, as apt reads it. Indexes and
// packages are proved by what the archive's release says of them, and a release
// is taken only together with the indexes that were asked for. The release's
// own signature is apt's to check: the package has no keys.
package deb

import (
	"context"
	"errors"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where archives are served, as SCHEME/HOST/PATH below it.
const Prefix = "/deb/"

// fresh is how long a release needs no new one. All steps of a build see the
// same release then.
const fresh = time.Minute

// Protocol is apt's side of an archive, as an ecosystem of the gateway. The zero
// value is ready for use by a gateway.Mirror. Its methods may be called at once
// from many places.
type Protocol struct {
	find   func(context.Context, gateway.Asset) (*gateway.Body, error)
	suites suites
	tables tables
}

var (
	_ gateway.Ecosystem = (*Protocol)(nil)
	_ gateway.Looker    = (*Protocol)(nil)
	_ gateway.Learner   = (*Protocol)(nil)
)

// Look gives the protocol the means to look into an archive's indexes.
func (p *Protocol) Look(find func(context.Context, gateway.Asset) (*gateway.Body, error)) {
	p.find = find
}

// Asset reads what r asks for. For a package it may read the archive's indexes.
func (p *Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	f, err := gateway.ReadFile(r, Prefix)
	if err != nil {
		return gateway.Asset{}, err
	}
	dir, name := path.Split(f.Path)
	switch {
	case name == "InRelease" || name == "Release" || name == "Release.gpg":
		return p.release(gateway.File{Origin: f.Origin, Path: f.Path}), nil
	case strings.Contains(f.Path, "/by-hash/"):
		return p.byHash(f)
	case strings.Contains(f.Path, ".diff/"):
		// apt takes the whole index where it cannot have the differences.
		return gateway.Asset{}, notFound("differences of indexes are not served")
	case dir != "/" && p.isIndex(f):
		return p.index(r.Context(), f)
	}
	return p.file(r.Context(), f), nil
}

func notFound(text string) error {
	return &gateway.AnswerError{Code: http.StatusNotFound, Err: errors.New(text)}
}

func assetOf(f gateway.File) gateway.Asset {
	return gateway.Asset{
		Key:    "deb/" + f.Origin + f.Path,
		Name:   nameOf(f),
		Origin: f.Origin,
		Path:   f.Path,
	}
}

// nameOf is f for people: deb.example.com/debian/pool/…
func nameOf(f gateway.File) string {
	_, host, _ := strings.Cut(f.Origin, "://")
	return host + f.Path
}

// isIndex reports whether f is listed in a release: all below the folder of a
// suite is.
func (p *Protocol) isIndex(f gateway.File) bool {
	return strings.Contains(f.Path, "/dists/") || p.suites.lists(f)
}

// release is the asset of a suite's release, or of its signature.
func (p *Protocol) release(f gateway.File) gateway.Asset {
	a := assetOf(f)
	a.Small, a.Fresh, a.Type = true, fresh, "text/plain"
	if !strings.HasSuffix(f.Path, ".gpg") {
		a.Check = func(body []byte) error { return p.accept(f, body) }
	}
	return a
}

// byHash is an index that is named by its own digest.
func (p *Protocol) byHash(f gateway.File) (gateway.Asset, error) {
	before, after, _ := strings.Cut(f.Path, "/by-hash/")
	algorithm, hex, _ := strings.Cut(after, "/")
	d := digest.Digest(strings.ToLower(algorithm) + ":" + hex)
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 && d.Algorithm() != digest.SHA512 {
		return gateway.Asset{}, notFound("an index is named by SHA256 or SHA512")
	}
	a := hashed(f.Origin, before+"/", d)
	if s, e, ok := p.suites.byDigest(f, d); ok {
		a.Size = e.size
		s.use(e.name)
	}
	return a, nil
}

// hashed is the asset of an index of this digest in the folder dir.
func hashed(origin, dir string, d digest.Digest) gateway.Asset {
	a := assetOf(gateway.File{Origin: origin, Path: dir + "by-hash/" + strings.ToUpper(d.Algorithm().String()) + "/" + d.Encoded()})
	a.Digest = d
	return a
}

// index is an index that is named by its place: what the release that was served
// last says is there.
func (p *Protocol) index(ctx context.Context, f gateway.File) (gateway.Asset, error) {
	s, err := p.suite(ctx, f)
	if err != nil {
		return gateway.Asset{}, err
	}
	name := strings.TrimPrefix(f.Path, s.dir)
	e, ok := s.entry(name)
	if !ok {
		return gateway.Asset{}, notFound("the release does not list " + name)
	}
	s.use(name)
	return s.asset(e), nil
}

// lasting are names of packages and their sources, which have their version in
// them and never change.
var lasting = regexp.MustCompile(`_[^/]*\.(deb|udeb|ddeb|dsc|tar\.(gz|xz|bz2|zst)|diff\.gz)$`)

// file is any other file: a package, or its source. Its digest is what the
// indexes say; where none is known to list it, it is read for damage.
func (p *Protocol) file(ctx context.Context, f gateway.File) gateway.Asset {
	a := assetOf(f)
	if e, ok := p.lookUp(ctx, f); ok {
		a.Digest, a.Size = e.digest, e.size
		return a
	}
	if !lasting.MatchString(f.Path) {
		a.Small = true // an archive without a release: what it has moves
		return a
	}
	a.Prove = judge(f.Path)
	return a
}
