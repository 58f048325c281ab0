package npm

import (
	"context"
	"fmt"
	"net/http"

	"github.com/outlast-build/outlast/gateway"
)

// archive returns the archive that q asks for, with the hash that proves it.
func (p *Protocol) archive(r *http.Request, q request, origin string) (gateway.Asset, error) {
	path := archivePath(q.name, q.rest)
	a := gateway.Asset{
		Key:    "npm/" + p.registry.Base + path,
		Name:   q.name + "@" + q.rest,
		Origin: origin,
		Path:   path,
		Type:   "application/octet-stream",
	}
	if p.registry.Base == "" {
		return a, nil // nobody is asked
	}
	integrity, err := p.integrity(r, q, origin)
	if err != nil {
		return a, err
	}
	s, ok := strongest(integrity)
	if !ok {
		return a, &gateway.AnswerError{Code: http.StatusBadGateway, Err: fmt.Errorf("%s: %w", a.Name, errNoHash)}
	}
	return proved(a, s), nil
}

// claimed is the header in which npm says what its lock file names as the
// integrity of an archive.
const claimed = "Pacote-Integrity"

// integrity finds the hash of an archive: among what documents said already,
// in what the client knows itself, or by asking for the document.
//
// The client's word is as good as any: it can only name what it gets, not
// change what others get.
func (p *Protocol) integrity(r *http.Request, q request, origin string) (string, error) {
	if known, ok := p.known.integrity(q.name, q.rest); ok {
		return known, nil
	}
	one := request{kind: oneRelease, name: q.name, rest: q.rest}
	all := request{kind: wholeDocument, name: q.name}
	tried := []gateway.Asset{p.document(one, origin, false), p.document(all, origin, true), p.document(all, origin, false)}
	for _, a := range tried {
		a.Stored = true
		if known, err := p.lookUp(r.Context(), a, q); err == nil {
			return known, nil
		}
	}
	if own := r.Header.Get(claimed); own != "" {
		if _, ok := strongest(own); ok {
			return own, nil
		}
	}
	// Not every registry answers about one version.
	known, err := p.lookUp(r.Context(), tried[0], q)
	if err == nil || r.Context().Err() != nil {
		return known, err
	}
	return p.lookUp(r.Context(), tried[1], q)
}

// lookUp finds the hash of q in the document a.
func (p *Protocol) lookUp(ctx context.Context, a gateway.Asset, q request) (string, error) {
	b, err := p.find(ctx, a)
	if err != nil {
		return "", err
	}
	defer b.Close()
	d, err := read(b.Bytes())
	if err != nil {
		return "", err
	}
	for i := len(d.releases) - 1; i >= 0; i-- {
		if d.releases[i].version == q.rest {
			return d.releases[i].integrity, nil
		}
	}
	return "", notFound(fmt.Errorf("%s has no version %s", q.name, q.rest))
}

// contradicted reports whether the registry says another hash of an archive than
// the client that asked for it.
func (p *Protocol) contradicted(r *http.Request) bool {
	own, ok := strongest(r.Header.Get(claimed))
	q, err := parse(cut(r.URL.EscapedPath()))
	if !ok || err != nil || q.kind != archive {
		return false
	}
	origin, err := p.origin(q.name)
	if err != nil {
		return false
	}
	r = r.Clone(r.Context())
	r.Header.Del(claimed)
	said, err := p.integrity(r, q, origin)
	theirs, ok := sums(said)[own.name]
	return err == nil && ok && theirs != own.hex
}
