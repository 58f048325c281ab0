package actcache

import (
	"crypto/hmac"
	"net/url"
	"strconv"
	"time"
)

// blobs is where content is uploaded and downloaded. Azure's clients take what
// is at an address for an account, a container and a blob, by its path; this
// is the account of Azure's own emulator, which they know.
const blobs = "/devstoreaccount1/outlast/"

// What a signed address is for.
const (
	forRead  = "r"
	forWrite = "w"
)

// signed returns the path and the query that open a blob for a while, to read
// it or to write it: a "shared access signature", in Azure's words.
func (k Key) signed(name, use string, until time.Time) string {
	expires := strconv.FormatInt(until.Unix(), 10)
	q := url.Values{"se": {expires}, "sp": {use}, "sig": {encode(k.sum(signature(name, use, expires)))}}
	return blobs + name + "?" + q.Encode()
}

// opens reports whether a query opens a blob for a use, and whether it once
// did.
func (k Key) opens(name, use string, q url.Values, now time.Time) (ok, expired bool) {
	sum, err := decode(q.Get("sig"))
	expires := q.Get("se")
	if err != nil || q.Get("sp") != use || !hmac.Equal(sum, k.sum(signature(name, use, expires))) {
		return false, false
	}
	at, err := strconv.ParseInt(expires, 10, 64)
	return err == nil && now.Unix() < at, err == nil && now.Unix() >= at
}

// signature begins as no token does.
func signature(name, use, expires string) string {
	return "blob\n" + use + "\n" + expires + "\n" + name
}
