package outlast_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
)

// jobToken is a token as GitHub gives it to a job, with these scopes.
func jobToken(t *testing.T) string {
	t.Helper()
	token, err := actcache.NewKey().Token(actcache.Grant{Repository: "7", Expires: time.Now().Add(time.Hour),
		Scopes: []actcache.Scope{{Name: "refs/heads/main", Permission: actcache.Read | actcache.Write}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

var (
	ownAddress = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
	ownToken   = regexp.MustCompile(`eyJ[\w.-]+`)
)

// caches are the cache flags of a request, with OWN for the address of a
// service of the build's own, and TOKEN for a token of its.
func cacheFlagsOf(req engine.Request, job string) []string {
	var all []string
	for _, arg := range slices.Concat(req.Args, req.Flags) {
		if strings.HasPrefix(arg, "--cache-") {
			arg = strings.ReplaceAll(arg, job, "JOB")
			all = append(all, ownToken.ReplaceAllString(ownAddress.ReplaceAllString(arg, "OWN"), "TOKEN"))
		}
	}
	return all
}

func TestActionsCacheFlags(t *testing.T) {
	job := jobToken(t)
	results := []string{"ACTIONS_CACHE_SERVICE_V2=True", "ACTIONS_RESULTS_URL=http://results.invalid/", "ACTIONS_RUNTIME_TOKEN=" + job}
	const (
		from = "--cache-from=type=gha,"
		to   = "--cache-to=type=gha,"
		ours = "url=OWN/,url_v2=OWN/"
		out  = "url=OWN/export/,url_v2=OWN/export/"
	)
	for _, tt := range []struct {
		name  string
		env   []string
		args  []string
		want  []string
		token bool // the job's own stays in the environment
		do    func(*outlast.Options)
	}{
		{"a job, and no flag", results, nil, []string{from + ours, to + "ignore-error=true,mode=max," + out}, false, nil},
		{"an image's name is the scope", results, []string{"-t", "r.example.com/app:1"},
			[]string{from + "scope=r.example.com/app," + ours, to + "ignore-error=true,mode=max,scope=r.example.com/app," + out}, false, nil},
		{"flags of the user's keep what they say", results, []string{"--cache-from", "type=gha,scope=a,timeout=1m", "--cache-to=type=gha,mode=min,scope=a,ignore-error=false"},
			[]string{from + "scope=a,timeout=1m," + ours, to + "ignore-error=false,mode=min,scope=a," + out}, false, nil},
		{"an export of the user's fails nothing", results, []string{"--cache-to=type=gha"}, []string{to + "ignore-error=true," + out}, false, nil},
		{"GitHub's REST API is not asked by BuildKit", results, []string{"--cache-to=type=gha,repository=acme/app,ghtoken=ghp_x"}, []string{to + "ignore-error=true," + out}, false, nil},
		{"a service of the user's", results, []string{"--cache-from=type=gha,url_v2=http://other.invalid/,token=" + job},
			[]string{from + "token=TOKEN," + ours}, true, nil},
		{"a service of the user's outside of a job", nil, []string{"--cache-from=type=gha,url=http://other.invalid/,version=1,token=" + job},
			[]string{from + "token=TOKEN," + ours}, false, nil},
		{"outside of a job", nil, []string{"--cache-from=type=gha"}, []string{"--cache-from=type=gha"}, false, nil},
		{"outside of a job, without a flag", nil, nil, nil, false, nil},
		{"beside another cache", results, []string{"--cache-from=type=s3,bucket=b", "--cache-from=type=gha"}, []string{"--cache-from=type=s3,bucket=b", from + ours}, false, nil},
		{"a build that is given the token", results, []string{"--secret=id=ACTIONS_RUNTIME_TOKEN"},
			[]string{from + "token=TOKEN," + ours, to + "ignore-error=true,mode=max,token=TOKEN," + out}, true, nil},
		{"a token that is none", append(slices.Clone(results), "ACTIONS_RUNTIME_TOKEN=x"), nil, nil, true, nil},
		{"a token that is none, and a flag", append(slices.Clone(results), "ACTIONS_RUNTIME_TOKEN=x"), []string{"--cache-from=type=gha"}, nil, true, nil},
		{"switched off", results, []string{"--cache-from=type=gha"}, []string{"--cache-from=type=gha"}, true, func(o *outlast.Options) { o.Settings.Cache.Actions = false }},
		{"without a gateway", results, []string{"--cache-from=type=gha"}, []string{"--cache-from=type=gha"}, true, func(o *outlast.Options) { o.Direct = true }},
		{"a builder that does not reach this machine", results, []string{"--cache-from=type=gha"}, nil, true, func(o *outlast.Options) { o.Engine = far{o.Engine} }},
		{"a builder that does not reach this machine, without a flag", results, nil, nil, true, func(o *outlast.Options) { o.Engine = far{o.Engine} }},
		{"a strategy without external caches", results, nil, nil, true, func(o *outlast.Options) { o.Settings.Build.Strategy = "emergency" }},
		{"version 1", []string{"ACTIONS_CACHE_URL=http://cache.invalid/", "ACTIONS_RUNTIME_TOKEN=" + job}, []string{"--cache-from=type=gha"}, []string{from + ours}, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			e := &enginetest.Engine{}
			o := outlast.Options{Args: append(tt.args, "."), Dir: s.dir, Env: append([]string{"A=b"}, tt.env...), Settings: s.settings, Engine: e}
			if tt.do != nil {
				tt.do(&o)
			}
			if _, err := outlast.Build(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			req := e.Requests()[0]
			if diff := cmp.Diff(tt.want, cacheFlagsOf(req, job)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			given, seen := lastOf(o.Env, "ACTIONS_RUNTIME_TOKEN"), lastOf(req.Env, "ACTIONS_RUNTIME_TOKEN")
			if kept := seen == given; kept != tt.token && given != "" {
				t.Errorf("the job's token is what buildx sees: %v, want %v", kept, tt.token)
			}
		})
	}
}

// lastOf returns the value of a variable that counts.
func lastOf(env []string, name string) string {
	for _, e := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// far is an engine whose builder is elsewhere.
type far struct{ engine.Engine }

func (far) Reaches() (bool, string) { return false, "it is far away" }

// An entry that BuildKit saves is at GitHub when the build is done, and what
// GitHub has BuildKit gets, with the token of the service alone.
func TestActionsCacheOfABuild(t *testing.T) {
	job := jobToken(t)
	var asked []string
	var tokens []string
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		tokens = append(tokens, r.Header.Get("Authorization"))
		w.Write([]byte(`{"ok":false}`))
	}))
	defer hub.Close()
	s := newStage(t)
	lookup := func(_ context.Context, req engine.Request) error {
		flag := req.Flags[slices.IndexFunc(req.Flags, func(f string) bool { return strings.HasPrefix(f, "--cache-from") })]
		address := ownAddress.FindString(flag)
		token := strings.TrimPrefix(req.Env[len(req.Env)-1], "ACTIONS_RUNTIME_TOKEN=")
		if token == job {
			t.Error("BuildKit would be shown the job's token")
		}
		r, _ := http.NewRequest("POST", address+"/twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL", strings.NewReader(`{"key":"k","version":"v"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("got %v, %v", resp, err)
		}
		return nil
	}
	_, err := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Settings: s.settings,
		Engine: &enginetest.Engine{Scripts: []enginetest.Script{{Run: lookup}}},
		Env:    []string{"ACTIONS_CACHE_SERVICE_V2=1", "ACTIONS_RESULTS_URL=" + hub.URL, "ACTIONS_RUNTIME_TOKEN=" + job}})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0] != "GetCacheEntryDownloadURL" || tokens[0] != "Bearer "+job {
		t.Errorf("got %v with %v, want one look-up with the job's token", asked, tokens)
	}
}
