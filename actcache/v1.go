package actcache

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// v1 answers version 1: GET cache, POST caches, PATCH caches/N, POST caches/N.
func (c call) v1(w http.ResponseWriter, r *http.Request, resource string) error {
	id, one := strings.CutPrefix(resource, "caches/")
	switch {
	case r.Method == http.MethodGet && resource == "cache":
		return c.cacheV1(w, r)
	case r.Method == http.MethodPost && resource == "caches":
		return c.reserveV1(w, r)
	case r.Method == http.MethodPatch && one:
		return c.patchV1(w, r, id)
	case r.Method == http.MethodPost && one:
		return c.commitV1(w, r, id)
	}
	return refuse(http.StatusNotFound, "bad_route", "no such method")
}

func (c call) cacheV1(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	e, ok, err := c.find(r.Context(), strings.Split(q.Get("keys"), ","), q.Get("version"))
	if err != nil {
		return err
	}
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return writeJSON(w, http.StatusOK, entryV1{Key: e.key, Scope: e.scope, Version: e.version,
		Created: e.at.UTC().Format(time.RFC3339), Location: c.pathTo(e)})
}

func (c call) reserveV1(w http.ResponseWriter, r *http.Request) error {
	var req createRequest
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	u, err := c.reserve(req.Key, req.Version)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, reserveV1{u.number})
}

// openV1 returns the upload that a number stands for, if it is of a scope that
// the token may write.
func (c call) openV1(id string) (*upload, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	u := c.uploads.find(func(u *upload) bool {
		return u.number == n && u.repository == c.grant.Repository && u.scope == c.grant.writable()
	})
	if err != nil || u == nil {
		return nil, refuse(http.StatusNotFound, "not_found", "there is no such upload")
	}
	return u, nil
}

func (c call) patchV1(w http.ResponseWriter, r *http.Request, id string) error {
	u, err := c.openV1(id)
	if err != nil {
		return err
	}
	off, size, err := contentRange(r.Header.Get("Content-Range"))
	if err != nil {
		return invalid(err)
	}
	if r.ContentLength >= 0 && r.ContentLength != size {
		return invalid(errors.New("Content-Length is not the length of Content-Range"))
	}
	if err := u.putRange(off, body(w, r), size); err != nil {
		return refuse(http.StatusBadRequest, "invalid_argument", "%v", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c call) commitV1(w http.ResponseWriter, r *http.Request, id string) error {
	u, err := c.openV1(id)
	if err != nil {
		return err
	}
	var req commitV1
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	if err := u.joined(); err != nil {
		return invalid(errors.New("the ranges leave a gap"))
	}
	if _, err := c.finish(u, req.Size); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// contentRange reads "bytes 0-199/*".
func contentRange(text string) (off, size int64, err error) {
	bad := errors.New("want Content-Range: bytes FIRST-LAST/*")
	text, ok := strings.CutPrefix(text, "bytes ")
	text, _, ok2 := strings.Cut(text, "/")
	first, last, ok3 := strings.Cut(text, "-")
	a, err1 := strconv.ParseUint(first, 10, 62)
	b, err2 := strconv.ParseUint(last, 10, 62)
	if !ok || !ok2 || !ok3 || err1 != nil || err2 != nil || b < a {
		return 0, 0, bad
	}
	return int64(a), int64(b - a + 1), nil
}
