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

// challenged reads the challenge to answer, over all lines, each of which may
// hold several: a token is asked for where there is a choice, since Basic helps
// only who has a login.
func challenged(head http.Header) (challenge, bool) {
	var basic *challenge
	for _, line := range head.Values("WWW-Authenticate") {
		for _, c := range challenges(line) {
			switch {
			case c.scheme == "bearer" && c.realm != "":
				return c, true
			case c.scheme == "basic" && basic == nil:
				basic = &c
			}
		}
	}
	if basic == nil {
		return challenge{}, false
	}
	return *basic, true
}

// challenges reads a line: schemes, each with its name="value" pairs, and commas
// between all of them. What it cannot read it leaves out.
func challenges(line string) []challenge {
	var all []challenge
	for rest := line; ; {
		var word string
		rest = strings.TrimLeft(rest, " ,\t")
		if rest == "" {
			return all
		}
		word, rest = wordOf(rest)
		after := strings.TrimLeft(rest, " \t")
		if word == "" {
			return all // no word, and so nothing that follows is known
		}
		if !strings.HasPrefix(after, "=") {
			all = append(all, challenge{scheme: strings.ToLower(word)})
			continue
		}
		var value string
		value, rest = valueOf(strings.TrimLeft(after[1:], " \t"))
		if len(all) > 0 {
			all[len(all)-1].set(strings.ToLower(word), value)
		}
	}
}

func (c *challenge) set(name, value string) {
	switch name {
	case "realm":
		c.realm = value
	case "service":
		c.service = value
	}
}

// wordOf reads a word: a scheme, or a parameter's name.
func wordOf(s string) (word, rest string) {
	end := strings.IndexAny(s, " \t,=\"")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

func valueOf(s string) (value, rest string) {
	if strings.HasPrefix(s, `"`) {
		return quoted(s[1:])
	}
	value, rest, _ = strings.Cut(s, ",")
	return strings.TrimSpace(value), rest
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
