package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/internal/testenv"
)

// A demo is one showing.
type demo struct {
	ctx   context.Context
	paper *paper
	full  bool
	limit time.Duration // of stock buildx where it hangs

	dir     string // holds all that the demo makes, and goes with it
	keep    string // holds what is left to look at
	example string // the build context
	buildx  program
	outlast program
	env     []string
	net     *network
	rows    []row
}

// A leftError says what could not be removed.
type leftError struct{ err error }

func (e *leftError) Error() string { return "clean up: " + e.err.Error() }

// A program is what a command's first words stand for.
type program struct {
	path  string
	words []string
	args  []string // before those of a command
}

// The builders, each a BuildKit of its own.
const (
	asItComes   = "as-it-comes"  // docker.io and gcr.io stand for their origins
	withMirrors = "with-mirrors" // and for their mirrors
	forOutlast  = "for-outlast"  // as with-mirrors
	empty       = "empty"        // as with-mirrors
)

// show plays all acts. It fails where something went otherwise than told.
func show(ctx context.Context, p *paper, full bool, limit time.Duration) (err error) {
	if err := testenv.CheckRoot(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ol")
	if err != nil {
		return err
	}
	defer func() {
		if left := os.RemoveAll(dir); left != nil {
			err = errors.Join(err, &leftError{left})
		}
	}()
	d := &demo{ctx: ctx, paper: p, full: full, limit: limit, dir: dir}
	if err := d.prepare(); err != nil {
		return err
	}
	if d.net, err = startNetwork(ctx, dir); err != nil {
		return err
	}
	defer d.net.Close()
	stop, err := d.startBuilders()
	defer stop()
	if err != nil {
		return err
	}
	before, err := fingerprint(d.example)
	if err != nil {
		return err
	}
	if err := d.net.fail(); err != nil {
		return err
	}
	for _, act := range []func() error{d.introduce, d.stockAsItComes, d.stockWithMirrors, d.outlastBuilds, d.everythingDown} {
		if err := act(); err != nil {
			return err
		}
	}
	after, err := fingerprint(d.example)
	if err != nil {
		return err
	}
	if before != after {
		return errors.New("the example was changed")
	}
	d.report()
	return d.look()
}

// prepare finds and builds what the demo runs.
func (d *demo) prepare() error {
	tools, err := testenv.Dir()
	if err != nil {
		return err
	}
	d.example = filepath.Join(filepath.Dir(tools), "examples", "conductor-loop")
	built, err := testenv.BuildOutlast()
	if err != nil {
		return err
	}
	d.outlast = program{path: built, words: []string{"outlast"}}
	buildx, err := testenv.OpenBuildx(filepath.Join(d.dir, "docker"))
	if err != nil {
		return err
	}
	if d.buildx.path, err = testenv.LookTool("buildx"); err != nil {
		return err
	}
	d.buildx.words = []string{"buildx"}
	if docker, err := exec.LookPath("docker"); err == nil {
		d.buildx = program{path: docker, words: []string{"docker", "buildx"}, args: []string{"buildx"}}
	}
	// What the user has set elsewhere has no part in this.
	d.env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == "BUILDKIT_HOST" || strings.HasPrefix(name, "BUILDX_") || strings.HasPrefix(name, "OUTLAST_") ||
			strings.HasPrefix(name, "EXPERIMENTAL_")
	})
	d.env = append(d.env, buildx.Environ()...)
	if err := d.keepFolder(); err != nil {
		return err
	}
	d.env = append(d.env, "XDG_STATE_HOME="+filepath.Join(d.dir, "state"), "OUTLAST_HISTORY_PATH="+d.keep, "HOME="+d.dir, "NO_COLOR=1")
	return nil
}

// startBuilders starts a BuildKit for each builder, and tells buildx of it.
// The function that it returns stops those that run.
func (d *demo) startBuilders() (stop func(), err error) {
	configs := map[string]string{
		asItComes: d.net.originsOnly(), withMirrors: d.net.BuildkitConfig(),
		forOutlast: d.net.BuildkitConfig(), empty: d.net.BuildkitConfig(),
	}
	daemons := make(chan *testenv.Buildkitd, len(configs))
	var group errgroup.Group
	for name, config := range configs {
		group.Go(func() error {
			b, err := testenv.StartBuildkitd(d.ctx, filepath.Join(d.dir, name), testenv.BuildkitdOptions{Config: config})
			if err != nil {
				return err
			}
			daemons <- b
			_, err = d.buildxRun("create", "--name", name, "--driver", "remote", b.Addr())
			return err
		})
	}
	err = group.Wait()
	close(daemons)
	return func() {
		var group errgroup.Group
		for b := range daemons {
			group.Go(func() error { b.Stop(); return nil })
		}
		group.Wait()
	}, err
}

func (d *demo) buildxRun(args ...string) (string, error) {
	return testenv.Run(d.ctx, d.env, append([]string{d.buildx.path}, append(d.buildx.args, args...)...)...)
}

// run shows a command and what it prints.
func (d *demo) run(p program, limit time.Duration, args ...string) (result, error) {
	d.paper.command(append(slices.Clone(p.words), args...)...)
	s := newScreen(d.paper, d.net, d.full)
	r, err := command{
		path: p.path, args: append(slices.Clone(p.args), args...), dir: d.example, env: d.env, limit: limit, lines: s.show,
	}.run(d.ctx)
	s.end()
	return r, err
}

// fingerprint is a digest of all files in a folder.
func fingerprint(dir string) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(h, "%s %d\n", path, len(data))
		h.Write(data)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)), err
}
