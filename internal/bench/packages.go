package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
)

const coldAim, packagesWarmAim = 1.1, 1.0

// measurePackages measures how a client gets packages: directly, through a
// gateway that has nothing, and through one that has all.
func measurePackages(make func(ctx context.Context, dir string) (*client, error)) func(context.Context, *world) ([]row, error) {
	return func(ctx context.Context, w *world) ([]row, error) {
		dir, err := os.MkdirTemp(w.dir, "c")
		if err != nil {
			return nil, err
		}
		c, err := make(ctx, dir)
		if err != nil {
			return nil, err
		}
		return w.packages(ctx, dir, c)
	}
}

func (w *world) packages(ctx context.Context, dir string, c *client) ([]row, error) {
	ours := through{start: func() (*middle, error) { return w.packagesGateway(dir) }}
	defer ours.close()
	took, err := turns(rounds,
		func() (time.Duration, error) { return c.get(ctx, nil) },
		func() (time.Duration, error) { return ours.cold(ctx, c) },
		func() (time.Duration, error) { return c.get(ctx, ours.middle) })
	if err != nil {
		return nil, err
	}
	rows := []row{
		packagesRow(c.name+": cold gateway against direct", took[0], took[1], "at most 1.10×", coldAim),
		packagesRow(c.name+": warm gateway against direct", took[0], took[2], "below 1.00×", packagesWarmAim),
	}
	if !c.peers {
		return rows, nil
	}
	others, err := measurePeers(ctx, c, took)
	return append(rows, others...), err
}

// through is a middle that is started anew for each cold turn.
type through struct {
	start func() (*middle, error)
	*middle
}

func (t *through) cold(ctx context.Context, c *client) (time.Duration, error) {
	t.close()
	var err error
	if t.middle, err = t.start(); err != nil {
		return 0, err
	}
	return c.get(ctx, t.middle)
}

func (t *through) close() {
	if t.middle != nil {
		t.middle.close()
		t.middle = nil
	}
}

// measurePeers has c go through what Debian has for this, cold and warm. What
// is not there is left out.
func measurePeers(ctx context.Context, c *client, took []time.Duration) ([]row, error) {
	var rows []row
	for _, p := range peers {
		path, err := testenv.LookTool(p.name)
		if errors.As(err, new(*testenv.Missing)) {
			fmt.Fprintf(os.Stderr, "%s is not measured: %v\n", p.name, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		theirs := through{start: func() (*middle, error) { return p.run(ctx, path) }}
		both, err := turns(rounds,
			func() (time.Duration, error) { return theirs.cold(ctx, c) },
			func() (time.Duration, error) { return c.get(ctx, theirs.middle) })
		theirs.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		rows = append(rows,
			packagesRow(c.name+": cold gateway against cold "+p.name, both[0], took[1], "", 0),
			packagesRow(c.name+": warm gateway against warm "+p.name, both[1], took[2], "", 0))
	}
	return rows, nil
}

func packagesRow(what string, base, ours time.Duration, aim string, most float64) row {
	r := ratio(base, ours)
	return row{What: what, Base: seconds(base), Ours: seconds(ours), Result: fmt.Sprintf("%.2f×", r), Aim: aim, Short: aim != "" && r > most}
}

// A middle stands between a client and its registries.
type middle struct {
	url   string // without a slash at its end
	close func()
}

// packagesGateway starts a gateway with an empty store.
func (w *world) packagesGateway(dir string) (*middle, error) {
	own, err := os.MkdirTemp(dir, "g")
	if err != nil {
		return nil, err
	}
	text, err := packagesSettings(filepath.Join(own, "store"))
	if err == nil {
		err = os.WriteFile(filepath.Join(own, "settings.yaml"), []byte(text), 0o600)
	}
	if err != nil {
		return nil, err
	}
	c, err := startChild([]string{"HOME=" + own}, w.outlast, "gateway", "--config", filepath.Join(own, "settings.yaml"), "--listen", "127.0.0.1:0", "--quiet")
	if err != nil {
		return nil, err
	}
	return &middle{url: c.base, close: func() {
		c.stop()
		os.RemoveAll(own)
	}}, nil
}

func packagesSettings(store string) (string, error) {
	goProxy, err := testenv.GoProxy()
	if err != nil {
		return "", err
	}
	npm, err := testenv.NPMRegistry()
	if err != nil {
		return "", err
	}
	apt, err := testenv.AptSource()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(apt.Mirror)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("store: {path: %q}\npackages:\n  go: [%q]\n  npm: [%q]\n  hosts: [%q]\n", store, goProxy, npm, u.Host), nil
}
