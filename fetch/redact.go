package fetch

import (
	"errors"
	"net/url"

	secrets "github.com/outlast-build/outlast/redact"
)

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
	if text := secrets.Text(err.Error()); text != err.Error() {
		return &scrubbed{text, err}
	}
	return err
}
