package actcache_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/cas"
)

const (
	twirp   = "/twirp/github.actions.results.api.v1.CacheService/"
	version = "0123abcd"
)

// newStore opens a store of its own.
func newStore(t testing.TB, limit int64) *cas.Store {
	t.Helper()
	return open(t, t.TempDir(), limit)
}

func openStore(t testing.TB, dir string) *cas.Store {
	t.Helper()
	return open(t, dir, 0)
}

func open(t testing.TB, dir string, limit int64) *cas.Store {
	t.Helper()
	s, err := cas.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newService returns a service that is alone.
func newService(t testing.TB) *actcache.Service {
	t.Helper()
	s := &actcache.Service{Store: newStore(t, 0), Key: actcache.NewKey()}
	t.Cleanup(func() { s.Close(t.Context()) })
	return s
}

// grant is what the token of a job on a branch allows: its own entries, and to
// read those of main.
func grant(branch string) actcache.Grant {
	g := actcache.Grant{Repository: "7", Expires: time.Now().Add(time.Hour), Scopes: []actcache.Scope{
		{Name: "refs/heads/" + branch, Permission: actcache.Read | actcache.Write},
	}}
	if branch != "main" {
		g.Scopes = append(g.Scopes, actcache.Scope{Name: "refs/heads/main", Permission: actcache.Read})
	}
	return g
}

// A client speaks both versions of the protocol, as the real ones do.
type client struct {
	t      testing.TB
	h      http.Handler
	token  string
	prefix string
	v1     bool
}

func newClient(t testing.TB, s *actcache.Service, g actcache.Grant) *client {
	t.Helper()
	token, err := s.Key.Token(g, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, h: s, token: token}
}

func (c *client) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	return w
}

// call sends a message and returns the status and the answer.
func (c *client) call(method, path string, message any) (int, map[string]any) {
	c.t.Helper()
	var body []byte
	if message != nil {
		body, _ = json.Marshal(message)
	}
	w := c.do(method, "http://cache.example.com"+c.prefix+path, string(body), "Authorization", "Bearer "+c.token, "Content-Type", "application/json")
	var answer map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			c.t.Fatalf("%s: got %d %q: %v", path, w.Code, w.Body, err)
		}
	}
	return w.Code, answer
}

// save saves content under a key, in blocks of this size or, with 0, in one
// piece, and returns the status of what failed first, or 200.
func (c *client) save(key, content string, block int) int {
	c.t.Helper()
	if c.v1 {
		return c.saveV1(key, content, block)
	}
	status, made := c.call("POST", twirp+"CreateCacheEntry", map[string]any{"key": key, "version": version})
	if status != 200 || made["ok"] != true {
		return status
	}
	if status := c.upload(made["signed_upload_url"].(string), content, block); status != 201 {
		return status
	}
	status, done := c.call("POST", twirp+"FinalizeCacheEntryUpload", map[string]any{"key": key, "version": version, "size_bytes": fmt.Sprint(len(content))})
	if status == 200 && (done["ok"] != true || done["entry_id"] == "0") {
		c.t.Errorf("got %v, want an entry", done)
	}
	return status
}

func (c *client) upload(to, content string, block int) int {
	c.t.Helper()
	if block == 0 {
		return c.put(to, content, "X-Ms-Blob-Type", "BlockBlob")
	}
	var list strings.Builder
	type piece struct{ name, body string }
	var all []piece
	for i := 0; i < len(content); i += block {
		name := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", i))
		all = append(all, piece{name, content[i:min(i+block, len(content))]})
		fmt.Fprintf(&list, "<Latest>%s</Latest>", name)
	}
	for i := range all { // those that were sent last come first
		p := all[len(all)-1-i]
		if status := c.put(to+"&comp=block&blockid="+url.QueryEscape(p.name), p.body); status != 201 {
			return status
		}
	}
	return c.put(to+"&comp=blocklist", `<?xml version="1.0" encoding="utf-8"?><BlockList>`+list.String()+"</BlockList>")
}

func (c *client) put(to, body string, header ...string) int {
	c.t.Helper()
	w := c.do("PUT", to, body, header...)
	if w.Header().Get("X-Ms-Request-Id") == "" {
		c.t.Errorf("PUT %s: got no X-Ms-Request-Id: BuildKit would crash", to)
	}
	return w.Code
}

func (c *client) saveV1(key, content string, block int) int {
	c.t.Helper()
	status, made := c.call("POST", "/_apis/artifactcache/caches", map[string]any{"key": key, "version": version})
	if status != 201 {
		return status
	}
	path := fmt.Sprintf("/_apis/artifactcache/caches/%.0f", made["cacheId"])
	if block == 0 {
		block = max(len(content), 1)
	}
	for i := 0; i < len(content); i += block {
		body := content[i:min(i+block, len(content))]
		w := c.do("PATCH", "http://cache.example.com"+path, body, "Authorization", "Bearer "+c.token,
			"Content-Range", fmt.Sprintf("bytes %d-%d/*", i, i+len(body)-1))
		if w.Code != 204 {
			return w.Code
		}
	}
	status, _ = c.call("POST", path, map[string]any{"size": len(content)})
	if status == 204 {
		return 200
	}
	return status
}

// find looks keys up, and returns the one that was found and where its content
// is.
func (c *client) find(keys ...string) (key, from string) {
	c.t.Helper()
	if c.v1 {
		q := url.Values{"keys": {strings.Join(keys, ",")}, "version": {version}}
		status, found := c.call("GET", "/_apis/artifactcache/cache?"+q.Encode(), nil)
		if status == 204 {
			return "", ""
		}
		return found["cacheKey"].(string), found["archiveLocation"].(string)
	}
	status, found := c.call("POST", twirp+"GetCacheEntryDownloadURL", map[string]any{"key": keys[0], "restore_keys": keys[1:], "version": version})
	if status != 200 {
		c.t.Fatalf("look up %v: got %d %v", keys, status, found)
	}
	if found["ok"] != true {
		return "", ""
	}
	return found["matched_key"].(string), found["signed_download_url"].(string)
}

// restore returns the key that was found, and its content.
func (c *client) restore(keys ...string) (key, content string) {
	c.t.Helper()
	key, from := c.find(keys...)
	if key == "" {
		return "", ""
	}
	w := c.do("GET", from, "")
	if w.Code != 200 {
		c.t.Fatalf("download %s: got %d %s", key, w.Code, w.Body)
	}
	return key, w.Body.String()
}

func (c *client) wantRestored(key, content string, keys ...string) {
	c.t.Helper()
	gotKey, got := c.restore(keys...)
	if gotKey != key || got != content {
		c.t.Errorf("restore %v: got %q with %d bytes, want %q with %d", keys, gotKey, len(got), key, len(content))
	}
}

// text is content of n bytes.
func text(n int) string {
	return string(bytes.Repeat([]byte("0123456789abcdef\n"), n/17+1)[:n])
}

// sha is the digest of content, as hexadecimal digits.
func sha(content string) string { return digest.FromString(content).Encoded() }
