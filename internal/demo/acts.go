package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A row is a line of the report.
type row struct{ what, how string }

func (d *demo) introduce() error {
	p := d.paper
	p.act("A bad day")
	p.text("Five registries run on this machine's loopback network. Their content is real, and so are BuildKit and buildx. Only their failures are staged:")
	p.gap()
	p.lines(d.net.table())
	p.gap()
	p.text("The page is the one that stood for hours where a cache and a registry should have answered: %q", pageText)
	p.gap()
	p.text("To build, with nothing cached: examples/conductor-loop, from a Dockerfile with")
	p.gap()
	dockerfile, err := os.ReadFile(filepath.Join(d.example, "Dockerfile"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(dockerfile)) {
		if strings.HasPrefix(line, "FROM ") {
			p.lines(line)
		}
	}
	p.gap()
	p.text("docker.io and gcr.io are led to the services above: for buildx by buildkitd.toml, for outlast by its settings. Both files are shown.")
	return nil
}

const pageText = "Our services aren't available right now"

func (d *demo) stockAsItComes() error {
	d.paper.act("docker buildx, as it comes")
	d.paper.text("No mirrors: each name leads to its origin. gcr.io is the first to fail.")
	d.paper.gap()
	if err := d.stock("stock buildx, as it comes", enough, d.arguments(asItComes, "stock")); err != nil {
		return err
	}
	d.paper.gap()
	d.paper.text("The first stage alone, which needs no more than docker.io:")
	d.paper.gap()
	return d.stock("the same, its first stage", d.limit, d.arguments(asItComes, "stock", "--target", "build"))
}

// enough is what stock buildx gets where it is told to fail at once.
const enough = time.Minute

func (d *demo) stockWithMirrors() error {
	d.paper.act("docker buildx, with every mirror it can be given")
	d.paper.text("The best that buildkitd.toml can say (each address also has http = true):")
	d.paper.gap()
	for line := range strings.Lines(d.net.BuildkitConfig()) {
		if strings.Contains(line, ".io") || strings.Contains(line, "mirrors") {
			d.paper.lines(line)
		}
	}
	d.paper.gap()
	return d.stock("stock buildx, with mirrors", enough, d.arguments(withMirrors, "stock"))
}

// stock builds with buildx alone, which is told to fail.
func (d *demo) stock(what string, limit time.Duration, args []string) error {
	r, err := d.run(d.buildx, limit, args...)
	if err != nil {
		return err
	}
	switch {
	case r.code == 0:
		d.paper.verdict(true, "built after %s", r.seconds())
		return fmt.Errorf("%s was told to fail, and built", what)
	case r.cutOff():
		d.paper.verdict(false, "hangs; we cut it after %s. It would hang on: BuildKit sets no limit to the silence of a registry", r.seconds())
		d.rows = append(d.rows, row{what, "hung, cut after " + r.seconds()})
	default:
		d.paper.verdict(false, "failed after %s, exit code %d", r.seconds(), r.code)
		d.rows = append(d.rows, row{what, "failed after " + r.seconds()})
	}
	return nil
}

// arguments are those of buildx and outlast alike.
func (d *demo) arguments(builder, dest string, more ...string) []string {
	args := []string{"build", "--builder", builder, "--progress", "plain", "-t", "app:dev",
		"--output", "type=local,dest=" + filepath.Join(d.dir, dest)}
	return append(append(args, more...), ".")
}

func (d *demo) outlastBuilds() error {
	p := d.paper
	p.act("outlast build")
	settings, err := d.net.WriteSettings(d.dir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(settings)
	if err != nil {
		return err
	}
	p.text("The same Dockerfile, flags and buildkitd.toml, another empty BuildKit. %s:", settings)
	p.gap()
	p.lines(string(text))
	p.gap()
	r, err := d.build("outlast build", forOutlast, "first", settings, "--report", d.reportFile())
	if err != nil {
		return err
	}
	for _, s := range d.net.services {
		if s.script != nil && !mentions(r.output, s.place.Host()) {
			return fmt.Errorf("outlast did not say what %s did", s.place.Host())
		}
	}
	p.gap()
	p.text("Is it real? What was built runs:")
	p.gap()
	return d.try("first")
}

// mentions reports whether outlast's summary has a line on a service.
func mentions(output, host string) bool {
	return regexp.MustCompile(`(?m)^outlast: ` + regexp.QuoteMeta(host) + ` .*`).MatchString(output)
}

// build builds with outlast, which is told to succeed.
func (d *demo) build(what, builder, dest, settings string, more ...string) (result, error) {
	args := d.arguments(builder, dest, more...)
	r, err := d.run(d.outlast, 0, append(append(args[:1:1], "--config", settings), args[1:]...)...)
	if err != nil {
		return r, err
	}
	if r.code != 0 {
		d.paper.verdict(false, "failed after %s, exit code %d", r.seconds(), r.code)
		return r, fmt.Errorf("%s was told to succeed, and failed:\n%s", what, r.output)
	}
	d.paper.verdict(true, "built in %s", r.seconds())
	d.rows = append(d.rows, row{what, "built in " + r.seconds()})
	return r, nil
}

// try runs the program that was built, in the file system that it came in.
func (d *demo) try(dest string) error {
	root := filepath.Join(d.dir, dest)
	d.paper.command("chroot", root, "/service", "-version")
	out, err := runIn(d.ctx, root, "/service", "-version")
	if err != nil {
		return fmt.Errorf("run what was built: %w", err)
	}
	d.paper.lines(out)
	if !strings.HasPrefix(out, "conductor-loop ") {
		return fmt.Errorf("what was built printed %q", out)
	}
	return nil
}

func (d *demo) everythingDown() error {
	p := d.paper
	p.act("Everything is down")
	p.text("Now all five refuse connections. Stock buildx tries first, on the very BuildKit that has just built this image and has all of its layers:")
	p.gap()
	if err := d.net.down(); err != nil {
		return err
	}
	if err := d.stock("stock buildx, all down, cached", enough, d.arguments(forOutlast, "stock")); err != nil {
		return err
	}
	p.gap()
	p.text("outlast gets an empty BuildKit, and has its store:")
	p.gap()
	r, err := d.build("outlast build, all down", empty, "second", filepath.Join(d.dir, "settings.yaml"))
	if err != nil {
		return err
	}
	if !strings.Contains(r.output, "stale") {
		return fmt.Errorf("outlast did not say that its answers were stale:\n%s", r.output)
	}
	p.gap()
	return d.try("second")
}

func (d *demo) report() {
	d.paper.act("The report")
	for _, r := range d.rows {
		d.paper.result(strings.HasPrefix(r.how, "built"), r.what, r.how)
	}
}
