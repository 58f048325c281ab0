package gateway

import (
	"errors"
	"net/http"
	"regexp"
)

// hostForm is a name or an address, with or without a port: nothing that could
// end a text that it stands in.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// Address returns the address under which the client that sent r sees the
// gateway, without a slash at its end.
func Address(r *http.Request) (string, error) {
	if !hostForm.MatchString(r.Host) {
		return "", &AnswerError{http.StatusBadRequest, errors.New("the Host header is no host")}
	}
	if r.TLS != nil {
		return "https://" + r.Host, nil
	}
	return "http://" + r.Host, nil
}
