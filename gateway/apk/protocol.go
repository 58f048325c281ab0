// Package apk is a repository of Alpine packages, as apk reads it. Packages are
// proved by what the repository's index says of them. The index's own signature
// is apk's to check: the package has no keys.
package apk

import (
	"context"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where repositories are served, as SCHEME/HOST/PATH below it.
const Prefix = "/apk/"

const (
	// fresh is how long an index needs no new one. All steps of a build see the
	// same index then.
	fresh = time.Minute
	// patience is how long a package waits for an index that apk itself has from
	// before. Without, the package is judged by itself.
	patience = 5 * time.Second
	// maxIndex bounds an index. Alpine's largest has 2 MB.
	maxIndex  = 32 << 20
	indexName = "APKINDEX.tar.gz"
)

// Protocol is apk's side of a repository, as an ecosystem of the gateway. The
// zero value is ready for use by a gateway.Mirror. Its methods may be called at
// once from many places.
type Protocol struct {
	find    func(context.Context, gateway.Asset) (*gateway.Body, error)
	indexes indexes
}

var (
	_ gateway.Ecosystem = (*Protocol)(nil)
	_ gateway.Looker    = (*Protocol)(nil)
	_ gateway.Learner   = (*Protocol)(nil)
)

// Look gives the protocol the means to look into a repository's index.
func (p *Protocol) Look(find func(context.Context, gateway.Asset) (*gateway.Body, error)) {
	p.find = find
}

// Asset reads what r asks for. For a package it may read the repository's index.
func (p *Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	f, err := gateway.ReadFile(r, Prefix)
	if err != nil {
		return gateway.Asset{}, err
	}
	dir, name := path.Split(f.Path)
	switch {
	case name == indexName:
		return indexAsset(f), nil
	case path.Ext(name) == ".apk":
		return p.packageAsset(r.Context(), f, dir, name), nil
	}
	a := assetOf(f)
	a.Small = true
	return a, nil
}

func assetOf(f gateway.File) gateway.Asset {
	_, host, _ := strings.Cut(f.Origin, "://")
	return gateway.Asset{
		Key:    "apk/" + f.Origin + f.Path,
		Name:   host + f.Path,
		Origin: f.Origin,
		Path:   f.Path,
	}
}

func indexAsset(f gateway.File) gateway.Asset {
	a := assetOf(f)
	a.Small, a.Limit, a.Fresh = true, maxIndex, fresh
	a.Check = func(body []byte) error {
		_, err := readIndex(body)
		return err
	}
	return a
}

// packageAsset is a package: of the checksum that the index beside it has, where
// it lists the package.
func (p *Protocol) packageAsset(ctx context.Context, f gateway.File, dir, name string) gateway.Asset {
	a := assetOf(f)
	e, ok := p.lookUp(ctx, gateway.File{Origin: f.Origin, Path: dir + indexName}, name)
	if ok {
		// A package that was built anew under the same name is another one.
		a.Key += "@" + e.checksum
		a.Size = e.size
	}
	a.Prove = judge(e)
	return a
}

// lookUp finds a package in the index f: in the one that this process served
// last, else in the one of the store, else in a new one.
func (p *Protocol) lookUp(ctx context.Context, f gateway.File, name string) (entry, bool) {
	// Who goes away meanwhile has begun the fetch of the package all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for _, stored := range []bool{true, false} {
		if e, ok := p.indexes.entry(f, name); ok {
			return e, true
		}
		a := indexAsset(f)
		a.Stored = stored
		if b, err := p.find(ctx, a); err == nil {
			b.Close()
		}
	}
	return p.indexes.entry(f, name)
}

// Learn notes what the index that is served lists.
func (p *Protocol) Learn(a gateway.Asset, body []byte) {
	if path.Base(a.Path) == indexName {
		p.indexes.learn(gateway.File{Origin: a.Origin, Path: a.Path}, body)
	}
}
