package oci

import (
	"net/http"
	"strings"
)

// A challenge is what a registry demands in WWW-Authenticate (RFC 9110,
// section 11.6.1; distribution's "Token Authentication Specification").
type challenge struct {
	scheme         string // bearer or basic
	realm, service string
}

// challenged reads the first challenge that is understood.
func challenged(head http.Header) (challenge, bool) {
	for _, line := range head.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		c := challenge{scheme: strings.ToLower(scheme)}
		params := parameters(rest)
		c.realm, c.service = params["realm"], params["service"]
		if c.scheme == "basic" || c.scheme == "bearer" && c.realm != "" {
			return c, true
		}
	}
	return challenge{}, false
}

// parameters reads name="value" pairs. What it cannot read it leaves out.
func parameters(s string) map[string]string {
	all := make(map[string]string)
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		name = strings.ToLower(strings.Trim(name, " ,\t"))
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest = quoted(rest[1:])
		} else {
			value, rest, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		all[name] = value
		s = rest
	}
	return all
}

// quoted reads up to the closing quote and returns what follows it.
func quoted(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			if i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}
