package fault

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// OfStatus returns the kind of failure that an HTTP status code says, and None
// for 1xx to 3xx (RFC 9110, section 15). A page for people may hide behind any
// code: ask IsHTML first.
func OfStatus(code int) Kind {
	switch {
	case code < 400:
		return None
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return Auth
	case code == http.StatusNotFound, code == http.StatusGone:
		return NotFound
	case code == http.StatusRequestTimeout:
		return Timeout
	case code == http.StatusTooManyRequests:
		return RateLimited
	case code >= 500:
		return Outage
	}
	return Rejected
}

// IsHTML reports whether a body is a page for people, by its media type or,
// where the type says nothing of the sort, by its first bytes. Outage pages
// come as text/html, as text/plain, and with no type at all.
func IsHTML(contentType string, head []byte) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	if media == "text/html" || media == "application/xhtml+xml" {
		return true
	}
	text := strings.ToLower(strings.TrimLeft(string(head[:min(len(head), 512)]), "\ufeff \t\r\n"))
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body", "<h1", "<h2", "<title"} {
		if strings.HasPrefix(text, tag) {
			return true
		}
	}
	return false
}

// RetryAfter reads the header of that name, which is a number of seconds or a
// date (RFC 9110, section 10.2.3); now is what a date is measured from. It
// returns 0 for what it cannot read and for what has passed.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}
