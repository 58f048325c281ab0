// Package web serves files of web servers, as ADD asks for them: from whoever
// has them, and, where nobody answers, as they were last seen. A page is no file
// where the name promises another. What a digest was given for is proved by it;
// all else is believed as far as its server, and the mirrors in the settings,
// are.
package web

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where files are served, as DIGEST/SCHEME/HOST/PATH below it, with a
// dash for a digest that is not known.
const Prefix = "/web/"

// Protocol is the gateway's ecosystem of files. It has no state.
type Protocol struct{}

var _ gateway.Ecosystem = Protocol{}

// maxAddress bounds an address. Signed ones have up to 2 KiB.
const maxAddress = 8 << 10

// Address returns where below a gateway, HOST:PORT, the file at an address is
// served, or false where it is left to its own server: what carries a login,
// and what two programs might read differently.
func Address(gatewayAt, address string, d digest.Digest) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxAddress || strings.Contains(address, "#") || u.User != nil || u.Opaque != "" {
		return "", false
	}
	known := "-"
	if d != "" {
		if d.Validate() != nil {
			return "", false
		}
		known = d.String()
	}
	at := Prefix + known + "/" + u.Scheme + "/" + u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		at += "?" + u.RawQuery
	}
	served, err := url.Parse("http://" + gatewayAt + at)
	if err != nil {
		return "", false
	}
	a, err := read(served)
	if err != nil || a.Origin+a.Path != u.Scheme+"://"+u.Host+strings.TrimPrefix(address, u.Scheme+"://"+u.Host) {
		return "", false
	}
	return served.String(), true
}

// Asset reads what r asks for.
func (Protocol) Asset(r *http.Request) (gateway.Asset, error) {
	if r.Header.Get("Authorization") != "" {
		return gateway.Asset{}, &gateway.AnswerError{Code: http.StatusForbidden, Err: errors.New("what needs a login is left to its own host")}
	}
	return read(r.URL)
}

func read(u *url.URL) (gateway.Asset, error) {
	known, rest, ok := strings.Cut(strings.TrimPrefix(u.EscapedPath(), Prefix), "/")
	scheme, rest, ok2 := strings.Cut(rest, "/")
	host, rest, ok3 := strings.Cut(rest, "/")
	if !ok || !ok2 || !ok3 || !strings.HasPrefix(u.Path, Prefix) {
		return gateway.Asset{}, refuse(http.StatusNotFound, "%.200q is no path of a file: want %sDIGEST/SCHEME/HOST/PATH", u.Path, Prefix)
	}
	var d digest.Digest
	if known != "-" {
		if d = digest.Digest(known); d.Validate() != nil {
			return gateway.Asset{}, refuse(http.StatusBadRequest, "%.200q is no digest", known)
		}
	}
	origin, err := gateway.Origin(scheme, host)
	if err != nil {
		return gateway.Asset{}, err
	}
	if !plain(rest) || len(rest)+len(u.RawQuery) > maxAddress {
		return gateway.Asset{}, refuse(http.StatusBadRequest, "%.200q is no path of a file", rest)
	}
	a := gateway.Asset{Name: host + "/" + rest, Origin: origin, Path: "/" + rest, Digest: d, Loose: true, Written: true, HTML: mayBePage(rest)}
	a.Key = "web/" + origin + a.Path
	if u.RawQuery != "" {
		a.Path += "?" + u.RawQuery
		a.Key += fmt.Sprintf("?%x", sha256.Sum256([]byte(u.RawQuery))) // it may be what opens the file
	}
	if d != "" {
		a.Key += "@" + d.String()
	}
	return a, nil
}

// plain reports whether an escaped path names one place in every server's eyes.
func plain(escaped string) bool {
	whole, err := url.PathUnescape(escaped)
	if err != nil || strings.ContainsFunc(whole, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }) {
		return false
	}
	for part := range strings.SplitSeq(whole, "/") {
		if part == ".." || part == "." {
			return false
		}
	}
	return true
}

// pages are the endings of what may well be a page.
var pages = map[string]bool{"": true, ".html": true, ".htm": true, ".xhtml": true, ".shtml": true, ".php": true, ".asp": true, ".aspx": true, ".jsp": true, ".cgi": true}

// mayBePage reports whether a path promises nothing but a page. An ending that
// is a number is a version.
func mayBePage(p string) bool {
	end := strings.ToLower(path.Ext(p))
	return pages[end] || strings.Trim(end, ".0123456789") == ""
}

func refuse(code int, format string, args ...any) error {
	return &gateway.AnswerError{Code: code, Err: fmt.Errorf(format, args...)}
}
