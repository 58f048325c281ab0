package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// url reads the address of a registry or a mirror.
func (r reader) url(key string, n ast.Node) (string, bool) {
	text, why := scalarText(n)
	if why == "" {
		var address string
		if address, why = checkURL(text); why == "" {
			return address, true
		}
	}
	r.problem(r.source.at(lineOf(n)), key, why+"; allowed: "+urlAllowed)
	return "", false
}

// checkURL returns an address without the slash at its end, or why it is none.
// It never repeats what may hold a password.
func checkURL(text string) (address, why string) {
	u, err := url.Parse(text)
	switch {
	case err != nil && strings.Contains(text, "@"), err == nil && u.User != nil:
		return "", "credentials do not belong in settings: log in with docker login"
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", fmt.Sprintf("%q is no address", text)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Sprintf("%s:// is no way to reach a registry", u.Scheme)
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", fmt.Sprintf("%q has more than a host and a path", text)
	case !validHost(u.Host):
		return "", fmt.Sprintf("%q has no host that can be", text)
	}
	path := strings.TrimRight(u.Path, "/")
	switch {
	case path == "/v2" || strings.HasPrefix(path, "/v2/"):
		return "", "leave /v2 out: it is put in by the protocol"
	case path != "" && !onlyForm.MatchString(path[1:]+"/"):
		return "", fmt.Sprintf("%q has a path that no repository can have", text)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + path, ""
}

// secure checks that an address over plain HTTP is allowed.
func (r reader) secure(key string, n ast.Node, address string, insecure bool) bool {
	if !plain(address) || insecure || Loopback(hostOf(address)) {
		return true
	}
	r.problem(r.source.at(lineOf(n)), key, plainText(address, "insecure"))
	return false
}

func plainText(address, key string) string {
	return fmt.Sprintf("%s is plain HTTP and not this machine: use https://, or allow it by %s: true", address, key)
}

func plain(address string) bool { return strings.HasPrefix(address, "http://") }

func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

var nameForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*$`)

// validHost reports whether host is a name or an address, with or without a
// port.
func validHost(host string) bool {
	name, port, has := cutPort(host)
	if has {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return validHostname(name)
}

// cutPort takes the port off host. A bare IPv6 address has none.
func cutPort(host string) (name, port string, has bool) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		name, rest, closed := strings.Cut(inner, "]")
		if !closed || !strings.Contains(name, ":") {
			return "", "", false
		}
		port, has = strings.CutPrefix(rest, ":")
		if rest != "" && !has {
			return "", "", false
		}
		return name, port, has
	}
	if strings.Count(host, ":") != 1 {
		return host, "", false
	}
	return strings.Cut(host, ":")
}

// validHostname reports whether name is a DNS name or an IP address.
func validHostname(name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Zone() == ""
	}
	return len(name) <= 253 && nameForm.MatchString(name)
}
