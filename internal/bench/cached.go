package main

import (
	"context"
	"fmt"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

const cachedDockerfile = `FROM docker.io/library/alpine:3 AS build
WORKDIR /src
COPY . .
RUN wc -c Dockerfile > /out
FROM docker.io/library/alpine:3
COPY --from=build /out /out
RUN cat /out
`

// cachedAim is how much longer than stock a cached build may take.
const cachedAim = 150 * time.Millisecond

// measureCached builds again what both have built.
func measureCached(ctx context.Context, w *world) ([]row, error) {
	if err := w.push(ctx, "alpine", func(string) (images.Image, error) {
		all, err := testenv.BaseImages()
		if err != nil {
			return images.Image{}, err
		}
		return all["alpine"], nil
	}); err != nil {
		return nil, err
	}
	s, err := w.site(0, 0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, err := w.fresh(ctx, s)
	if err != nil {
		return nil, err
	}
	defer p.close()
	dir, err := p.context(cachedDockerfile)
	if err != nil {
		return nil, err
	}
	stock := func() (time.Duration, error) { return p.stockBuild(ctx, dir, limit) }
	outlast := func() (time.Duration, error) { return p.outlastBuild(ctx, dir) }
	if _, err := turns(1, stock, outlast); err != nil {
		return nil, err
	}
	took, err := turns(cachedRounds, stock, outlast)
	if err != nil {
		return nil, err
	}
	more := took[1] - took[0]
	return []row{{
		What: "a build that is wholly cached, against stock buildx",
		Base: millis(took[0]), Ours: millis(took[1]), Result: fmt.Sprintf("%+d ms", more.Milliseconds()),
		Aim: "at most " + millis(cachedAim) + " more", Short: more > cachedAim,
	}}, nil
}

// cachedRounds is more than others have: these builds are short, and what
// else the machine does weighs more.
const cachedRounds = 7
