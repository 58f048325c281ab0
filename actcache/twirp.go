package actcache

import (
	"mime"
	"net/http"
	"time"
)

// twirp answers a method of github.actions.results.api.v1.CacheService. Both
// clients speak JSON.
func (c call) twirp(w http.ResponseWriter, r *http.Request, method string) error {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || media != "application/json" {
		return refuse(http.StatusNotFound, "bad_route", "want POST with application/json")
	}
	switch method {
	case "CreateCacheEntry":
		return c.createEntry(w, r)
	case "FinalizeCacheEntryUpload":
		return c.finalizeUpload(w, r)
	case "GetCacheEntryDownloadURL":
		return c.downloadURL(w, r)
	}
	return refuse(http.StatusNotFound, "bad_route", "no such method")
}

func (c call) createEntry(w http.ResponseWriter, r *http.Request) error {
	var req createRequest
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	u, err := c.reserve(req.Key, req.Version)
	if err != nil {
		return err
	}
	to := c.base + c.Key.signed(u.id, forWrite, time.Now().Add(signedFor))
	return writeJSON(w, http.StatusOK, createResponse{OK: true, UploadURL: to})
}

func (c call) finalizeUpload(w http.ResponseWriter, r *http.Request) error {
	var req finalizeRequest
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	if err := checkKey(req.Key, req.Version); err != nil {
		return err
	}
	on, err := c.own(req.Version)
	if err != nil {
		return err
	}
	e, ok := c.entries.get(on, req.Key)
	// A client that did not hear the answer asks again.
	if done := ok && e.size == int64(req.Size); !done {
		u := c.uploads.find(func(u *upload) bool { return u.shelf == on && u.key == req.Key })
		if u == nil {
			return refuse(http.StatusNotFound, "not_found", "there is no such upload")
		}
		if e, err = c.finish(u, int64(req.Size)); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, finalizeResponse{OK: true, EntryID: number(e.number)})
}

func (c call) downloadURL(w http.ResponseWriter, r *http.Request) error {
	var req lookupRequest
	if err := readJSON(w, r, &req); err != nil {
		return err
	}
	e, ok, err := c.find(r.Context(), append([]string{req.Key}, req.RestoreKeys...), req.Version)
	if err != nil {
		return err
	}
	if !ok {
		return writeJSON(w, http.StatusOK, lookupResponse{})
	}
	return writeJSON(w, http.StatusOK, lookupResponse{OK: true, DownloadURL: c.pathTo(e), MatchedKey: e.key})
}
