package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/goccy/go-yaml/ast"
)

// Probe is how the services are measured.
type Probe struct {
	Budget     time.Duration // of all checks together
	Points     Points
	Registries []string // the primary ones, each as a public image in full that is asked for: docker.io/library/alpine:latest
	Proxies    []string // Go module proxies besides those that the go command is set to
	Samples    []string // images that everybody may pull, by which mirrors are compared with their origins
	Module     string   // what each Go module proxy is asked for: PATH or PATH@VERSION
	Internet   []string // HOST:PORT or https://HOST; one of them is enough
	Checks     []Check  // added ones
}

// Points are what each category of the scorecard counts. They need not make
// 100: what they earn is scaled.
type Points struct{ Actions, Registries, Proxies, DNS, Internet int }

// A Check is a check of the user's own.
type Check struct {
	Name   string // for people
	Kind   string // one of the keys in checkKinds: registry, goproxy, npm, pypi, url, tcp
	Target string // an image in full, an address, or HOST:PORT, by the kind
	For    string // the package manager or the registry whose builds need it; empty: none does
	Points int    // what it counts
}

// A checkKind is what a check may ask, by the name of its key.
type checkKind struct {
	name, allowed, doc string
	parse              func(string) (string, error)
}

var checkKinds = []checkKind{
	{"registry", imageAllowed, "A registry, by an image that it has: a token, and the bytes of its manifest.", parseImage},
	{"goproxy", webAllowed, "A Go module proxy.", parseWeb},
	{"npm", webAllowed, "A registry of npm.", parseWeb},
	{"pypi", webAllowed, "An index of Python packages: its address ends with `/simple` as a rule.", parseWeb},
	{"url", webAllowed, "Anything else over HTTP: a package mirror by one of its files, an API. A page for people is a failure.", parseWeb},
	{"tcp", "HOST:PORT", "Anything else: a connection is enough.", parsePort},
}

// checkFields are the other keys of a check.
var checkFields = []field{
	{"name", "text", "", nameAllowed, "What the check is called."},
	{"for", "word", "", forAllowed, "Whose builds need it: a package manager that a `RUN` calls, or the registry of an image. By default it is shown, and does not decide the strategy of a build."},
	{"points", "points", "10", countAllowed, "What it counts, beside the others."},
}

// What may be written.
const (
	imageAllowed  = "an image, as in registry.example.com/team/app:1"
	webAllowed    = "https://HOST[:PORT][/PATH], or http://"
	nameAllowed   = "a text of up to 60 characters in a line"
	forAllowed    = "a package manager (apt, go, npm, pip, …), or the HOST of a registry"
	pointsAllowed = "a whole number from 0 to 1000"
	countAllowed  = "a whole number from 1 to 1000"
	checksAllowed = "a list of checks, as in [{name: our npm, npm: https://npm.example.com, for: npm}]; [] for none"
	moduleAllowed = "a module, as in golang.org/x/text or golang.org/x/text@v0.3.8"
	placesAllowed = "a list of HOST:PORT and https://HOST, as in [1.1.1.1:443]"
	imagesAllowed = "a list of images that everybody may pull, as in [docker.io/library/alpine:latest]"
	websAllowed   = "a list of addresses, as in [https://goproxy.example.com]; [] for none"
)

// PackageManagers are the package managers that a check can be for.
func PackageManagers() []string { return slices.Clone(managers) }

var managers = strings.Fields("apk apt cargo composer conan conda cpan gem go gradle hackage hex luarocks maven nix npm nuget opam pacman pecl pip pnpm poetry pub rpm rustup sbt swift uv yarn")

const (
	maxChecks = 32
	maxPoints = 1000
	maxItems  = 32
)

var (
	pointsKind = kindOf("points", pointsAllowed,
		func(s string, _ place) (int, error) { return parsePoints(s) },
		func(v int) any { return strconv.Itoa(v) })
	imagesKind = listOf("images", imagesAllowed, parseImage)
	websKind   = listOf("addresses", websAllowed, parseWeb)
	placesKind = listOf("places", placesAllowed, parsePlace)
	moduleKind = kindOf("module", moduleAllowed,
		func(s string, _ place) (string, error) { return parseModule(s) },
		func(v string) any { return v })
)

// listOf is a kind of lists of plain words. A variable has them with commas or
// blanks between.
func listOf(name, allowed string, parse func(string) (string, error)) kind {
	k := kindOf(name, allowed, func(s string, _ place) ([]string, error) {
		words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
		if len(words) > maxItems {
			return nil, fmt.Errorf("%d entries: up to %d are taken", len(words), maxItems)
		}
		list := make([]string, len(words))
		for i, w := range words {
			var err error
			if list[i], err = parse(w); err != nil {
				return nil, err
			}
		}
		return list, nil
	}, func(v []string) any { return v })
	k.list = true
	return k
}

func parsePoints(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no number of points", s)
	case n > maxPoints:
		return 0, fmt.Errorf("%q is more than %d", s, maxPoints)
	}
	return int(n), nil
}

// parseImage returns an image in full.
func parseImage(s string) (string, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return "", fmt.Errorf("%q is no image", s)
	}
	return reference.TagNameOnly(named).String(), nil
}

// parseWeb returns an address without a slash at its end. It never repeats
// what may hold a password.
func parseWeb(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil && strings.Contains(s, "@"), err == nil && u.User != nil:
		return "", errors.New("credentials do not belong in settings")
	case err != nil || u.Opaque != "" || !validHost(u.Host):
		return "", fmt.Errorf("%q is no address", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%q is no address over HTTP", s)
	case u.Fragment != "" || u.RawQuery != "" || u.ForceQuery:
		return "", fmt.Errorf("%q has more than a host and a path", s)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}

func parsePort(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || !validHostname(host) {
		return "", fmt.Errorf("%q is no HOST:PORT", s)
	}
	return s, nil
}

func parsePlace(s string) (string, error) {
	if strings.Contains(s, "://") {
		return parseWeb(s)
	}
	return parsePort(s)
}

var moduleForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*(@v[0-9][A-Za-z0-9.+-]*)?$`)

func parseModule(s string) (string, error) {
	if len(s) > 300 || !moduleForm.MatchString(s) {
		return "", fmt.Errorf("%.60q is no module", s)
	}
	return s, nil
}

// checks reads the list of added checks.
func (r reader) checks(n ast.Node) {
	const key = "probe.checks"
	list, ok := r.list(key, n, maxChecks, checksAllowed)
	checks := make([]Check, 0, len(list))
	for i, item := range list {
		c, fine := r.check(fmt.Sprintf("%s[%d]", key, i), item)
		ok = ok && fine
		checks = append(checks, c)
	}
	if ok {
		r.settings.Probe.Checks = checks
		r.sources[key] = r.source.at(lineOf(n))
	}
}

func (r reader) check(key string, n ast.Node) (Check, bool) {
	c := Check{Points: 10}
	before := len(r.problems)
	r.mapping(key, n, checkKeys(), func(name, key string, v ast.Node) {
		text, why := scalarText(v)
		if why == "" {
			why = c.set(name, text)
		}
		if why != "" {
			r.problem(r.source.at(lineOf(v)), key, why)
		}
	})
	if len(r.problems) > before {
		return c, false
	}
	if c.Kind == "" || c.Name == "" {
		r.problem(r.source.at(lineOf(n)), key, "a check needs its name, and one of "+strings.Join(kindNames(), ", "))
		return c, false
	}
	return c, true
}

// set sets a field from its text, or says why not.
func (c *Check) set(name, text string) (why string) {
	if i := slices.IndexFunc(checkKinds, func(k checkKind) bool { return k.name == name }); i >= 0 {
		k := checkKinds[i]
		if c.Kind != "" {
			return "a check asks one thing: it has " + c.Kind + " already"
		}
		target, err := k.parse(text)
		if err != nil {
			return err.Error() + "; allowed: " + k.allowed
		}
		c.Kind, c.Target = name, target
		return ""
	}
	switch name {
	case "name":
		if text == "" || len(text) > 60 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			return "no name; allowed: " + nameAllowed
		}
		c.Name = text
	case "for":
		if !slices.Contains(managers, text) && (!validHost(text) || !strings.ContainsAny(text, ".:") && text != "localhost") {
			return fmt.Sprintf("%.60q is neither; allowed: %s", text, forAllowed)
		}
		c.For = text
	case "points":
		n, err := parsePoints(text)
		if err == nil && n == 0 {
			err = errors.New("a check counts something")
		}
		if err != nil {
			return err.Error() + "; allowed: " + countAllowed
		}
		c.Points = n
	}
	return ""
}

func kindNames() []string {
	all := make([]string, len(checkKinds))
	for i, k := range checkKinds {
		all[i] = k.name
	}
	return all
}

func checkKeys() []string { return append(append([]string{"name"}, kindNames()...), "for", "points") }

// checkDescriptions are all keys of a check.
func checkDescriptions() []field {
	all := slices.Clone(checkFields)
	for _, k := range checkKinds {
		all = append(all, field{k.name, "address", "", k.allowed, k.doc})
	}
	return all
}

// String returns the check in a line, as a settings file has it.
func (c Check) String() string {
	text := fmt.Sprintf("{name: %s, %s: %s", doubleQuoted(c.Name), c.Kind, doubleQuoted(c.Target))
	if c.For != "" {
		text += ", for: " + doubleQuoted(c.For)
	}
	if c.Points != 10 {
		text += fmt.Sprintf(", points: %d", c.Points)
	}
	return text + "}"
}
