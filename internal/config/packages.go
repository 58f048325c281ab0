package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Packages is where package managers in RUN get what they ask for. An empty
// list means what the manager itself is set to on this machine.
type Packages struct {
	Prepare bool     // RUNs are led through the gateway
	Go      []string // addresses of module proxies, in order
	NPM     []string // addresses of npm's registry and of what stands in for it
	Pip     []string // addresses of an index of Python packages and of what stands in for it
	Private []string // npm packages and scopes that the registry alone is asked for
	Apt     []string // PLACE=ADDRESS: mirrors of repositories
	Apk     []string // PLACE=ADDRESS: the same of Alpine's
	Files   []string // PLACE=ADDRESS: mirrors of what ADD asks for
	Hosts   []string // HOST or HOST:PORT that may be at no public address
}

// What may be written.
const (
	namesAllowed    = "a list of names and scopes of npm, as in [\"@acme\", acme-*]"
	standInsAllowed = "a list of PLACE=ADDRESS, as in [deb.example.com/debian=https://mirror.example.com/debian]"
	hostsAllowed    = "a list of HOST or HOST:PORT, as in [proxy.internal, 10.0.0.7:3128]"
)

var (
	namesKind    = listOf("names", namesAllowed, parseName)
	standInsKind = listOf("mirrors", standInsAllowed, parseStandIn)
	hostsKind    = listOf("hosts", hostsAllowed, parseHost)
)

var (
	packageName = regexp.MustCompile(`^(@[A-Za-z0-9._~-]+|(@[A-Za-z0-9._~-]+/)?[A-Za-z0-9._~-]+\*?)$`)
	folder      = regexp.MustCompile(`^(/[A-Za-z0-9._~+-]+)*/?$`)
)

func parseName(s string) (string, error) {
	if !packageName.MatchString(s) {
		return "", fmt.Errorf("%q is no name of npm", s)
	}
	return s, nil
}

func parseStandIn(s string) (string, error) {
	place, at, ok := strings.Cut(s, "=")
	if !ok {
		return "", fmt.Errorf("%q has no = in it", s)
	}
	host, below, _ := strings.Cut(place, "/")
	if !validHostname(hostname(host)) || !folder.MatchString("/"+below) {
		return "", fmt.Errorf("%q is no HOST or HOST/FOLDER", place)
	}
	at, err := parseWeb(at)
	return place + "=" + at, err
}

func parseHost(s string) (string, error) {
	if !validHostname(hostname(s)) {
		return "", fmt.Errorf("%q is no host", s)
	}
	return strings.ToLower(s), nil
}

// ownPackages keeps a project from saying where packages come from, and what
// the proxy may reach: what was fetched is kept for other projects too.
func ownPackages(*loader, any) string {
	return "only your own settings say where packages come from"
}
