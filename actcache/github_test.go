package actcache_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// A world is a service with GitHub behind it, which is a service of the same
// kind, in its own words, that fails by script.
type world struct {
	*client // of the service
	service *actcache.Service
	hub     *client             // of GitHub's, in the same scopes
	net     *faultnet.Transport // between the two
	warned  []string
}

const budget = 10 * time.Second

func newWorld(t *testing.T, v1 bool) *world {
	t.Helper()
	return before(t, newStore(t, 0), v1)
}

// before returns a world whose GitHub has what is in the store.
func before(t *testing.T, store *cas.Store, v1 bool) *world {
	t.Helper()
	hub := &actcache.Service{Store: store, Key: actcache.NewKey()}
	t.Cleanup(func() { hub.Close(t.Context()) })
	net := &faultnet.Transport{Backend: hub}
	t.Cleanup(func() { net.Close() })
	theirs := newClient(t, hub, grant("topic"))
	theirs.v1 = v1
	return behind(t, theirs, net)
}

// behind returns a service with an empty store before this GitHub.
func behind(t *testing.T, hub *client, net *faultnet.Transport) *world {
	t.Helper()
	w := &world{hub: hub, net: net}
	half := func() float64 { return 0.5 }
	w.service = &actcache.Service{Store: newStore(t, 0), Key: actcache.NewKey(), GitHub: &actcache.GitHub{
		URL: "http://results.example.com/", V2: !hub.v1, Token: hub.token, Budget: budget,
		Fetcher: &fetch.Fetcher{Base: net, Jitter: half}, Jitter: half,
	}}
	w.service.Warn = func(s string) { w.warned = append(w.warned, s) }
	w.client = newClient(t, w.service, grant("topic"))
	w.client.v1 = hub.v1
	return w
}

// close ends the service, when GitHub has what it takes.
func (w *world) close() error { return w.service.Close(w.t.Context()) }

var (
	content = text(100_000)
	layer   = "buildkit-blob-1-sha256:" + sha(content)
)

// Places of a save and of a restore, in both versions.
var places = []struct {
	name string
	row  faultnet.Row
	save bool
}{
	{"the look-up", faultnet.Row{Path: regexp.MustCompile(`GetCacheEntryDownloadURL$|/cache$`)}, false},
	{"the download", faultnet.Row{Method: "GET", Path: regexp.MustCompile(`^/devstoreaccount1/`)}, false},
	{"the reservation", faultnet.Row{Method: "POST", Path: regexp.MustCompile(`CreateCacheEntry$|/caches$`)}, true},
	{"the upload", faultnet.Row{If: func(r *http.Request) bool { return r.Method == "PUT" || r.Method == "PATCH" }}, true},
	{"the finish", faultnet.Row{Method: "POST", Path: regexp.MustCompile(`FinalizeCacheEntryUpload$|/caches/[0-9]+$`)}, true},
}

// Faults, and whether an answer with it can be taken for a good one, and
// whether it may do no harm to what is saved.
var faults = []struct {
	faultnet.Fault
	believable, well bool
}{
	{Fault: faultnet.Refuse()},
	{Fault: faultnet.Hang()},
	{Fault: faultnet.HangAfter(10), well: true},
	{Fault: faultnet.HangAfter(50_000), well: true},
	{Fault: faultnet.Drip(1_000), well: true},
	{Fault: faultnet.CutAfter(10), well: true},
	{Fault: faultnet.NoAnswer()},
	{Fault: faultnet.Reset()},
	{Fault: faultnet.Status(503)},
	{Fault: faultnet.Status(500)},
	{Fault: faultnet.TooMany(time.Minute)},
	{Fault: faultnet.TooMany(0)},
	{Fault: faultnet.StatusHTML(400, "")},
	{Fault: faultnet.OKHTML()},
	{Fault: faultnet.OKHTMLAs("application/json")},
	{Fault: faultnet.StatusBody(200, "application/json", "null"), believable: true, well: true},
	{Fault: faultnet.StatusBody(200, "application/json", `{"ok":true}`), believable: true, well: true},
	{Fault: faultnet.WrongByte(), believable: true, well: true},
	{Fault: faultnet.WrongLength(-20), believable: true, well: true},
}

// Whatever GitHub does at whichever call, a client of the service saves and
// restores, is given no wrong byte, and loses no more than the budget.
func TestGitHubFails(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		store := newStore(t, 0)
		c := newClient(t, &actcache.Service{Store: store}, grant("topic"))
		for _, key := range []string{layer, "npm-1"} {
			if got := c.save(key, content, 0); got != 200 {
				t.Fatalf("save at GitHub: got %d", got)
			}
		}
		for _, place := range places {
			for _, f := range faults {
				name := fmt.Sprintf("version 1 %v, %s: %s", v1, place.name, f)
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := before(t, store, v1)
						place.row.Fault = f.Fault
						w.net.Play(faultnet.Script{place.row})
						start := time.Now()
						if place.save {
							w.testSave(t, name)
						} else {
							w.testRestore(t, f.believable)
						}
						// What comes slower than a mebibyte a second takes that
						// time besides.
						if took := time.Since(start); took > budget+2*time.Second {
							t.Errorf("the client lost %s, more than %s", took, budget)
						}
						start = time.Now()
						if err := w.close(); (err == nil) == place.save && !f.well {
							t.Errorf("the end: got %v", err)
						}
						if took := time.Since(start); took > budget+time.Second {
							t.Errorf("the end took %s, more than %s", took, budget)
						}
					})
				})
			}
		}
	}
}

// testRestore wants what GitHub has, or nothing: it is never wrong. Of what a
// digest does not name, what is believable is believed.
func (w *world) testRestore(t *testing.T, believable bool) {
	for range 3 {
		for _, key := range []string{layer, "npm-1"} {
			got, body := w.restore(key)
			if got != "" && (got != key || body != content) && !(believable && key == "npm-1") {
				t.Errorf("restore %s: got %q, %d bytes that are others", key, got, len(body))
			}
		}
	}
}

func (w *world) testSave(t *testing.T, key string) {
	if got := w.save(key, content, 30_000); got != 200 {
		t.Errorf("save: got %d", got)
	}
	w.wantRestored(key, content, key)
}

// What the job before saved through the service, GitHub has; and what GitHub
// has, a machine with an empty store gets.
func TestGitHubIsWell(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		for _, size := range []int{0, 1000, 20_000_000} {
			t.Run(fmt.Sprintf("version 1 %v, %d bytes", v1, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, v1)
					key := "buildkit-blob-1-sha256:" + sha(text(size))
					for _, k := range []string{key, "npm-1"} {
						if got := w.save(k, text(size), 0); got != 200 {
							t.Fatalf("save: got %d", got)
						}
					}
					if err := w.close(); err != nil {
						t.Fatal(err)
					}
					for _, k := range []string{key, "npm-1"} {
						w.hub.wantRestored(k, text(size), k)
					}
					next := behind(t, w.hub, w.net)
					defer next.close()
					for range 2 {
						next.wantRestored("npm-1", text(size), "npm-2", "npm-")
						next.wantRestored(key, text(size), key)
					}
					if n := len(next.net.Log().Where(func(r faultnet.Request) bool { return r.Method == "GET" && strings.HasPrefix(r.Path, "/devstore") })); n > 4 {
						t.Errorf("got %d downloads, want one of each", n)
					}
					if len(next.warned) > 0 {
						t.Errorf("got warnings %q", next.warned)
					}
				})
			})
		}
	}
}

// GitHub's token goes to the host that it is for, and nowhere else.
func TestTokenStaysAtItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		w.hub.save(layer, content, 0)
		w.wantRestored(layer, content, layer)
		w.save("k", "x", 0)
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		for _, r := range w.net.Log() {
			if with := r.Authorization() != ""; with != strings.HasPrefix(r.Path, "/twirp/") {
				t.Errorf("%s: with a token: %v", r, with)
			}
		}
	})
}

// Exporters only ask: nothing is fetched for them.
func TestExportsFetchNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		w.hub.save(layer, content, 0)
		w.hub.save("index-app-1-abc#3", "{}", 0)
		w.prefix = "/export"
		for _, key := range []string{layer, "index-app-1-abc#"} {
			if got, _ := w.find(key); got == "" {
				t.Errorf("%s is not found", key)
			}
		}
		if n := w.net.Log().Where(func(r faultnet.Request) bool { return r.Method == "GET" }); len(n) > 0 {
			t.Errorf("got %v, want no download", n)
		}
		w.close()
	})
}

func TestWhoseAnswerIsBetter(t *testing.T) {
	for _, tt := range []struct {
		name        string
		here, there string
		keys        []string
		down        bool // GitHub takes nothing meanwhile
		want        string
	}{
		{"the key itself, wherever it is", "npm-1", "npm-2", []string{"npm-2", "npm-"}, false, "npm-2"},
		{"the key itself, here", "npm-2", "npm-3", []string{"npm-2", "npm-"}, false, "npm-2"},
		{"a better restore key", "npm-1", "go-1", []string{"x", "go-", "npm-"}, false, "go-1"},
		{"a higher number", "index-1-a#2", "index-1-a#10", []string{"index-1-a"}, true, "index-1-a#10"},
		{"a higher number, here", "index-1-a#10", "index-1-a#2", []string{"index-1-a"}, true, "index-1-a#10"},
		{"the newer one of two that GitHub knows", "npm-1", "npm-2", []string{"npm-"}, false, "npm-2"},
		{"what GitHub does not know yet", "npm-1", "npm-2", []string{"npm-"}, true, "npm-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, false)
				if tt.down {
					w.net.Play(faultnet.Script{{Path: regexp.MustCompile("CreateCacheEntry"), Fault: faultnet.Status(503)}})
				}
				w.save(tt.here, "here", 0)
				time.Sleep(time.Minute) // it is sent, or was not taken
				w.hub.save(tt.there, "there", 0)
				if key, _ := w.restore(tt.keys...); key != tt.want {
					t.Errorf("got %q, want %q", key, tt.want)
				}
				w.close()
			})
		})
	}
}

// GitHub asks for patience, and gets it.
func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		w.net.Play(faultnet.Script{{Path: regexp.MustCompile("CreateCacheEntry"), On: faultnet.First(1), Fault: faultnet.TooMany(time.Minute)}})
		w.save("k", "x", 0)
		time.Sleep(59 * time.Second)
		if n := w.net.Count(); n != 1 {
			t.Errorf("got %d requests within the minute, want 1", n)
		}
		time.Sleep(10 * time.Second)
		w.hub.wantRestored("k", "x", "k")
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
}

// No more than what GitHub takes in a minute is begun.
func TestNewEntriesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		for i := range 200 {
			w.save(fmt.Sprintf("k-%d", i), "x", 0)
		}
		time.Sleep(59 * time.Second)
		count := func() int {
			return len(w.net.Log().Where(func(r faultnet.Request) bool { return strings.HasSuffix(r.Path, "/CreateCacheEntry") }))
		}
		if n := count(); n > 150 {
			t.Errorf("got %d in the first minute, want 150 at most", n)
		}
		time.Sleep(time.Minute)
		if n := count(); n != 200 {
			t.Errorf("got %d in two minutes, want 200", n)
		}
		w.close()
	})
}

// An address that leads to this machine is not followed.
func TestAddressesThatLeadInside(t *testing.T) {
	for _, to := range []string{"http://127.0.0.1:1/x", "http://localhost/x", "file:///etc/passwd", "http://user:secret@results.example.com/x", ":"} {
		t.Run(to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, false)
				w.net.Play(faultnet.Script{
					{Path: regexp.MustCompile("GetCache"), Fault: faultnet.StatusBody(200, "application/json", `{"ok":true,"matched_key":"k","signed_download_url":"`+to+`"}`)},
					{Path: regexp.MustCompile("Create"), Fault: faultnet.StatusBody(200, "application/json", `{"ok":true,"signed_upload_url":"`+to+`"}`)},
				})
				if key, _ := w.find("k"); key != "" {
					t.Errorf("got %q", key)
				}
				w.save("k", "x", 0)
				if err := w.close(); err == nil {
					t.Error("got nil, want what was not sent")
				}
				for _, r := range w.net.Log() {
					if !strings.HasPrefix(r.Path, "/twirp/") {
						t.Errorf("got %s", r)
					}
				}
			})
		})
	}
}
