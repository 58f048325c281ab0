package oci

import (
	"encoding/json"
	"errors"
	"net/http"
)

// A protocolError has a code of the distribution specification, section "Error
// codes".
type protocolError struct{ code, message string }

func (e *protocolError) Error() string { return e.message }

// codes says which code goes with which status where the error has none of its
// own.
var codes = map[int]string{
	http.StatusBadRequest:       "UNSUPPORTED",
	http.StatusForbidden:        "DENIED",
	http.StatusNotFound:         "MANIFEST_UNKNOWN",
	http.StatusMethodNotAllowed: "UNSUPPORTED",
	http.StatusBadGateway:       "UNAVAILABLE",
}

// WriteError answers with the JSON that clients of the protocol read and show.
func (*Protocol) WriteError(w http.ResponseWriter, r *http.Request, status int, err error) {
	code := codes[status]
	var own *protocolError
	if errors.As(err, &own) {
		code = own.code
	}
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	// The client may be gone: there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(map[string][]detail{"errors": {{code, err.Error()}}})
}
