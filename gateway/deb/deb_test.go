package deb_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
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
	"github.com/outlast-build/outlast/gateway/deb"
)

// A world is an archive, a mirror of it, and a gateway before them.
type world struct {
	origin, copy         *archive
	originWire, copyWire *faultnet.Transport
	gateway              *gateway.Mirror
	elsewhere            *archive
}

const at = "/deb/http/deb.example.com"

// in runs f in a bubble of fake time, over a store in dir.
func in(t *testing.T, dir string, origin, copied *archive, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{origin: origin, copy: copied, elsewhere: new(archive)}
		w.originWire, w.copyWire = &faultnet.Transport{Backend: origin}, &faultnet.Transport{Backend: copied}
		others := &faultnet.Transport{Backend: w.elsewhere}
		sites, err := gateway.NewSites([]gateway.Site{
			{Place: "deb.example.com", Mirrors: []string{"http://copy.example.com"}}, {Place: "elsewhere.example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		store, err := cas.Open(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.gateway = &gateway.Mirror{Ecosystem: new(deb.Protocol), Store: store, Upstreams: sites.Upstreams, Fetcher: &fetch.Fetcher{
			Base: faultnet.Hosts{"deb.example.com": w.originWire, "copy.example.com": w.copyWire, "elsewhere.example.com": others}}}
		w.gateway.Start(context.Background())
		defer func() {
			w.gateway.Close()
			w.originWire.Close()
			w.copyWire.Close()
			others.Close()
			synctest.Wait()
			store.Close()
		}()
		f(t, w)
	})
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	r := httptest.NewRecorder()
	w.gateway.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
	return r
}

func (w *world) want(t *testing.T, path string, body []byte) {
	t.Helper()
	if r := w.get(path); r.Code != http.StatusOK || !bytes.Equal(r.Body.Bytes(), body) {
		t.Errorf("%s: got %d and %d bytes, want 200 and %d bytes: %.100q", path, r.Code, r.Body.Len(), len(body), r.Body)
	}
}

// A state is all that an archive has on one day.
type state struct {
	indexes, pool map[string][]byte
}

const index, pkg = "main/binary-amd64/Packages.gz", "pool/x/x_%d_amd64.deb"

func stateOf(t testing.TB, day int) state {
	pool := map[string][]byte{fmt.Sprintf(pkg, day): debFile(t, noise(2000, uint64(day)))}
	return state{map[string][]byte{index: gz(packages(pool))}, pool}
}

// update asks for what apt-get update asks for.
func (w *world) update(t *testing.T, day int, s state) {
	t.Helper()
	r := w.get(at + dists + "InRelease")
	date := time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC).Format("02 Jan 2006")
	if r.Code != http.StatusOK || !strings.Contains(r.Body.String(), date) {
		t.Fatalf("got %d %s, want the release of %s", r.Code, r.Body, date)
	}
	w.want(t, at+dists+index, s.indexes[index])
	w.want(t, at+dists+fmt.Sprintf("main/binary-amd64/by-hash/SHA256/%x", sha256.Sum256(s.indexes[index])), s.indexes[index])
}

func (w *world) install(t *testing.T, day int, s state) {
	t.Helper()
	name := fmt.Sprintf(pkg, day)
	w.want(t, at+"/debian/"+name, s.pool[name])
}

func both(s state, day int) (origin, copied *archive) {
	origin, copied = new(archive), new(archive)
	origin.publish(day, s.indexes, s.pool)
	copied.publish(day, s.indexes, s.pool)
	return origin, copied
}

func TestAPackageIsWhatTheIndexSays(t *testing.T) {
	s := stateOf(t, 1)
	origin, copied := both(s, 1)
	// A proper package, and not that of the index.
	copied.put("/debian/"+fmt.Sprintf(pkg, 1), debFile(t, noise(2000, 99)))
	in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
		w.update(t, 1, s)
		w.install(t, 1, s)
		if len(w.copyWire.Log().Where(func(q faultnet.Request) bool { return strings.Contains(q.Path, "pool") })) == 0 {
			t.Error("the mirror that lies was not asked: this test shows nothing")
		}
	})
}

func TestAnArchiveInTheMiddleOfItsUpdate(t *testing.T) {
	before, after := stateOf(t, 1), stateOf(t, 2)
	half := func(a *archive) {
		a.publish(2, after.indexes, after.pool)
		a.put(dists+index, before.indexes[index])
		a.drop(dists + fmt.Sprintf("main/binary-amd64/by-hash/SHA256/%x", sha256.Sum256(after.indexes[index])))
	}
	t.Run("everywhere: the set of before goes on being served, and then the new one", func(t *testing.T) {
		origin, copied := both(before, 1)
		in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
			w.update(t, 1, before)
			half(origin)
			half(copied)
			time.Sleep(2 * time.Minute) // fake time
			w.update(t, 1, before)
			w.install(t, 1, before)
			origin.publish(2, after.indexes, after.pool)
			time.Sleep(2 * time.Minute)
			w.update(t, 2, after)
			w.install(t, 2, after)
		})
	})
	t.Run("at the origin, with nothing known: the mirror's set is served", func(t *testing.T) {
		origin, copied := both(before, 1)
		half(origin)
		in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
			w.update(t, 1, before)
			w.install(t, 1, before)
		})
	})
	t.Run("at the origin, while the mirror has all of the new set", func(t *testing.T) {
		origin, copied := both(before, 1)
		in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
			w.update(t, 1, before)
			half(origin)
			copied.publish(2, after.indexes, after.pool)
			time.Sleep(2 * time.Minute)
			w.update(t, 2, after)
			w.install(t, 2, after)
		})
	})
}

func TestAMirrorThatLagsDoesNotBringAnOldReleaseBack(t *testing.T) {
	before, after := stateOf(t, 1), stateOf(t, 2)
	origin, copied := both(after, 2)
	copied.publish(1, before.indexes, before.pool)
	in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
		w.update(t, 2, after)
		w.originWire.Play(faultnet.Always(faultnet.Hang()))
		time.Sleep(2 * time.Minute) // fake time
		w.update(t, 2, after)
	})
}

func TestAWarmStoreOutlivesTheProcess(t *testing.T) {
	s := stateOf(t, 1)
	origin, copied := both(s, 1)
	dir := t.TempDir()
	in(t, dir, origin, copied, func(t *testing.T, w *world) {
		w.update(t, 1, s)
		w.install(t, 1, s)
	})
	for name, order := range map[string]func(t *testing.T, w *world){
		"index first":   func(t *testing.T, w *world) { w.update(t, 1, s); w.install(t, 1, s) },
		"package alone": func(t *testing.T, w *world) { w.install(t, 1, s) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, dir, origin, copied, func(t *testing.T, w *world) {
				time.Sleep(time.Hour) // fake time
				w.originWire.Play(faultnet.Always(faultnet.Refuse()))
				w.copyWire.Play(faultnet.Always(faultnet.Refuse()))
				order(t, w)
			})
		})
	}
}

func TestHostsShareNothing(t *testing.T) {
	s := stateOf(t, 1)
	origin, copied := both(s, 1)
	in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
		w.update(t, 1, s)
		w.install(t, 1, s)
		for _, path := range []string{dists + "InRelease", dists + index, "/debian/" + fmt.Sprintf(pkg, 1)} {
			if r := w.get("/deb/http/elsewhere.example.com" + path); r.Code != http.StatusNotFound {
				t.Errorf("%s elsewhere: got %d, want 404", path, r.Code)
			}
		}
		w.elsewhere.publish(3, s.indexes, map[string][]byte{fmt.Sprintf(pkg, 1): debFile(t, nil)})
		w.update(t, 1, s)
		w.install(t, 1, s)
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := stateOf(t, 1)
	origin, copied := both(s, 1)
	for name, tt := range map[string]struct {
		path string
		code int
	}{
		"a host that nobody named":               {"/deb/http/other.example.com/debian/dists/stable/InRelease", 403},
		"up":                                     {at + "/debian/../../etc/passwd", 400},
		"up, escaped":                            {at + "/debian/%2e%2e/%2e%2e/etc/passwd", 400},
		"a slash, escaped":                       {at + "/debian/dists%2fstable/InRelease", 400},
		"a backslash":                            {at + `/debian/dists/..%5cInRelease`, 400},
		"two slashes":                            {at + "/debian//dists/stable/InRelease", 400},
		"a query":                                {at + "/debian/dists/stable/InRelease?x=1", 400},
		"a name in the host":                     {"/deb/http/user@deb.example.com/debian/dists/stable/InRelease", 400},
		"another scheme":                         {"/deb/file/deb.example.com/debian/dists/stable/InRelease", 400},
		"no host":                                {"/deb/http", 404},
		"an address that a proxy is asked for":   {"http://other.example.com/debian/dists/stable/InRelease", 403},
		"a login to a proxy":                     {"http://user:pw@deb.example.com/debian/dists/stable/InRelease", 403},
		"a null byte":                            {at + "/debian/dists/stable/In%00Release", 400},
		"a path that is too long":                {at + "/" + strings.Repeat("x", 1100), 400},
		"differences of an index":                {at + dists + "main/binary-amd64/Packages.diff/Index", 404},
		"an index by a digest that is broken":    {at + dists + "main/by-hash/SHA1/da39a3ee5e6b4b0d3255bfef95601890afd80709", 404},
		"an index by what is no digest":          {at + dists + "main/by-hash/SHA256/abc", 404},
		"an index that the release has not":      {at + dists + "main/binary-s390x/Packages.gz", 404},
		"a package that is not there":            {at + "/debian/pool/y/y_1_amd64.deb", 404},
		"an index by a digest of something else": {at + dists + "main/by-hash/SHA256/" + strings.Repeat("a", 64), 404},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
				if r := w.get(tt.path); r.Code != tt.code {
					t.Errorf("got %d %s, want %d", r.Code, r.Body, tt.code)
				}
			})
		})
	}
}

func TestALoginIsLeftToItsOwnHost(t *testing.T) {
	s := stateOf(t, 1)
	origin, copied := both(s, 1)
	in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
		q := httptest.NewRequest(http.MethodGet, at+dists+"InRelease", nil)
		q.SetBasicAuth("user", "password")
		r := httptest.NewRecorder()
		w.gateway.ServeHTTP(r, q)
		if r.Code != http.StatusForbidden || len(w.originWire.Log())+len(w.copyWire.Log()) != 0 {
			t.Errorf("got %d and requests %v %v, want 403 and none", r.Code, w.originWire.Log(), w.copyWire.Log())
		}
	})
}

func TestAnIndexThatIsABombDoesNoHarm(t *testing.T) {
	s := stateOf(t, 1)
	name := fmt.Sprintf(pkg, 1)
	many := bytes.Repeat([]byte("Filename: "+strings.Repeat("y", 1000)+"\nSHA256: x\n\n"), 200_000)
	for what, body := range map[string][]byte{
		"one endless line":             gz(make([]byte, 64<<20)),
		"more names than can be":       gz(many),
		"no archive":                   []byte("no archive at all"),
		"the end is missing":           gz(packages(s.pool))[:40],
		"names that lead out":          gz([]byte("Filename: ../../x\nSize: 1\nSHA256: " + strings.Repeat("a", 64) + "\n")),
		"sizes that are no numbers":    gz([]byte("Filename: " + name + "\nSize: -1\nSHA256: " + strings.Repeat("a", 64) + "\n")),
		"digests that are no digests":  gz([]byte("Filename: " + name + "\nSize: 5\nSHA256: zz\n")),
		"a line that has only a colon": gz([]byte(":\n \n :\n\n\n")),
	} {
		t.Run(what, func(t *testing.T) {
			bad := state{map[string][]byte{index: body}, s.pool}
			origin, copied := both(bad, 1)
			in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
				w.update(t, 1, bad)
				w.install(t, 1, s) // proved by what is inside
			})
		})
	}
}

func TestSourcesAreWhatTheIndexSays(t *testing.T) {
	good, other := gz(noise(500, 1)), gz(noise(500, 2))
	sources := fmt.Appendf(nil, "Package: x\nDirectory: pool/x\nChecksums-Sha256:\n %x %d x_1.tar.gz\n", sha256.Sum256(good), len(good))
	const name = "main/source/Sources"
	s := state{map[string][]byte{name: sources}, map[string][]byte{"pool/x/x_1.tar.gz": good}}
	origin, copied := both(s, 1)
	copied.put("/debian/pool/x/x_1.tar.gz", other)
	in(t, t.TempDir(), origin, copied, func(t *testing.T, w *world) {
		w.get(at + dists + "InRelease")
		w.want(t, at+dists+name, sources)
		w.want(t, at+"/debian/pool/x/x_1.tar.gz", good)
	})
}

func TestAnArchiveWithoutSuites(t *testing.T) {
	pool := map[string][]byte{"./x_1_all.deb": debFile(t, noise(100, 1))}
	index := packages(pool)
	a := new(archive)
	a.put("/flat/Packages", index)
	a.put("/flat/x_1_all.deb", pool["./x_1_all.deb"])
	a.put("/flat/InRelease", fmt.Appendf(nil, "Date: Thu, 01 Jan 2026 00:00:00 +0000\nSHA256:\n %x %d Packages\n", sha256.Sum256(index), len(index)))
	lying := new(archive)
	for k, v := range a.files {
		lying.put(k, v)
	}
	lying.put("/flat/x_1_all.deb", debFile(t, noise(100, 2)))
	in(t, t.TempDir(), a, lying, func(t *testing.T, w *world) {
		w.want(t, at+"/flat/./InRelease", a.files["/flat/InRelease"])
		w.want(t, at+"/flat/./Packages", index)
		w.want(t, at+"/flat/./x_1_all.deb", pool["./x_1_all.deb"])
	})
}
