package dockerfile

import (
	"net/url"
	"strings"
)

// urlHost returns the host of a URL, or "" where it is not to be told.
func urlHost(s string) string {
	rest, ok := "", false
	if _, rest, ok = strings.Cut(s, "://"); !ok {
		return ""
	}
	authority := rest[:len(rest)-len(strings.TrimLeft(rest, "/"))]
	authority, _, _ = strings.Cut(rest[len(authority):], "/")
	if strings.ContainsAny(authority, "$`{}") {
		return ""
	}
	u, err := url.Parse("http://" + authority)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// gitHost returns the host of a git remote, also of the form git@host:path.
func gitHost(remote string) string {
	if strings.Contains(remote, "://") {
		return urlHost(remote)
	}
	host, _, ok := strings.Cut(remote, ":")
	if !ok {
		return ""
	}
	return strings.ToLower(host[strings.LastIndex(host, "@")+1:])
}
