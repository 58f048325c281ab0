package images

import (
	"bufio"
	"context"
	"errors"
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
	if suite, err := machineSuite(); err == nil {
		refs = append([]string{"docker.io/library/debian:" + suite, "docker.io/library/debian:" + suite + "-slim"}, refs...)
	}
	return refs
}

// The suite alone is the key: what is in it changes with each point release,
// but the image need not follow.
func debianKey(*Maker) (string, error) { return machineSuite() }

// makeDebian makes what debootstrap calls minbase, without what the slim
// images leave out.
func makeDebian(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	if err := m.Root(); err != nil {
		return nil, err
	}
	suite, err := machineSuite()
	if err != nil {
		return nil, err
	}
	source, err := aptSource(suite, "/etc/apt")
	if err != nil {
		return nil, err
	}
	debootstrap, err := m.Tool("debootstrap")
	if err != nil {
		return nil, err
	}
	root := filepath.Join(dir, "root")
	args := []string{"--variant=minbase"}
	if source.keyring != "" {
		args = append(args, "--keyring="+source.keyring)
	}
	cmd := exec.CommandContext(ctx, debootstrap, append(args, suite, root, source.mirror)...)
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

// machineSuite returns the Debian release of this machine: "bookworm".
func machineSuite() (string, error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if suite, ok := strings.CutPrefix(lines.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(suite, `"`), nil
		}
	}
	return "", errors.New("/etc/os-release names no VERSION_CODENAME: not a Debian-like machine")
}

type aptEntry struct {
	mirror, suite, keyring string
	components             []string
}

// aptSource returns where this machine gets the main packages of a suite.
func aptSource(suite, dir string) (aptEntry, error) {
	files, _ := filepath.Glob(filepath.Join(dir, "sources.list.d", "*"))
	for _, file := range append([]string{filepath.Join(dir, "sources.list")}, files...) {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		parse := parseList
		if strings.HasSuffix(file, ".sources") {
			parse = parseDeb822
		}
		for _, e := range parse(string(content)) {
			if e.suite == suite && slices.Contains(e.components, "main") && strings.HasPrefix(e.mirror, "http") {
				return e, nil
			}
		}
	}
	return aptEntry{}, fmt.Errorf("apt's sources in %s name no mirror of %s", dir, suite)
}

// parseList reads lines of the form "deb [signed-by=KEYS] MIRROR SUITE COMPONENT…".
func parseList(content string) []aptEntry {
	var all []aptEntry
	for line := range strings.Lines(content) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "deb" {
			continue
		}
		fields = fields[1:]
		var e aptEntry
		if len(fields) > 0 && strings.HasPrefix(fields[0], "[") {
			for len(fields) > 0 {
				option := fields[0]
				fields = fields[1:]
				if keyring, ok := strings.CutPrefix(strings.Trim(option, "[]"), "signed-by="); ok {
					e.keyring = keyring
				}
				if strings.HasSuffix(option, "]") {
					break
				}
			}
		}
		if len(fields) < 3 {
			continue
		}
		e.mirror, e.suite, e.components = fields[0], fields[1], fields[2:]
		all = append(all, e)
	}
	return all
}

// parseDeb822 reads paragraphs of "Field: value".
func parseDeb822(content string) []aptEntry {
	var all []aptEntry
	for paragraph := range strings.SplitSeq(content, "\n\n") {
		fields := make(map[string][]string)
		for line := range strings.Lines(paragraph) {
			if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
				fields[name] = strings.Fields(value)
			}
		}
		if !slices.Contains(fields["Types"], "deb") {
			continue
		}
		var keyring string
		if keys := fields["Signed-By"]; len(keys) == 1 && filepath.IsAbs(keys[0]) {
			keyring = keys[0]
		}
		for _, mirror := range fields["URIs"] {
			for _, suite := range fields["Suites"] {
				all = append(all, aptEntry{mirror, suite, keyring, fields["Components"]})
			}
		}
	}
	return all
}
