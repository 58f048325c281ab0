package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// A field is a key of a registry or of a mirror.
type field struct {
	name, kind, initial, allowed, doc string
}

// registryFields are the keys below registries.HOST.
var registryFields = []field{
	{"origin", "address", "https://HOST", urlAllowed,
		"The registry's own address. Where HOST is this machine it is `http://HOST` by default."},
	{"mirrors", "list", "[]", mirrorsAllowed,
		"Where else its content may be had, in the order of preference. A list stands in place of the default one."},
	{"insecure", "bool", "false", boolAllowed,
		"Whether the origin may be reached over plain HTTP although it is not this machine."},
	{"tokens", "list", "[]", tokensAllowed,
		"Hosts of token endpoints, besides the origin's own, that may get the credentials of this registry."},
}

// mirrorFields are the keys of a mirror.
var mirrorFields = []field{
	{"url", "address", "", urlAllowed,
		"Its address. A path stands before the names of repositories."},
	{"only", "path", "", onlyAllowed,
		"It has only the repositories whose names begin so, and has them without that beginning."},
	{"tags", "bool", "false", boolAllowed,
		"Whether it is believed about tags when the origin cannot say. Without, it serves what a digest proves."},
	{"insecure", "bool", "false", boolAllowed,
		"Whether it may be reached over plain HTTP although it is not this machine."},
}

// What may be written for the fields.
const (
	urlAllowed     = "https://HOST[:PORT][/PATH], or http:// for this machine and where insecure: true stands"
	mirrorsAllowed = "a list of mirrors, as in [{url: https://mirror.example.com, tags: true}]; [] for none"
	tokensAllowed  = "a list of hosts, as in [auth.example.com]; [] for none"
	onlyAllowed    = "a path that ends with a slash, as in library/"
)

func names(fields []field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return list
}

// Bounds on lists: what a settings file needs, and then some.
const (
	maxMirrors = 32
	maxHosts   = 32
)

func registryKey(host, field string) string { return "registries." + host + "." + field }

// below reads a value that stands on its own: probe.checks, registries, or
// registries.HOST, or registries.HOST.FIELD.
func (r reader) below(key string, n ast.Node) {
	if key == "probe.checks" {
		r.checks(n)
		return
	}
	path, ok := strings.CutPrefix(key, "registries.")
	if !ok {
		r.registries(n)
		return
	}
	for _, field := range names(registryFields) {
		if host, ok := strings.CutSuffix(path, "."+field); ok {
			r.host(host, lineOf(n), func(host string) { r.field(host, field, n) })
			return
		}
	}
	r.host(path, lineOf(n), func(host string) { r.registry(host, n) })
}

// registries reads the section: hosts and what is set for each.
func (r reader) registries(n ast.Node) {
	r.mapping("registries", n, nil, func(name, key string, v ast.Node) {
		r.host(name, lineOf(v), func(host string) { r.registry(host, v) })
	})
}

// host checks the name of a registry.
func (r reader) host(name string, line int, then func(host string)) {
	key := join("registries", name)
	switch {
	case hubHosts[strings.ToLower(name)]:
		r.problem(r.source.at(line), key, "Docker Hub is docker.io here, as in the names of images")
	case !validHost(name):
		r.problem(r.source.at(line), key, "no host of a registry; allowed: HOST or HOST:PORT as the names of images have it, without https:// and path")
	default:
		then(strings.ToLower(name))
	}
}

func (r reader) registry(host string, n ast.Node) {
	r.mapping(join("registries", host), n, names(registryFields), func(name, _ string, v ast.Node) { r.field(host, name, v) })
}

// field reads one field of a registry. What is not named keeps its value from
// the weaker sources.
func (r reader) field(host, name string, n ast.Node) {
	key := registryKey(host, name)
	reg, known := r.settings.Registries[host]
	if !known {
		reg = Registry{Origin: defaultOrigin(host)}
	}
	ok := false
	switch name {
	case "origin":
		reg.Origin, ok = r.url(key, n)
	case "mirrors":
		reg.Mirrors, ok = r.mirrors(key, n)
	case "insecure":
		reg.Insecure, ok = r.bool(key, n)
	case "tokens":
		before := reg.Tokens
		reg.Tokens, ok = r.tokens(key, n)
		if ok && r.source.Kind == ProjectFile && !slices.Equal(before, reg.Tokens) {
			r.warn(r.source.at(lineOf(n)), key, "not taken: only your own settings say who gets credentials")
			return
		}
	}
	if !ok {
		return
	}
	if !known && name != "origin" {
		r.sources[registryKey(host, "origin")] = Source{Kind: Default}
	}
	r.settings.Registries[host] = reg
	r.sources[key] = r.source.at(lineOf(n))
}

func (r reader) mirrors(key string, n ast.Node) ([]Mirror, bool) {
	list, ok := r.list(key, n, maxMirrors, mirrorsAllowed)
	mirrors := make([]Mirror, 0, len(list))
	for i, item := range list {
		m, fine := r.mirror(fmt.Sprintf("%s[%d]", key, i), item)
		ok = ok && fine
		mirrors = append(mirrors, m)
	}
	return mirrors, ok
}

// mirror reads a mirror: an address alone, or its fields.
func (r reader) mirror(key string, n ast.Node) (m Mirror, ok bool) {
	if _, isMap := n.(ast.MapNode); !isMap {
		m.URL, ok = r.url(key, n)
		return m, ok && r.secure(key, n, m.URL, false)
	}
	ok = true
	before := len(r.problems)
	line := n
	r.mapping(key, n, names(mirrorFields), func(name, key string, v ast.Node) {
		fine := false
		switch name {
		case "url":
			line = v
			m.URL, fine = r.url(key, v)
		case "only":
			m.Only, fine = r.only(key, v)
		case "tags":
			m.Tags, fine = r.bool(key, v)
		case "insecure":
			m.Insecure, fine = r.bool(key, v)
		}
		ok = ok && fine
	})
	if len(r.problems) > before {
		return m, false
	}
	if m.URL == "" {
		r.problem(r.source.at(lineOf(n)), key, "a mirror needs its url")
		return m, false
	}
	m.Anonymous = m.Insecure && r.source.Kind == ProjectFile && plain(m.URL)
	return m, ok && r.secure(key+".url", line, m.URL, m.Insecure)
}

func (r reader) tokens(key string, n ast.Node) ([]string, bool) {
	list, ok := r.list(key, n, maxHosts, tokensAllowed)
	hosts := make([]string, 0, len(list))
	for i, item := range list {
		text, why := scalarText(item)
		if why == "" && !validHost(text) {
			why = fmt.Sprintf("%q is no host", text)
		}
		if why != "" {
			r.problem(r.source.at(lineOf(item)), fmt.Sprintf("%s[%d]", key, i), why+"; allowed: HOST or HOST:PORT")
			ok = false
			continue
		}
		hosts = append(hosts, strings.ToLower(text))
	}
	return hosts, ok
}

func (r reader) list(key string, n ast.Node, limit int, allowed string) ([]ast.Node, bool) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.problem(r.source.at(lineOf(n)), key, "no list; allowed: "+allowed)
		return nil, false
	}
	if len(s.Values) > limit {
		r.problem(r.source.at(lineOf(n)), key, fmt.Sprintf("%d entries; allowed: up to %d", len(s.Values), limit))
		return nil, false
	}
	return s.Values, true
}

func (r reader) bool(key string, n ast.Node) (v, ok bool) {
	text, why := scalarText(n)
	if why == "" {
		if err := boolKind.set(&v, text, place{}); err == nil {
			return v, true
		} else {
			why = err.Error()
		}
	}
	r.problem(r.source.at(lineOf(n)), key, why)
	return false, false
}

// only reads the beginning of repositories' names. It ends with a slash, so
// that "library" does not take library-tools in.
func (r reader) only(key string, n ast.Node) (string, bool) {
	text, why := scalarText(n)
	if why == "" && onlyForm.MatchString(text) {
		return text, true
	}
	if why == "" {
		why = fmt.Sprintf("%q is no beginning of repositories", text)
	}
	r.problem(r.source.at(lineOf(n)), key, why+"; allowed: "+onlyAllowed)
	return "", false
}

// onlyForm is a path of repositories by the distribution specification, with a
// slash at its end.
var onlyForm = regexp.MustCompile(`^([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*/)+$`)

// anonymize marks the registries whose plain HTTP a project's file asked for,
// and checks that plain HTTP is allowed where it is used: an origin and its
// leave may come from different sources.
func (l *loader) anonymize() {
	for host, reg := range l.settings.Registries {
		if !plain(reg.Origin) || Loopback(hostOf(reg.Origin)) {
			continue
		}
		key := registryKey(host, "origin")
		if !reg.Insecure {
			l.problem(l.sources[key], key, plainText(reg.Origin, registryKey(host, "insecure")))
			continue
		}
		leave := l.sources[registryKey(host, "insecure")]
		reg.Anonymous = leave.Kind == ProjectFile || l.sources[key].Kind == ProjectFile
		l.settings.Registries[host] = reg
	}
}

// hosts lists the registries by name.
func (s Settings) hosts() []string {
	hosts := make([]string, 0, len(s.Registries))
	for h := range s.Registries {
		hosts = append(hosts, h)
	}
	slices.Sort(hosts)
	return hosts
}
