package images

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// AptSuite returns the Debian release of this machine: "bookworm".
func AptSuite() (string, error) {
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

// An AptSource is where this machine gets packages of one suite.
type AptSource struct {
	Mirror     string // http://deb.example.com/debian
	Suite      string
	Keyring    string // a file; empty where apt's own are meant
	Components []string
}

const aptDir = "/etc/apt"

// AptSources lists where this machine gets its packages, in apt's order.
func AptSources() []AptSource { return aptSources(aptDir) }

func aptSources(dir string) []AptSource {
	var all []AptSource
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
		all = append(all, parse(string(content))...)
	}
	return all
}

// aptSource returns where this machine gets the main packages of a suite.
func aptSource(suite, dir string) (AptSource, error) {
	for _, s := range aptSources(dir) {
		if s.Suite == suite && slices.Contains(s.Components, "main") && strings.HasPrefix(s.Mirror, "http") {
			return s, nil
		}
	}
	return AptSource{}, fmt.Errorf("apt's sources in %s name no mirror of %s", dir, suite)
}

// parseList reads lines of the form "deb [signed-by=KEYS] MIRROR SUITE COMPONENT…".
func parseList(content string) []AptSource {
	var all []AptSource
	for line := range strings.Lines(content) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "deb" {
			continue
		}
		fields = fields[1:]
		var e AptSource
		if len(fields) > 0 && strings.HasPrefix(fields[0], "[") {
			for len(fields) > 0 {
				option := fields[0]
				fields = fields[1:]
				if keyring, ok := strings.CutPrefix(strings.Trim(option, "[]"), "signed-by="); ok {
					e.Keyring = keyring
				}
				if strings.HasSuffix(option, "]") {
					break
				}
			}
		}
		if len(fields) < 3 {
			continue
		}
		e.Mirror, e.Suite, e.Components = fields[0], fields[1], fields[2:]
		all = append(all, e)
	}
	return all
}

// parseDeb822 reads paragraphs of "Field: value".
func parseDeb822(content string) []AptSource {
	var all []AptSource
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
				all = append(all, AptSource{mirror, suite, keyring, fields["Components"]})
			}
		}
	}
	return all
}
