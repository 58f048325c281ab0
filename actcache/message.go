package actcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// number is an int64 as protobuf writes it in JSON: in quotes, and read
// without them too.
type number int64

func (n number) MarshalJSON() ([]byte, error) {
	return []byte(`"` + strconv.FormatInt(int64(n), 10) + `"`), nil
}

func (n *number) UnmarshalJSON(data []byte) error {
	if len(data) > 1 && data[0] == '"' {
		data = data[1 : len(data)-1]
	}
	v, err := strconv.ParseInt(string(data), 10, 64)
	*n = number(v)
	return err
}

// The messages of github.actions.results.api.v1.CacheService, as far as they
// are used.
type (
	createRequest struct {
		Key     string `json:"key"`
		Version string `json:"version"`
	}
	createResponse struct {
		OK        bool   `json:"ok"`
		UploadURL string `json:"signed_upload_url"`
		Message   string `json:"message,omitempty"`
	}
	finalizeRequest struct {
		Key     string `json:"key"`
		Version string `json:"version"`
		Size    number `json:"size_bytes"`
	}
	finalizeResponse struct {
		OK      bool   `json:"ok"`
		EntryID number `json:"entry_id"`
		Message string `json:"message,omitempty"`
	}
	lookupRequest struct {
		Key         string   `json:"key"`
		RestoreKeys []string `json:"restore_keys"`
		Version     string   `json:"version"`
	}
	lookupResponse struct {
		OK          bool   `json:"ok"`
		DownloadURL string `json:"signed_download_url"`
		MatchedKey  string `json:"matched_key"`
	}
)

// The messages of version 1 (_apis/artifactcache).
type (
	reserveV1 struct {
		ID int64 `json:"cacheId"`
	}
	commitV1 struct {
		Size int64 `json:"size"`
	}
	entryV1 struct {
		Key      string `json:"cacheKey"`
		Scope    string `json:"scope"`
		Version  string `json:"cacheVersion,omitempty"`
		Created  string `json:"creationTime,omitempty"`
		Location string `json:"archiveLocation"`
	}
)

// A refusal is an error that the client is told, in the words of its API.
type refusal struct {
	status int
	code   string // Twirp's
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, code, format string, args ...any) error {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

func invalid(err error) error { return refuse(http.StatusBadRequest, "invalid_argument", "%v", err) }

// answerError writes an error as both versions of the API have theirs: clients
// of version 2 look at code and msg, those of version 1 at typeKey and message,
// and go-actions-cache at either.
func answerError(w http.ResponseWriter, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	body := map[string]string{"code": r.code, "msg": r.text, "message": r.text}
	if r.code == "already_exists" {
		body["typeKey"] = "ArtifactCacheItemAlreadyExistsException"
	}
	return writeJSON(w, r.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that left
	return nil
}

// readJSON reads the body of a request.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(body(w, r)), maxMessage))
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "invalid_argument", "the message is too long, or broke off")
	}
	if err := json.Unmarshal(data, v); err != nil {
		return refuse(http.StatusBadRequest, "malformed", "the message is no JSON of this method")
	}
	return nil
}
