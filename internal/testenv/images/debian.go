package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const debianPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func debianRefs(m *Maker) []string {
	refs := []string{"docker.io/library/debian:latest"}
	if suite, err := AptSuite(); err == nil {
		refs = append([]string{"docker.io/library/debian:" + suite, "docker.io/library/debian:" + suite + "-slim"}, refs...)
	}
	return refs
}

// The suite alone is the key: what is in it changes with each point release,
// but the image need not follow.
func debianKey(*Maker) (string, error) { return AptSuite() }

// makeDebian makes what debootstrap calls minbase, without what the slim
// images leave out.
func makeDebian(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	if err := m.Root(); err != nil {
		return nil, err
	}
	suite, err := AptSuite()
	if err != nil {
		return nil, err
	}
	source, err := aptSource(suite, aptDir)
	if err != nil {
		return nil, err
	}
	debootstrap, err := m.Tool("debootstrap")
	if err != nil {
		return nil, err
	}
	root := filepath.Join(dir, "root")
	args := []string{"--variant=minbase"}
	if source.Keyring != "" {
		args = append(args, "--keyring="+source.Keyring)
	}
	cmd := exec.CommandContext(ctx, debootstrap, append(args, suite, root, source.Mirror)...)
	cmd.Env = append(os.Environ(), "PATH="+debianPath, "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return nil, fmt.Errorf("debootstrap: %w: is Debian's mirror reachable?\n%s", err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}

	w := newLayer(dir)
	w.tree("", root, func(rel string, d fs.DirEntry) bool {
		return slices.Contains(thisMachines, rel) || slices.ContainsFunc(leftOut, func(p string) bool { return strings.HasPrefix(rel, p+"/") })
	})
	// Debian's own address, not that of the mirror at hand: who builds on this
	// image has the proxies and mirrors of the build, not those of this machine.
	w.bytes(sourcesList, 0o644, "deb http://deb.example.com/debian "+suite+" main\n")
	layer, err := w.layer()
	if err != nil {
		return nil, err
	}
	img, err := finish(scratch(), "linux/amd64", v1.Config{Env: []string{"PATH=" + debianPath}, Cmd: []string{"bash"}}, layer)
	return []v1.Image{img}, err
}

const sourcesList = "etc/apt/sources.list"

// thisMachines are files in which debootstrap leaves word of this machine or
// of the moment.
var thisMachines = []string{sourcesList, "etc/resolv.conf", "etc/hostname", "etc/machine-id", "var/cache/ldconfig/aux-cache"}

// leftOut are folders whose content an image does without.
var leftOut = []string{
	"dev", "proc", "sys", "run", "tmp", "debootstrap", "var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log",
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
}
