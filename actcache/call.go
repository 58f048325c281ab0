package actcache

import (
	"errors"
	"net/http"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A call is a request with what its token allows.
type call struct {
	*Service
	grant  Grant
	export bool
	base   string
}

// The texts are those by which actions/toolkit knows a denial.
func (c call) readable() ([]string, error) {
	scopes := c.grant.readable()
	if len(scopes) == 0 {
		return nil, refuse(http.StatusForbidden, "permission_denied", "cache read denied: the token has no scope that it may read")
	}
	return scopes, nil
}

// own returns the shelf that new entries of a version go to.
func (c call) own(version string) (shelf, error) {
	scope := c.grant.writable()
	if scope == "" {
		return shelf{}, refuse(http.StatusForbidden, "permission_denied", "cache write denied: the token has no scope that it may write")
	}
	return shelf{c.grant.Repository, scope, version}, nil
}

func checkKey(key, version string) error {
	if key == "" {
		return invalid(errors.New("key is empty"))
	}
	if err := word("key", key, maxKey); err != nil {
		return invalid(err)
	}
	if err := word("version", version, maxVersion); err != nil {
		return invalid(err)
	}
	return nil
}

// reserve opens an upload for a new entry.
func (c call) reserve(key, version string) (*upload, error) {
	if err := checkKey(key, version); err != nil {
		return nil, err
	}
	on, err := c.own(version)
	if err != nil {
		return nil, err
	}
	e := entry{shelf: on, key: key, number: newNumber()}
	if old, ok := c.entries.get(on, key); ok && c.entries.whole(old, false) {
		return nil, refuse(http.StatusConflict, "already_exists", "%v: %s", errExists, key)
	}
	u, err := c.uploads.reserve(c.Store, e, c.largest())
	switch {
	case errors.Is(err, errExists):
		return nil, refuse(http.StatusConflict, "already_exists", "%v, or is being made: %s", errExists, key)
	case errors.Is(err, errTooMany):
		return nil, refuse(http.StatusPreconditionFailed, "failed_precondition", "%v", err)
	case err != nil:
		c.warn("the Actions cache cannot be written: %v", err)
		return nil, refuse(http.StatusPreconditionFailed, "failed_precondition", "the store cannot be written")
	}
	return u, nil
}

// finish makes an upload an entry, which it returns. What the disk did not take is as
// good as evicted: its client has done its part.
func (c call) finish(u *upload, size int64) (entry, error) {
	got, whole := u.size()
	switch {
	case !whole:
		return entry{}, refuse(http.StatusPreconditionFailed, "failed_precondition", "the content was not uploaded")
	case got != size:
		return entry{}, refuse(http.StatusBadRequest, "invalid_argument", "%d bytes were uploaded, not %d", got, size)
	}
	defer c.uploads.drop(u)
	d, err := u.store(c.Store)
	e := u.entry
	e.digest, e.size, e.at = d, got, time.Now()
	switch {
	case errors.Is(err, errGone):
		return entry{}, refuse(http.StatusNotFound, "not_found", "there is no such upload")
	case fault.Of(err) == fault.Corrupt:
		return entry{}, invalid(err)
	case err == nil:
		err = c.save(e)
	}
	if errors.Is(err, errExists) {
		return entry{}, refuse(http.StatusConflict, "already_exists", "%v: %s", err, e.key)
	}
	if err != nil {
		c.warn("an entry of the Actions cache is not kept: %s: %v", e.key, err)
		return e, nil
	}
	c.count(Event{Saved: true, Key: e.key, Bytes: e.size})
	if c.relay != nil {
		c.relay.add(e)
	}
	return e, nil
}

// save adds an entry that is not there yet.
func (c call) save(e entry) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	if old, ok := c.entries.get(e.shelf, e.key); ok && c.entries.whole(old, false) {
		return errExists
	}
	return c.entries.add(e)
}

// pathTo signs the address of an entry's content. An exporter may get one of an
// entry that is not here: it is for nothing.
func (c call) pathTo(e entry) string {
	name := "elsewhere"
	if e.digest != "" {
		name = e.digest.Encoded()
	}
	return c.base + c.Key.signed(name, forRead, time.Now().Add(signedFor))
}
