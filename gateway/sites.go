package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Site is a place on a web server that has files, such as an archive of
// packages, and the mirrors that have the same files.
type Site struct {
	Place   string   // HOST[:PORT], and a path where only what is below it is meant: deb.example.com/debian
	Mirrors []string // addresses that stand for Place, in the order of preference
}

// Sites knows where the files of web servers may be had. Its methods may be
// called at once from many places.
type Sites struct {
	mu    sync.Mutex
	known map[string][]siteMirror // by host
}

// A siteMirror has what is below a place of its host.
type siteMirror struct {
	below string // a path that begins with a slash, and ends with one
	at    *url.URL
}

// NewSites prepares the upstreams of each site. An address that cannot be used
// is an error.
func NewSites(list []Site) (*Sites, error) {
	s := &Sites{known: make(map[string][]siteMirror)}
	for _, site := range list {
		host, below, _ := strings.Cut(site.Place, "/")
		if err := s.Allow(host); err != nil {
			return nil, err
		}
		for _, m := range site.Mirrors {
			at, err := url.Parse(m)
			if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
				return nil, fmt.Errorf("site %s: %q is no address of a mirror: want https://HOST[:PORT][/PATH]", site.Place, m)
			}
			host := strings.ToLower(host)
			s.known[host] = append(s.known[host], siteMirror{strings.TrimSuffix("/"+strings.Trim(below, "/"), "/") + "/", at})
		}
	}
	return s, nil
}

var siteHost = regexp.MustCompile(`^[a-z0-9]+(?:[.-]+[a-z0-9]+)*(?::[0-9]{1,5})?$`)

// Allow adds hosts that have no settings: those that a build names. A host that
// is none is an error.
func (s *Sites) Allow(hosts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, host := range hosts {
		host = strings.ToLower(host)
		if !siteHost.MatchString(host) {
			return fmt.Errorf("%q is no host", host)
		}
		if _, ok := s.known[host]; !ok {
			s.known[host] = nil
		}
	}
	return nil
}

// Upstreams returns where the content of an origin, SCHEME://HOST, may be had,
// the mirrors in front, or nil where its host is not known. Any of them may say
// what moves: archives sign what they say, and who asked checks it.
func (s *Sites) Upstreams(origin string) []Upstream {
	scheme, host, _ := strings.Cut(origin, "://")
	s.mu.Lock()
	mirrors, ok := s.known[host]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	var all []Upstream
	for _, m := range mirrors {
		root := strings.TrimSuffix(m.at.String(), "/") + "/"
		all = append(all, Upstream{Endpoint: m.at.Host, Base: root, Moving: true, Locate: func(a Asset) (string, bool) {
			rest, ok := strings.CutPrefix(a.Path, m.below)
			return root + a.written(rest), ok
		}})
	}
	return append(all, Upstream{Endpoint: host, Base: origin + "/", Moving: true, Origin: true, Locate: func(a Asset) (string, bool) {
		return scheme + "://" + host + a.written(a.Path), true
	}})
}

// written returns a part of a's path as it stands in an address.
func (a Asset) written(part string) string {
	if a.Written {
		return part
	}
	return escapePath(part)
}

// escapePath writes a path for an address. A plus sign is written out: some
// servers take it for a space.
func escapePath(p string) string {
	return strings.ReplaceAll((&url.URL{Path: p}).EscapedPath(), "+", "%2B")
}

// A File is what a request asks a web server for.
type File struct {
	Origin string // SCHEME://HOST[:PORT]
	Path   string // below it, with a slash at its beginning; no . and no .. in it
}

// maxFilePath bounds a path. Those of Debian's archive have up to 300 bytes.
const maxFilePath = 1024

// ReadFile reads what r asks for: below prefix as SCHEME/HOST/PATH, or, for a
// request to a proxy, in the address itself. What could be read in two ways is
// refused, and so is what carries a login: that is left to its own host.
func ReadFile(r *http.Request, prefix string) (File, error) {
	u := *r.URL
	if !u.IsAbs() {
		rest, ok := strings.CutPrefix(u.Path, prefix)
		scheme, rest, ok2 := strings.Cut(rest, "/")
		host, rest, ok3 := strings.Cut(rest, "/")
		if !ok || !ok2 || !ok3 {
			return File{}, refuse(http.StatusNotFound, "%.200q is no path of a repository: want %sSCHEME/HOST/PATH", r.URL.Path, prefix)
		}
		u.Scheme, u.Host, u.Path = scheme, host, "/"+rest
	}
	u.Host = strings.ToLower(u.Host)
	raw := strings.ToLower(r.URL.RawPath)
	origin, err := Origin(u.Scheme, u.Host)
	switch {
	case err != nil:
		return File{}, err
	case u.User != nil || r.Header.Get("Authorization") != "":
		return File{}, refuse(http.StatusForbidden, "%s: what needs a login is left to its own host", u.Host)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return File{}, refuse(http.StatusBadRequest, "an address with a query is no file of a repository")
	case strings.Contains(raw, "%2f") || strings.Contains(raw, "%5c") || !cleanPath(u.Path):
		return File{}, refuse(http.StatusBadRequest, "%.200q is no path of a file", u.Path)
	}
	return File{origin, strings.ReplaceAll(u.Path, "/./", "/")}, nil
}

// Origin returns what the files of a web server are known by, SCHEME://HOST[:PORT],
// or an error where that names none.
func Origin(scheme, host string) (string, error) {
	switch {
	case scheme != "http" && scheme != "https":
		return "", refuse(http.StatusBadRequest, "%.20q is no scheme of a web server", scheme)
	case !siteHost.MatchString(host):
		return "", refuse(http.StatusBadRequest, "%.200q is no host", host)
	}
	return scheme + "://" + host, nil
}

// cleanPath reports whether p names one file in every server's eyes. A lone dot
// is how archives without suites are written.
func cleanPath(p string) bool {
	if len(p) > maxFilePath || !strings.HasPrefix(p, "/") || strings.ContainsFunc(p, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }) {
		return false
	}
	plain := strings.ReplaceAll(p, "/./", "/")
	return path.Clean(plain) == plain && !slices.Contains(strings.Split(plain, "/"), "..")
}

func refuse(code int, format string, args ...any) error {
	return &AnswerError{Code: code, Err: fmt.Errorf(format, args...)}
}
