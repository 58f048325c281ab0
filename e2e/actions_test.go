package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

// A job is what a job of GitHub Actions knows of its cache service, which is
// played by a service of our own that fails by script.
type job struct {
	*faultnet.Service
	token string
}

func newJob(t *testing.T) job {
	t.Helper()
	store, err := cas.Open(testenv.TempDir(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	hub := &actcache.Service{Store: store, Key: actcache.NewKey()}
	token, err := hub.Key.Token(actcache.Grant{Repository: "7", Expires: time.Now().Add(time.Hour), Scopes: []actcache.Scope{
		{Name: "refs/heads/topic", Permission: actcache.Read | actcache.Write}, {Name: "refs/heads/main", Permission: actcache.Read},
	}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	net := &faultnet.Service{Backend: hub}
	if err := net.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close(); hub.Close(t.Context()); store.Close() })
	return job{net, token}
}

func (j job) environ() []string {
	return []string{"ACTIONS_CACHE_SERVICE_V2=True", "ACTIONS_RESULTS_URL=" + j.URL() + "/", "ACTIONS_RUNTIME_TOKEN=" + j.token, "GITHUB_REPOSITORY=acme/app"}
}

// asked counts the requests that came with the job's token and did not come
// from Outlast.
func (j job) byBuildKit() int {
	return len(j.Log().Where(func(r faultnet.Request) bool { return strings.Contains(r.Header.Get("User-Agent"), "buildkit") }))
}

var (
	ghaLookup   = regexp.MustCompile(`GetCacheEntryDownloadURL`)
	ghaReserve  = regexp.MustCompile(`CreateCacheEntry`)
	ghaFinalize = regexp.MustCompile(`FinalizeCacheEntryUpload`)
	ghaBlob     = regexp.MustCompile(`^/devstoreaccount1/`)
)

// BuildKit saves and restores through Outlast whatever GitHub's cache service
// does, and does not notice.
func TestTheActionsCache(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	j := newJob(t)
	const budget = 3 * time.Second
	// fresh is a machine that has nothing but the job's service.
	fresh := func(t *testing.T, more ...string) *bench {
		t.Helper()
		b.forget(t)
		bb := *b
		bb.t, bb.dir = t, testenv.TempDir(t)
		bb.env = append(j.environ(), "OUTLAST_BUILD_STRATEGY=optimal", "OUTLAST_ACTIONS_BUDGET="+budget.String())
		bb.env = append(bb.env, more...)
		return &bb
	}
	const made = "RUN echo made >/made\n"
	context := b.context(cachedBuild + "RUN head -c 3000000 /dev/urandom >/big\nFROM alpine:3\nCOPY --from=0 /made /big /\n")
	flags := func(scope string) []string {
		return []string{"--cache-from", "type=gha,scope=" + scope, "--cache-to", "type=gha,mode=max,scope=" + scope}
	}
	t.Run("the job's own, without a flag", func(t *testing.T) {
		fresh(t).build(context, "-t", "app").want(t, 0)
		fresh(t).build(context, "-t", "app").want(t, 0, made, "CACHED")
		if n := j.byBuildKit(); n > 0 {
			t.Errorf("got %d requests of BuildKit's at GitHub, want none", n)
		}
	})
	t.Run("the user's own flags", func(t *testing.T) {
		fresh(t).build(context, flags("mine")...).want(t, 0)
		fresh(t).build(context, flags("mine")...).want(t, 0, "CACHED")
		other := fresh(t).build(context, flags("others")...)
		other.want(t, 0)
		if strings.Contains(other.text(), "CACHED") {
			t.Errorf("another scope has it too:\n%s", other.text())
		}
		if n := j.byBuildKit(); n > 0 {
			t.Errorf("got %d requests of BuildKit's at GitHub, want none", n)
		}
	})
	t.Run("what is here needs nobody", func(t *testing.T) {
		bb := fresh(t)
		j.must(t, faultnet.Always(faultnet.Refuse()))
		bb.build(context, flags("here")...).want(t, 0)
		b.forget(t)
		bb.build(context, flags("here")...).want(t, 0, "CACHED")
	})
	j.must(t, nil)
	plain := fresh(t).build(context)
	plain.want(t, 0)
	for i, tt := range []struct {
		name   string
		script faultnet.Script
		saves  bool // it is saving that fails
	}{
		{"everything refused", faultnet.Always(faultnet.Refuse()), false},
		{"everything hangs", faultnet.Always(faultnet.Hang()), false},
		{"everything 503", faultnet.Always(faultnet.Status(503)), false},
		{"everything 429 for a minute", faultnet.Always(faultnet.TooMany(time.Minute)), false},
		{"everything 400 with the page", faultnet.Always(faultnet.StatusHTML(400, "")), false},
		{"everything 200 with the page", faultnet.Always(faultnet.OKHTML()), false},
		{"the look-ups hang", faultnet.Script{{Path: ghaLookup, Fault: faultnet.Hang()}}, false},
		{"the downloads stall", faultnet.Script{{Method: "GET", Path: ghaBlob, Fault: faultnet.HangAfter(100)}}, false},
		{"the layers are wrong", faultnet.Script{{Method: "GET", Path: ghaBlob, On: faultnet.From(2), Fault: faultnet.WrongByte()}}, false},
		{"the layers are gone", faultnet.Script{{Method: "GET", Path: ghaBlob, On: faultnet.From(2), Fault: faultnet.Status(404)}}, false},
		{"the reservations hang", faultnet.Script{{Path: ghaReserve, Fault: faultnet.Hang()}}, true},
		{"the uploads stall", faultnet.Script{{Method: http.MethodPut, Fault: faultnet.Hang()}}, true},
		{"the uploads are 503", faultnet.Script{{Method: http.MethodPut, Fault: faultnet.Status(503)}}, true},
		{"the ends are the page", faultnet.Script{{Path: ghaFinalize, Fault: faultnet.StatusHTML(400, "")}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bb := fresh(t)
			j.must(t, tt.script)
			scope := "mine"
			if tt.saves {
				scope = fmt.Sprint("new-", i) // nothing is found, and all is saved
			}
			r := bb.build(context, flags(scope)...)
			r.want(t, 0)
			// Measuring the services takes 2 s where one is silent.
			if most := plain.took + budget + 2*time.Second + 2*time.Second; r.took > most {
				t.Errorf("it took %s, more than %s:\n%s", r.took, most, r.text())
			}
			t.Logf("%s, %s without a cache", r.took.Round(100*time.Millisecond), plain.took.Round(100*time.Millisecond))
			if !strings.Contains(tt.script.String(), "hang") {
				return
			}
			// What was saved here is of use, whatever became of GitHub, and the
			// daemon is well.
			b.forget(t)
			bb.build(context, flags(scope)...).want(t, 0, "CACHED")
			j.must(t, nil)
			b.forget(t)
			bb.build(context).want(t, 0)
		})
	}
}

func (j job) must(t *testing.T, script faultnet.Script) {
	t.Helper()
	if err := j.Play(script); err != nil {
		t.Fatal(err)
	}
}
