package apk_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/apk"
)

// A world is a repository, a mirror of it, and a gateway before them.
type world struct {
	origin, copy *faultnet.Transport
	gateway      *gateway.Mirror
}

const at = "/apk/https/apk.example.com" + repo

func in(t *testing.T, dir string, origin, copied files, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{origin: &faultnet.Transport{Backend: origin}, copy: &faultnet.Transport{Backend: copied}}
		sites, err := gateway.NewSites([]gateway.Site{{Place: "apk.example.com", Mirrors: []string{"https://copy.example.com"}}})
		if err != nil {
			t.Fatal(err)
		}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.gateway = &gateway.Mirror{Ecosystem: new(apk.Protocol), Store: store, Upstreams: sites.Upstreams, Fetcher: &fetch.Fetcher{
			Base: faultnet.Hosts{"apk.example.com": w.origin, "copy.example.com": w.copy}}}
		w.gateway.Start(context.Background())
		defer func() {
			w.gateway.Close()
			w.origin.Close()
			w.copy.Close()
			synctest.Wait()
			store.Close()
		}()
		f(t, w)
	})
}

func (w *world) want(t *testing.T, name string, code int, body []byte) {
	t.Helper()
	r := httptest.NewRecorder()
	w.gateway.ServeHTTP(r, httptest.NewRequest(http.MethodGet, at+name, nil))
	if r.Code != code || code == http.StatusOK && !bytes.Equal(r.Body.Bytes(), body) {
		t.Errorf("%s: got %d and %d bytes, want %d and %d bytes: %.100q", name, r.Code, r.Body.Len(), code, len(body), r.Body)
	}
}

const index = "APKINDEX.tar.gz"

func TestAPackageIsWhatTheIndexSays(t *testing.T) {
	good := newPack(t, "tool", "1.0-r0", "good")
	other := pack{}
	for seed := uint64(1); len(other.body) != len(good.body); seed++ { // its size tells nothing
		other = newPack(t, "tool", "1.0-r0", noise(4, seed))
	}
	real := dataOf(t, "tool", "good")
	var evil []byte
	for seed := uint64(1); len(evil) != len(real); seed++ {
		evil = dataOf(t, "tool", noise(4, seed))
	}
	spliced := append(bytes.Clone(good.body[:len(good.body)-len(real)]), evil...)
	for name, wrong := range map[string][]byte{
		"another package of the same name": other.body,
		"other data behind its control":    spliced,
		"no package":                       []byte("not a package at all, and still some bytes"),
		"a bomb":                           bomb(),
	} {
		t.Run(name, func(t *testing.T) {
			origin := files{repo + index: newIndex(t, good), repo + good.name: good.body}
			copied := files{repo + index: newIndex(t, good), repo + good.name: wrong}
			in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
				w.want(t, index, 200, origin[repo+index])
				w.want(t, good.name, 200, good.body)
				if len(w.copy.Log().Where(func(q faultnet.Request) bool { return strings.HasSuffix(q.Path, good.name) })) == 0 {
					t.Error("the mirror that lies was not asked: this test shows nothing")
				}
			})
			in(t, t.TempDir(), copied, copied, func(t *testing.T, w *world) {
				w.want(t, good.name, 502, nil)
			})
		})
	}
}

// dataOf is the data part of a package.
func dataOf(t *testing.T, name, content string) []byte {
	return part(t, true, "usr/bin/"+name, content)
}

func bomb() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(make([]byte, 80<<20))
	_ = z.Close()
	return out.Bytes()
}

func TestARebuiltPackageIsFetchedAnew(t *testing.T) {
	first, second := newPack(t, "tool", "1.0-r0", "first"), newPack(t, "tool", "1.0-r0", "second")
	origin := files{repo + index: newIndex(t, first), repo + first.name: first.body}
	in(t, t.TempDir(), origin, files{}, func(t *testing.T, w *world) {
		w.want(t, index, 200, origin[repo+index])
		w.want(t, first.name, 200, first.body)
		origin[repo+index], origin[repo+first.name] = newIndex(t, second), second.body
		time.Sleep(2 * time.Minute) // fake time
		w.want(t, index, 200, origin[repo+index])
		w.want(t, second.name, 200, second.body)
	})
}

func TestAWarmStoreOutlivesTheProcess(t *testing.T) {
	tool, unlisted := newPack(t, "tool", "1.0-r0", "x"), newPack(t, "old", "1.0-r0", "y")
	origin := files{repo + index: newIndex(t, tool), repo + tool.name: tool.body, repo + unlisted.name: unlisted.body}
	dir := t.TempDir()
	in(t, dir, origin, origin, func(t *testing.T, w *world) {
		w.want(t, index, 200, origin[repo+index])
		w.want(t, tool.name, 200, tool.body)
		w.want(t, unlisted.name, 200, unlisted.body)
	})
	in(t, dir, nil, nil, func(t *testing.T, w *world) {
		time.Sleep(time.Hour) // fake time
		w.origin.Play(faultnet.Always(faultnet.Hang()))
		w.copy.Play(faultnet.Always(faultnet.OKHTML()))
		w.want(t, tool.name, 200, tool.body)
		w.want(t, unlisted.name, 200, unlisted.body)
		w.want(t, index, 200, origin[repo+index])
	})
}

func TestAnIndexThatIsNoneIsNotServed(t *testing.T) {
	good := newPack(t, "tool", "1.0-r0", "x")
	for name, wrong := range map[string][]byte{
		"no archive":          []byte("no archive"),
		"no list in it":       part(t, true, "DESCRIPTION", "v1"),
		"its end is missing":  newIndex(t, good)[:150],
		"an endless line":     part(t, true, "APKINDEX", strings.Repeat("x", 2<<20)),
		"more than it may be": append(part(t, false, "x", ""), bomb()...),
	} {
		t.Run(name, func(t *testing.T) {
			origin := files{repo + index: newIndex(t, good)}
			in(t, t.TempDir(), files{repo + index: wrong}, origin, func(t *testing.T, w *world) {
				w.want(t, index, 200, origin[repo+index])
			})
		})
	}
}
