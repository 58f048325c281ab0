package actcache_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/actcache"
)

func TestSaveAndRestore(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		for _, size := range []int{0, 1, 100_000} {
			for _, block := range []int{0, 999} {
				t.Run(fmt.Sprintf("version 1 %v, %d bytes in blocks of %d", v1, size, block), func(t *testing.T) {
					c := newClient(t, newService(t), grant("main"))
					c.v1 = v1
					if got := c.save("key", text(size), block); got != 200 {
						t.Fatalf("save: got %d", got)
					}
					c.wantRestored("key", text(size), "key")
					if got := c.save("key", "other", 0); got != http.StatusConflict {
						t.Errorf("save again: got %d, want 409", got)
					}
					c.wantRestored("key", text(size), "key")
				})
			}
		}
	}
}

func TestKeysAndScopes(t *testing.T) {
	s := newService(t)
	main, topic, other := newClient(t, s, grant("main")), newClient(t, s, grant("topic")), newClient(t, s, grant("other"))
	foreign := grant("main")
	foreign.Repository = "8"
	stranger := newClient(t, s, foreign)
	for _, e := range []struct {
		c   *client
		key string
	}{{main, "go-1"}, {main, "go-2"}, {topic, "go-1-topic"}, {topic, "npm-1"}, {main, "npm-1"}, {main, "npm-12"}, {stranger, "go-3"}} {
		if got := e.c.save(e.key, e.key+e.c.token, 0); got != 200 {
			t.Fatalf("save %s: got %d", e.key, got)
		}
		time.Sleep(time.Millisecond) // of two entries one is newer
	}
	for _, tt := range []struct {
		name string
		c    *client
		keys []string
		want string
		by   *client
	}{
		{"the key itself", main, []string{"go-1"}, "go-1", main},
		{"the key as the beginning of others, the newest first", main, []string{"go-"}, "go-2", main},
		{"the key itself before a newer one that begins with it", main, []string{"npm-1", "npm-"}, "npm-1", main},
		{"a restore key, the newest first", main, []string{"pip-9", "npm-"}, "npm-12", main},
		{"the first restore key that finds something", main, []string{"x", "y", "go-1", "npm-"}, "go-1", main},
		{"its own branch before main", topic, []string{"npm-1"}, "npm-1", topic},
		{"a worse key of its own branch before a better one of main", topic, []string{"go-1"}, "go-1-topic", topic},
		{"what only main has", topic, []string{"npm-12"}, "npm-12", main},
		{"not what another branch has", other, []string{"go-1-"}, "", nil},
		{"main does not see what a branch has", main, []string{"go-1-"}, "", nil},
		{"not what another repository has", main, []string{"go-3"}, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := ""
			if tt.by != nil {
				want = tt.want + tt.by.token
			}
			tt.c.wantRestored(tt.want, want, tt.keys...)
		})
	}
}

func TestTokens(t *testing.T) {
	s := newService(t)
	now := time.Now()
	token := func(k actcache.Key, g actcache.Grant) string {
		text, err := k.Token(g, now)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	expired := grant("main")
	expired.Expires = now.Add(-time.Second)
	reader := grant("main")
	reader.Scopes[0].Permission = actcache.Read
	writer := grant("main")
	writer.Scopes[0].Permission = actcache.Write
	good := token(s.Key, grant("main"))
	parts := strings.Split(good, ".")
	none := "eyJhbGciOiJub25lIn0." + parts[1] + "."
	for _, tt := range []struct {
		name, token    string
		lookup, create int
	}{
		{"none", "", 401, 401},
		{"nonsense", "nonsense", 401, 401},
		{"one without a signature", parts[0] + "." + parts[1] + ".", 401, 401},
		{"one that says that it needs none", none, 401, 401},
		{"one of another key", token(actcache.NewKey(), grant("main")), 401, 401},
		{"one that has expired", token(s.Key, expired), 401, 401},
		{"one that may only read", token(s.Key, reader), 200, 403},
		{"one that may only write", token(s.Key, writer), 403, 200},
		{"a good one", good, 200, 409},
		{"a long one", strings.Repeat("a", 100_000), 401, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &client{t: t, h: s, token: tt.token}
			lookup, said := c.call("POST", twirp+"GetCacheEntryDownloadURL", map[string]any{"key": "k", "version": version})
			if lookup != tt.lookup {
				t.Errorf("look up: got %d %v, want %d", lookup, said, tt.lookup)
			}
			if lookup == 403 && !strings.Contains(said["msg"].(string), "cache read denied:") {
				t.Errorf("got %v, want what actions/toolkit knows", said)
			}
			if create, said := c.call("POST", twirp+"CreateCacheEntry", map[string]any{"key": "k", "version": version}); create != tt.create {
				t.Errorf("create: got %d %v, want %d", create, said, tt.create)
			}
		})
	}
	t.Run("that somebody else vouches for", func(t *testing.T) {
		s := &actcache.Service{Store: newStore(t, 0), Key: actcache.NewKey(), Trust: func(_ context.Context, token string) (actcache.Grant, error) {
			if token != "theirs" {
				return actcache.Grant{}, fs.ErrPermission
			}
			return grant("main"), nil
		}}
		defer s.Close(t.Context())
		for token, want := range map[string]int{"theirs": 200, "others": 401} {
			c := &client{t: t, h: s, token: token}
			if got, _ := c.call("POST", twirp+"GetCacheEntryDownloadURL", map[string]any{"key": "k", "version": version}); got != want {
				t.Errorf("%s: got %d, want %d", token, got, want)
			}
		}
	})
}

func TestSignedAddresses(t *testing.T) {
	s := newService(t)
	main, topic := newClient(t, s, grant("main")), newClient(t, s, grant("topic"))
	if got := topic.save("secret", "secret", 0); got != 200 {
		t.Fatal(got)
	}
	_, read := topic.find("secret")
	_, made := main.call("POST", twirp+"CreateCacheEntry", map[string]any{"key": "open", "version": version})
	write := made["signed_upload_url"].(string)
	change := func(address, name, value string) string {
		u, _ := url.Parse(address)
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
		return u.String()
	}
	path := func(address, path string) string {
		u, _ := url.Parse(address)
		u.Path = path
		return u.String()
	}
	readURL, _ := url.Parse(read)
	for _, tt := range []struct {
		name, method, address string
		want                  int
	}{
		{"to read", "GET", read, 200},
		{"to ask what is there", "HEAD", read, 200},
		{"to read, used to write", "PUT", read, 403},
		{"to write, used to read", "GET", write, 403},
		{"to write", "PUT", write, 201},
		{"without a signature", "GET", strings.Split(read, "?")[0], 403},
		{"that holds for longer", "GET", change(read, "se", "99999999999"), 403},
		{"with a signature of something else", "GET", path(write, readURL.Path), 403},
		{"that leads out of the store", "GET", path(read, "/devstoreaccount1/outlast/../../names"), 403},
		{"of nothing", "GET", path(read, "/devstoreaccount1/outlast/"), 403},
		{"used to delete", "DELETE", read, 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := main.do(tt.method, tt.address, "body", "X-Ms-Blob-Type", "BlockBlob"); got.Code != tt.want {
				t.Errorf("got %d %s, want %d", got.Code, got.Body, tt.want)
			}
		})
	}
}

func TestDownloads(t *testing.T) {
	c := newClient(t, newService(t), grant("main"))
	if got := c.save("key", "0123456789", 0); got != 200 {
		t.Fatal(got)
	}
	_, from := c.find("key")
	for _, tt := range []struct {
		name, method string
		header       []string
		status       int
		body, length string
	}{
		{"whole", "GET", nil, 200, "0123456789", "10"},
		{"the size alone", "HEAD", nil, 200, "", "10"},
		{"a range", "GET", []string{"Range", "bytes=2-4"}, 206, "234", "3"},
		{"a range in Azure's words, which wins", "GET", []string{"Range", "bytes=0-0", "X-Ms-Range", "bytes=7-"}, 206, "789", "3"},
		{"beyond the end", "GET", []string{"X-Ms-Range", "bytes=10-"}, 416, "invalid range: failed to overlap\n", ""},
		{"nonsense", "GET", []string{"Range", "bytes=x"}, 416, "invalid range\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := c.do(tt.method, from, "", tt.header...)
			if w.Code != tt.status || w.Body.String() != tt.body || tt.length != "" && w.Header().Get("Content-Length") != tt.length {
				t.Errorf("got %d %q, length %s", w.Code, w.Body, w.Header().Get("Content-Length"))
			}
			if w.Header().Get("X-Ms-Request-Id") == "" {
				t.Error("got no X-Ms-Request-Id")
			}
		})
	}
}

func TestAddressesFollowTheClient(t *testing.T) {
	s := newService(t)
	c := newClient(t, s, grant("main"))
	if got := c.save("key", "x", 0); got != 200 {
		t.Fatal(got)
	}
	for host, want := range map[string]string{
		"cache.example.com":            "http://cache.example.com/devstoreaccount1/",
		"127.0.0.1:5200":               "http://127.0.0.1:5200/devstoreaccount1/",
		"[::1]:5200":                   "http://[::1]:5200/devstoreaccount1/",
		"evil.example.com/path?":       "http://invalid/",
		"user@evil.example.com":        "http://invalid/",
		"a.example.com\r\nSet-Cookie:": "http://invalid/",
	} {
		r := httptest.NewRequest("POST", twirp+"GetCacheEntryDownloadURL", strings.NewReader(`{"key":"key","version":"`+version+`"}`))
		r.Host = host
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"signed_download_url":"`+want) {
			t.Errorf("%q: got %s, want an address at %s", host, w.Body, want)
		}
	}
}

func TestUploadsThatAreNone(t *testing.T) {
	const list = `<BlockList><Latest>YQ==</Latest></BlockList>`
	for _, tt := range []struct {
		name, query, body string
		header            []string
		want              int
	}{
		{"a list of a block that was not sent", "&comp=blocklist", list, nil, 400},
		{"a list that is none", "&comp=blocklist", "<html>", nil, 400},
		{"a list within a list", "&comp=blocklist", "<BlockList><BlockList/></BlockList>", nil, 400},
		{"two lists", "&comp=blocklist", "<BlockList/><BlockList/>", nil, 400},
		{"a list with an entity", "&comp=blocklist", `<!DOCTYPE x [<!ENTITY a "b">]><BlockList><Latest>&a;</Latest></BlockList>`, nil, 400},
		{"a long name of a block", "&comp=block&blockid=" + strings.Repeat("a", 200), "x", nil, 400},
		{"a block without a name", "&comp=block", "x", nil, 400},
		{"a page blob", "", "x", []string{"X-Ms-Blob-Type", "PageBlob"}, 400},
		{"an unknown operation", "&comp=lease", "x", []string{"X-Ms-Blob-Type", "BlockBlob"}, 400},
		{"more than an entry may have", "", text(2000), []string{"X-Ms-Blob-Type", "BlockBlob"}, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &actcache.Service{Store: newStore(t, 0), Key: actcache.NewKey(), Largest: 1000}
			defer s.Close(t.Context())
			c := newClient(t, s, grant("main"))
			_, made := c.call("POST", twirp+"CreateCacheEntry", map[string]any{"key": "k", "version": version})
			if got := c.put(made["signed_upload_url"].(string)+tt.query, tt.body, tt.header...); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if got, _ := c.call("POST", twirp+"FinalizeCacheEntryUpload", map[string]any{"key": "k", "version": version, "size_bytes": "1"}); got == 200 {
				t.Error("it became an entry")
			}
			if key, _ := c.find("k"); key != "" {
				t.Error("it is found")
			}
		})
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	c := newClient(t, newService(t), grant("main"))
	long := strings.Repeat("k", 513)
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"no JSON", "POST", twirp + "CreateCacheEntry", "{", 400},
		{"another type", "POST", twirp + "CreateCacheEntry", `{"key":7}`, 400},
		{"a size that is no number", "POST", twirp + "FinalizeCacheEntryUpload", `{"key":"k","size_bytes":"many"}`, 400},
		{"a size of one quotation mark", "POST", twirp + "FinalizeCacheEntryUpload", `{"key":"k","size_bytes":""}`, 400},
		{"no key", "POST", twirp + "CreateCacheEntry", `{"version":"v"}`, 400},
		{"a long key", "POST", twirp + "CreateCacheEntry", `{"key":"` + long + `","version":"v"}`, 400},
		{"a long version", "POST", twirp + "CreateCacheEntry", `{"key":"k","version":"` + long + `"}`, 400},
		{"a key with a newline", "POST", twirp + "CreateCacheEntry", `{"key":"a\nb","version":"v"}`, 400},
		{"a key that is no UTF-8", "POST", twirp + "CreateCacheEntry", "{\"key\":\"a\xff\",\"version\":\"v\"}", 400},
		{"many keys", "POST", twirp + "GetCacheEntryDownloadURL", `{"key":"k","restore_keys":["a"` + strings.Repeat(`,"a"`, 16) + `]}`, 400},
		{"a long message", "POST", twirp + "GetCacheEntryDownloadURL", `{"key":"` + strings.Repeat("k", 70_000) + `"}`, 413},
		{"an unknown method", "POST", twirp + "DeleteCacheEntry", "{}", 404},
		{"GET", "GET", twirp + "CreateCacheEntry", "", 404},
		{"another service", "POST", "/twirp/github.actions.results.api.v1.ArtifactService/CreateArtifact", "{}", 404},
		{"version 1 without keys", "GET", "/_apis/artifactcache/cache", "", 400},
		{"version 1, an upload that is not open", "PATCH", "/_apis/artifactcache/caches/7", "x", 404},
		{"version 1, an upload without a number", "POST", "/_apis/artifactcache/caches/../../x", "{}", 404},
		{"a finish without a beginning", "POST", twirp + "FinalizeCacheEntryUpload", `{"key":"k","version":"v","size_bytes":"1"}`, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := c.do(tt.method, "http://cache.example.com"+tt.path, tt.body, "Authorization", "Bearer "+c.token, "Content-Type", "application/json")
			if w.Code != tt.want || !strings.Contains(w.Body.String(), `"code":`) {
				t.Errorf("got %d %s, want %d with a code", w.Code, w.Body, tt.want)
			}
		})
	}
}

// Another scope's upload is not there, however its number came to be known.
func TestUploadsAreTheirScopes(t *testing.T) {
	s := newService(t)
	main, topic := newClient(t, s, grant("main")), newClient(t, s, grant("topic"))
	_, made := topic.call("POST", "/_apis/artifactcache/caches", map[string]any{"key": "k", "version": version})
	path := fmt.Sprintf("/_apis/artifactcache/caches/%.0f", made["cacheId"])
	w := main.do("PATCH", path, "x", "Authorization", "Bearer "+main.token, "Content-Range", "bytes 0-0/*")
	if w.Code != 404 {
		t.Errorf("got %d, want 404", w.Code)
	}
	if got := main.save("k", "of main", 0); got != 200 {
		t.Errorf("the same key in another scope: got %d, want 200", got)
	}
	if got := topic.save("k", "again", 0); got != http.StatusConflict {
		t.Errorf("a key that is being made: got %d, want 409", got)
	}
}

// What BuildKit saves is named by its digest, and is that.
func TestLayersAreProved(t *testing.T) {
	c := newClient(t, newService(t), grant("main"))
	good := "buildkit-blob-1-sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // "x"
	if got := c.save(good, "y", 0); got != http.StatusBadRequest {
		t.Errorf("got %d, want 400", got)
	}
	if got := c.save(good, "x", 0); got != 200 {
		t.Errorf("got %d, want 200", got)
	}
	c.wantRestored(good, "x", good)
}

// An entry whose content was damaged or evicted is none, and can be made anew.
func TestContentThatIsGone(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(path string) error
	}{
		{"damaged", func(path string) error { return os.WriteFile(path, []byte("damaged"), 0o600) }},
		{"evicted", os.Remove},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for round := range 2 { // by a service that has not seen it whole
				s := &actcache.Service{Store: openStore(t, dir), Key: actcache.NewKey()}
				c := newClient(t, s, grant("main"))
				if round > 0 {
					c.wantRestored("older", "old", "k", "o")
				} else if got := c.save("older", "old", 0); got != 200 {
					t.Fatal(got)
				}
				if got := c.save("k", "content", 0); got != 200 {
					t.Fatalf("round %d: got %d", round, got)
				}
				c.wantRestored("k", "content", "k")
				s.Close(t.Context())
				for _, blob := range blobsOf(t, dir) {
					if data, _ := os.ReadFile(blob); string(data) == "content" {
						if err := tt.do(blob); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		})
	}
}

func blobsOf(t *testing.T, dir string) []string {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return blobs
}

// Two services on one store see each other's entries at once.
func TestTwoServices(t *testing.T) {
	dir := t.TempDir()
	key := actcache.NewKey()
	var clients []*client
	for range 2 {
		s := &actcache.Service{Store: openStore(t, dir), Key: key}
		defer s.Close(t.Context())
		clients = append(clients, newClient(t, s, grant("main")))
	}
	for i := range 20 {
		key := fmt.Sprintf("key-%02d", i)
		if got := clients[i%2].save(key, key, 0); got != 200 {
			t.Fatal(got)
		}
		clients[(i+1)%2].wantRestored(key, key, "key-")
	}
}

func TestHealth(t *testing.T) {
	s := newService(t)
	c := newClient(t, s, grant("main"))
	if got := c.do("GET", "/healthz", ""); got.Code != 200 {
		t.Errorf("got %d", got.Code)
	}
	s.Store.Close()
	if got := c.do("GET", "/healthz", ""); got.Code != 503 {
		t.Errorf("got %d, want 503", got.Code)
	}
}
