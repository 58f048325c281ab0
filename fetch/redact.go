package fetch

import (
	"errors"
	"net/url"
	"regexp"
)

// secret matches what may stand in the text of an error and must not be read
// by anybody: the signature of an address, a user's name and password, a token.
var secret = []struct {
	match *regexp.Regexp
	put   string
}{
	{regexp.MustCompile(`\?[^\s"'<>]*`), ""},
	{regexp.MustCompile(`//[^/@\s"']+@`), "//"},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+`), "$1 ***"},
}

// scrub returns text without secrets.
func scrub(text string) string {
	for _, s := range secret {
		text = s.match.ReplaceAllString(text, s.put)
	}
	return text
}

// A scrubbed error is another one whose text has lost its secrets.
type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.err }

// redact takes the address that net/http puts before its errors, and secrets,
// from the text of err. What err is, errors.Is and errors.As still tell.
func redact(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	if text := scrub(err.Error()); text != err.Error() {
		return &scrubbed{text, err}
	}
	return err
}
