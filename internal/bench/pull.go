package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

// rate is what the slower sources send on a connection, in bytes a second.
const rate = 50_000_000

// layers are the sizes of the image that is pulled, in MiB.
var layers = []int64{1, 2, 3, 5, 8, 13, 20, 35, 60, 100}

// pullDockerfile makes the builder pull and unpack all layers.
const pullDockerfile = "FROM scratch\nCOPY --from=docker.io/library/ten:1 /usr/share/noise/1 /one\n"

const (
	blackholeAim   = 500 * time.Millisecond
	blackholeLimit = 30 * time.Second // stock buildx is cut then
)

// pushTen makes the image and sends it to the registry.
func (w *world) pushTen(ctx context.Context) error {
	return w.push(ctx, "ten", func(dir string) (images.Image, error) {
		var sizes []int64
		for _, mib := range layers {
			sizes = append(sizes, mib<<20)
		}
		return images.Noise(dir, "docker.io/library/ten:1", 1, sizes...)
	})
}

// pull is a cold build by a BuildKit and a store that are new.
func (w *world) pull(ctx context.Context, s *site, build func(*place, string) (time.Duration, error)) (time.Duration, error) {
	p, err := w.fresh(ctx, s)
	if err != nil {
		return 0, err
	}
	defer p.close()
	dir, err := p.context(pullDockerfile)
	if err != nil {
		return 0, err
	}
	return build(p, dir)
}

func (w *world) stockPull(ctx context.Context, s *site, limit time.Duration) (time.Duration, error) {
	return w.pull(ctx, s, func(p *place, dir string) (time.Duration, error) { return p.stockBuild(ctx, dir, limit) })
}

func (w *world) outlastPull(ctx context.Context, s *site) (time.Duration, error) {
	return w.pull(ctx, s, func(p *place, dir string) (time.Duration, error) { return p.outlastBuild(ctx, dir) })
}

// measurePull pulls from one source and from three, slow and fast.
func measurePull(ctx context.Context, w *world) ([]row, error) {
	slow, err := w.pulls(ctx, rate)
	if err != nil {
		return nil, err
	}
	fast, err := w.pulls(ctx, 0)
	if err != nil {
		return nil, err
	}
	return []row{
		pullRow("cold pull at 50 MB/s a connection: one source", slow[0], slow[1], "at most 1.00×", 1),
		pullRow("cold pull at 50 MB/s a connection: two mirrors and origin", slow[0], slow[2], "below 1.00×", 1),
		pullRow("cold pull as fast as loopback: one source", fast[0], fast[1], "", 0),
		pullRow("cold pull as fast as loopback: two mirrors and origin", fast[0], fast[2], "", 0),
	}, nil
}

// pulls returns the times of stock buildx, and of outlast with one source and
// with three.
func (w *world) pulls(ctx context.Context, rate int64) ([]time.Duration, error) {
	if err := w.pushTen(ctx); err != nil {
		return nil, err
	}
	one, err := w.site(0, rate)
	if err != nil {
		return nil, err
	}
	defer one.close()
	three, err := w.site(2, rate)
	if err != nil {
		return nil, err
	}
	defer three.close()
	return turns(rounds,
		func() (time.Duration, error) { return w.stockPull(ctx, one, limit) },
		func() (time.Duration, error) { return w.outlastPull(ctx, one) },
		func() (time.Duration, error) { return w.outlastPull(ctx, three) },
	)
}

func pullRow(what string, stock, ours time.Duration, aim string, most float64) row {
	r := ratio(stock, ours)
	return row{What: what, Base: seconds(stock), Ours: seconds(ours), Result: fmt.Sprintf("%.2f×", r),
		Aim: aim, Short: aim != "" && r > most}
}

// measureBlackhole pulls with the first of two mirrors well and black-holed.
func measureBlackhole(ctx context.Context, w *world) ([]row, error) {
	if err := w.pushTen(ctx); err != nil {
		return nil, err
	}
	s, err := w.site(2, rate)
	if err != nil {
		return nil, err
	}
	defer s.close()
	under := func(script faultnet.Script) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			if err := s.places[0].Play(script); err != nil {
				return 0, err
			}
			return w.outlastPull(ctx, s)
		}
	}
	dead := faultnet.Always(faultnet.DropSYN())
	took, err := turns(rounds, under(nil), under(dead))
	if err != nil {
		return nil, err
	}
	if err := s.places[0].Play(dead); err != nil {
		return nil, err
	}
	stock, err := w.stockPull(ctx, s, blackholeLimit)
	said := seconds(stock)
	switch {
	case errors.Is(err, errCut):
		said = "cut at " + seconds(blackholeLimit)
	case err != nil:
		return nil, err
	}
	more := took[1] - took[0]
	return []row{
		{What: "outlast, first mirror well and then black-holed", Base: seconds(took[0]), Ours: seconds(took[1]),
			Result: fmt.Sprintf("%+.2f s", more.Seconds()), Aim: "at most 0.5 s more", Short: more > blackholeAim},
		{What: "stock buildx beside it, first mirror black-holed", Base: said, Ours: seconds(took[1])},
	}, nil
}
