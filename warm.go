package outlast

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// WarmImage is an image that a build needs, and how much of it is in the store.
type WarmImage struct {
	Ref    string `json:"ref"`
	Pinned string `json:"pinned,omitempty"` // the digest that outlast.lock gives it
	Bytes  int64  `json:"bytes"`            // in the store now, manifests among them
	Err    string `json:"error,omitempty"`  // why some of it is not
}

// Warming is what Warm did.
type Warming struct {
	Images   []WarmImage  `json:"images"`
	Packages WarmPackages `json:"packages"`
	Fetched  int64        `json:"fetched_bytes"`
	// Left are needs that no image meets. What a build needs of them in an outage
	// is what earlier builds asked for, as far as Packages has it.
	Left []dockerfile.Need `json:"left"`
}

// Warm fills the local store with the images that a build needs, and with what
// the steps of its last builds that succeeded asked for, so that it can be built
// while nothing else can be had. What is there is not fetched again.
// progress is told how many bytes have arrived, from several places at once.
// The error says which images are not whole in the store; the others are.
func Warm(ctx context.Context, t Target, progress func(fetched int64)) (Warming, error) {
	rec, err := t.recipe()
	if err != nil {
		return Warming{}, err
	}
	lock, err := readLock(lockPath(rec.path))
	if err != nil {
		return Warming{}, err
	}
	var fetched atomic.Int64
	t.OnTry = func(try fetch.Try) {
		n := fetched.Add(try.Bytes)
		if progress != nil {
			progress(n)
		}
	}
	g, err := t.warmer(ctx, rec)
	if err != nil {
		return Warming{}, err
	}
	defer g.Close()
	if g.store == nil {
		return Warming{}, &fault.Error{Op: "warm", Kind: fault.Config, Err: errors.New("there is no local store to fill: see store.path in the settings")}
	}
	w := Warming{Images: make([]WarmImage, 0), Left: make([]dockerfile.Need, 0)}
	for _, n := range rec.needs {
		if !n.Registry() {
			w.Left = append(w.Left, n)
		}
	}
	images := rec.images()
	errs := make([]error, len(images))
	w.Images = make([]WarmImage, len(images))
	var group errgroup.Group
	group.SetLimit(4)
	for i, im := range images {
		group.Go(func() error {
			w.Images[i], errs[i] = g.warm(ctx, im, lock)
			return nil
		})
	}
	_ = group.Wait() // none returns one
	w.Packages = g.warmWants(ctx, rec.path)
	w.Fetched = fetched.Load()
	if ctx.Err() != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return w, errors.Join(errs...)
}

// warmer starts a gateway for all that the builds of a recipe asked for.
func (t Target) warmer(ctx context.Context, rec recipe) (*Gateway, error) {
	var wanted map[string]want
	if store, err := cas.Open(t.Settings.Store.Path, t.Settings.Store.Size); err == nil {
		wanted = readWants(store, rec.path)
		store.Close()
	}
	if len(wanted) == 0 {
		return t.gateway(ctx, rec)
	}
	o := GatewayOptions{Settings: t.Settings, Hosts: rec.registries(), Once: true, Warn: t.note, OnTry: t.OnTry,
		Packages: FindPackages(ctx, t.Settings, t.Env, nil), Files: filesOf(wanted)}
	return NewGateway(ctx, o)
}

// warm brings one image into the store.
func (g *Gateway) warm(ctx context.Context, im image, lock Lock) (WarmImage, error) {
	w := WarmImage{Ref: im.ref}
	if pin, ok := lock.Images[im.ref]; ok {
		w.Pinned = pin.Digest.String()
	}
	var mu sync.Mutex
	seen := make(map[digest.Digest]bool)
	err := g.images().Pull(ctx, lock.pinned(im.ref), im.platforms, func(d digest.Digest, size int64) {
		mu.Lock()
		defer mu.Unlock()
		if !seen[d] {
			seen[d] = true
			w.Bytes += size
		}
	})
	if err != nil {
		err = fmt.Errorf("warm: %w", err)
		w.Err = err.Error()
	}
	return w, err
}
