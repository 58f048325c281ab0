package gomod

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/outlast-build/outlast/gateway"
)

// Proxies reads the addresses out of a value of GOPROXY. What is left to the go
// command itself, direct and off, is not among them, and nothing behind it.
func Proxies(value string) []string {
	var all []string
	for one := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == '|' }) {
		one = strings.TrimSpace(one)
		if one == "direct" || one == "off" {
			break
		}
		if one != "" {
			all = append(all, one)
		}
	}
	return all
}

// upstream returns the proxy at address.
func upstream(address string, base http.RoundTripper) (gateway.Upstream, error) {
	at, err := url.Parse(address)
	if err != nil {
		return gateway.Upstream{}, fmt.Errorf("an address cannot be read") // the error would repeat a password
	}
	if at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.RawQuery != "" || at.Fragment != "" {
		return gateway.Upstream{}, fmt.Errorf("%q is no address of a proxy: want https://HOST[:PORT][/PATH]", at.Redacted())
	}
	user := at.User
	at.User = nil
	root := strings.TrimSuffix(at.String(), "/") + "/"
	return gateway.Upstream{
		Endpoint:  at.Host,
		Base:      root,
		Moving:    true,
		Transport: withUser(user, base),
		Locate:    func(a gateway.Asset) (string, bool) { return root + a.Path, true },
	}, nil
}

// withUser adds a login to the requests of one host.
func withUser(user *url.Userinfo, base http.RoundTripper) http.RoundTripper {
	if user == nil {
		return nil
	}
	return login{user, base}
}

type login struct {
	user *url.Userinfo
	base http.RoundTripper
}

// RoundTrip is http.RoundTripper's.
func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	password, _ := l.user.Password()
	r.SetBasicAuth(l.user.Username(), password)
	return l.base.RoundTrip(r)
}
