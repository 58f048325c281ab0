package actcache

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// serveBlob is what clients need of Azure's Blob service: Put Blob, Put Block,
// Put Block List, Get Blob and Get Blob Properties (version 2021-12-02). The
// address is the permission.
func (s *Service) serveBlob(w http.ResponseWriter, r *http.Request, name string) error {
	// Azure's SDK for Go takes the presence of the request's name for granted.
	id := r.Header.Get("X-Ms-Client-Request-Id")
	if id == "" || len(id) > 128 {
		id = fmt.Sprintf("%x", newNumber())
	}
	h := w.Header()
	h.Set("X-Ms-Request-Id", id)
	h.Set("X-Ms-Version", "2021-12-02")
	h.Set("X-Content-Type-Options", "nosniff")
	use := forRead
	switch r.Method {
	case http.MethodPut:
		use = forWrite
	case http.MethodGet, http.MethodHead:
	default:
		return azure(w, http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "this is not for blobs")
	}
	ok, expired := s.Key.opens(name, use, r.URL.Query(), time.Now())
	switch {
	case expired:
		return azure(w, http.StatusForbidden, "AuthenticationFailed", "the address has expired")
	case !ok:
		return azure(w, http.StatusForbidden, "AuthenticationFailed", "the address is not signed for this")
	case use == forRead:
		return s.download(w, r, name)
	}
	u := s.uploads.byID(name)
	if u == nil {
		return azure(w, http.StatusNotFound, "BlobNotFound", "there is no such upload")
	}
	return s.accept(w, r, u)
}

// accept takes what a client sends for an upload. No status is one that Azure's
// clients would repeat ten times, with minutes in between.
func (s *Service) accept(w http.ResponseWriter, r *http.Request, u *upload) error {
	q := r.URL.Query()
	var err error
	switch comp := q.Get("comp"); {
	case comp == "blocklist":
		var names []string
		if names, err = readBlockList(body(w, r)); err != nil {
			return azure(w, http.StatusBadRequest, "InvalidXmlDocument", err.Error())
		}
		err = u.list(names)
	case r.ContentLength < 0:
		return azure(w, http.StatusLengthRequired, "MissingContentLengthHeader", "the length of the body is not known")
	case comp == "block":
		name := q.Get("blockid")
		if name == "" || len(name) > maxBlockName {
			return azure(w, http.StatusBadRequest, "InvalidQueryParameterValue", "blockid")
		}
		err = u.putBlock(name, body(w, r), r.ContentLength)
	case comp == "" && strings.EqualFold(r.Header.Get("X-Ms-Blob-Type"), "BlockBlob"):
		err = u.putAll(body(w, r), r.ContentLength)
	default:
		return azure(w, http.StatusBadRequest, "InvalidHeaderValue", "only block blobs are kept")
	}
	switch {
	case errors.Is(err, errGone):
		return azure(w, http.StatusNotFound, "BlobNotFound", err.Error())
	case errors.Is(err, errSpace):
		return azure(w, http.StatusRequestEntityTooLarge, "RequestBodyTooLarge", err.Error())
	case errors.Is(err, errBlock):
		return azure(w, http.StatusBadRequest, "InvalidBlockList", err.Error())
	case err != nil:
		return azure(w, http.StatusBadRequest, "IncompleteBody", "the body broke off")
	}
	h := w.Header()
	h.Set("Etag", `"`+u.id+`"`)
	h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	h.Set("X-Ms-Request-Server-Encrypted", "false")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// download serves the content of an entry, whole or in ranges.
func (s *Service) download(w http.ResponseWriter, r *http.Request, hex string) error {
	d := digest.NewDigestFromEncoded(digest.SHA256, hex)
	if d.Validate() != nil {
		return azure(w, http.StatusNotFound, "BlobNotFound", "there is no such blob")
	}
	c, err := s.Store.Get(d)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.warn("the Actions cache cannot be read: %v", err)
		}
		return azure(w, http.StatusNotFound, "BlobNotFound", "the blob is gone")
	}
	defer func() { _ = c.Close() }() // only read
	if wanted := r.Header.Get("X-Ms-Range"); wanted != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Range", wanted) // it goes before Range
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Ms-Blob-Type", "BlockBlob")
	h.Set("Etag", `"`+hex+`"`)
	http.ServeContent(w, r, "", time.Time{}, c)
	return nil
}

// azure answers with an error as Azure has them.
func azure(w http.ResponseWriter, status int, code, text string) error {
	w.Header().Set("X-Ms-Error-Code", code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, &b)
	return nil
}

// body is that of a request, which may not fall silent.
func body(w http.ResponseWriter, r *http.Request) io.Reader {
	return &timely{http.NewResponseController(w), r.Body}
}

type timely struct {
	control *http.ResponseController
	r       io.Reader
}

func (t *timely) Read(p []byte) (int, error) {
	_ = t.control.SetReadDeadline(time.Now().Add(bodyIdle)) // a recorder has none
	n, err := t.r.Read(p)
	if err != nil {
		_ = t.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
