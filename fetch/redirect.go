package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxRedirects is what net/http and browsers bound them by, more or less.
const maxRedirects = 10

// plain are the headers that go along to another host. Referer is not one of
// them: the address of the page before may carry a signature.
var plain = []string{"Accept", "Accept-Encoding", "Range", "User-Agent", "If-None-Match", "If-Modified-Since"}

// client returns an HTTP client for requests to src. The transport of src sees
// requests to the scheme, host and port of src alone; a redirect to anywhere
// else goes through base, with nothing in it that could be a secret.
func client(src *Source, base http.RoundTripper) *http.Client {
	c := &http.Client{Transport: base, CheckRedirect: checkRedirect}
	if src.Transport == nil {
		return c
	}
	home, err := url.Parse(src.URL)
	if err != nil {
		return c
	}
	c.Transport = fenced{home: place(home), own: src.Transport, base: base}
	return c
}

// fenced sends what goes home through own, all else through base.
type fenced struct {
	home      string
	own, base http.RoundTripper
}

// RoundTrip is http.RoundTripper's.
func (f fenced) RoundTrip(r *http.Request) (*http.Response, error) {
	if place(r.URL) == f.home {
		return f.own.RoundTrip(r)
	}
	return f.base.RoundTrip(r)
}

// place names who answers at u: scheme, host and port.
func place(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// checkRedirect decides on a redirect to r, and takes from r what its target
// has no business to know.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if err := MayLead(via[len(via)-1].URL, r.URL); err != nil {
		return fmt.Errorf("redirect %w", err)
	}
	if place(r.URL) == place(via[0].URL) {
		return nil
	}
	kept := make(http.Header)
	for _, name := range plain {
		if v, ok := r.Header[name]; ok {
			kept[name] = v
		}
	}
	r.Header = kept
	return nil
}

// MayLead returns an error where what was found at from, a redirect or a page
// of links, must not have to asked for.
func MayLead(from, to *url.URL) error {
	switch {
	case to.Scheme != "http" && to.Scheme != "https":
		return fmt.Errorf("to the scheme %q", to.Scheme)
	case to.User != nil:
		return errors.New("to an address with a user in it")
	case from.Scheme == "https" && to.Scheme == "http" && !inner(to.Hostname()):
		return errors.New("from https to http, at " + to.Host)
	case inner(to.Hostname()) && !inner(from.Hostname()):
		// Else any upstream could have this machine's own services asked.
		return errors.New("from outside to this machine, at " + to.Host)
	}
	return nil
}

// inner reports whether host, as it is written, is this machine or its link.
func inner(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	a = a.Unmap()
	return err == nil && (a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified())
}
