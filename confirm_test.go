package outlast_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

// A log is written by whoever made a build fail: it decides whether one of the
// build's own services is asked, never who is.
func TestConfirmAsksTheBuildsOwnServicesAlone(t *testing.T) {
	w := newWorld(t)
	page := w.serve("pages", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("<html>a script</html>")) }))
	other := w.serve("other", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("x")) }))
	host := func(name string) string { return w.services[name].Host() }
	named := strings.TrimPrefix(page, "http://")
	script := dockerfile.Need{Kind: dockerfile.RunURL, Ref: page + "/install.sh", Host: named}
	down := faultnet.Always(faultnet.Status(http.StatusServiceUnavailable))
	for _, tt := range []struct {
		name     string
		d        diagnose.Diagnosis
		needs    []dockerfile.Need
		hosts    []string // packages.hosts
		play     string   // who is down
		asked    string   // who is asked, once; empty: nobody
		want, ok bool
		kind     fault.Kind
	}{
		{"a registry that the build needs, by its name", diagnose.Diagnosis{Endpoint: "docker.io"}, []dockerfile.Need{need(images["docker.io"])}, nil, "", "docker.io", true, true, fault.None},
		{"one that is down", diagnose.Diagnosis{Endpoint: "quay.io"}, []dockerfile.Need{need(images["quay.io"])}, nil, "quay.io", "quay.io", true, false, fault.Outage},
		{"the module proxy, where nothing is named but the service", diagnose.Diagnosis{Service: "go-proxy"}, []dockerfile.Need{calls("go")}, nil, "", "goproxy", true, true, fault.None},
		{"a service that the build has nothing to do with", diagnose.Diagnosis{Service: "go-proxy"}, []dockerfile.Need{calls("npm")}, nil, "", "", false, false, fault.None},
		{"a service nobody knows the place of", diagnose.Diagnosis{Service: "network"}, []dockerfile.Need{script}, []string{named}, "", "", false, false, fault.None},
		{"a host out of a log", diagnose.Diagnosis{Endpoint: strings.TrimPrefix(other, "http://")}, []dockerfile.Need{script}, []string{named}, "", "", false, false, fault.None},
		{"an address of this machine out of a log", diagnose.Diagnosis{Endpoint: host("other")}, []dockerfile.Need{script}, []string{named}, "", "", false, false, fault.None},
		{"an address that the Dockerfile names, and that is not public", diagnose.Diagnosis{Endpoint: named}, []dockerfile.Need{script}, nil, "", "", false, false, fault.None},
		{"the same where the settings name it", diagnose.Diagnosis{Endpoint: named}, []dockerfile.Need{script}, []string{named}, "", "pages", true, true, fault.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := make(map[string]int)
			for name, s := range w.services {
				if err := s.Play(nil); err != nil {
					t.Fatal(err)
				}
				before[name] = s.Count()
			}
			if tt.play != "" {
				w.play(tt.play, down)
			}
			o := outlast.SurveyOptions{Settings: w.settings, Env: w.env, Resolver: w.dns.Resolver(), Needs: tt.needs, Known: true, Board: new(health.Board)}
			o.Settings.Packages.Hosts = tt.hosts
			got, ok := outlast.Confirm(t.Context(), o, tt.d)
			if ok != tt.want || got.OK != tt.ok || got.Kind != tt.kind {
				t.Errorf("got %+v, %v, want well %v, %q, %v", got, ok, tt.ok, tt.kind, tt.want)
			}
			for name, s := range w.services {
				if n := s.Count() - before[name]; (n > 0) != (name == tt.asked || name == "auth" && tt.asked == "docker.io") {
					t.Errorf("%s was asked %d times, want %q alone", name, n, tt.asked)
				}
			}
		})
	}
}

// An address of the Dockerfile may be signed, or have a login.
func TestAnAnswerHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	w.serve("gone", nil)
	host := w.services["gone"].Host()
	w.services["gone"].Close()
	const planted = "Hunter2Pl4nted9z"
	o := outlast.SurveyOptions{Settings: w.settings, Env: w.env, Known: true, Needs: []dockerfile.Need{
		{Kind: dockerfile.RunURL, Ref: "http://bob:" + planted + "@" + host + "/x?sig=" + planted, Host: host}}}
	o.Settings.Packages.Hosts = []string{host}
	got, ok := outlast.Confirm(t.Context(), o, diagnose.Diagnosis{Endpoint: host})
	if !ok || got.OK || strings.Contains(got.Detail+got.Endpoint, planted) {
		t.Errorf("got %+v, %v, want that it cannot be reached, without the secret", got, ok)
	}
}

// What the suspected service answers decides what the next attempt is.
func TestTheAnswerDecides(t *testing.T) {
	outage := fails("[build 2/3] RUN go mod download", "go: github.com/a/b@v1.0.0: reading https://goproxy.example.com/github.com/a/b/@v/v1.0.0.zip: 503 Service Unavailable\n", exit1)
	refused := fails("[1/2] FROM r.example.com/x:1", "", "r.example.com/x:1: failed to resolve source metadata for r.example.com/x:1: r.example.com/x:1: not found")
	tests := fails("[2/2] RUN go test ./...", "--- FAIL: TestX (0.00s)\n    dial tcp: lookup goproxy.example.com: 503 Service Unavailable\nFAIL\n", exit1)
	well := diagnose.Answer{Endpoint: "goproxy.example.com", OK: true, Detail: "golang.org/x/text"}
	down := diagnose.Answer{Endpoint: "goproxy.example.com", Kind: fault.Timeout, Detail: "no answer within 2s"}
	for _, tt := range []struct {
		name       string
		scripts    []enginetest.Script
		answers    []diagnose.Answer // one after the other; after the last nobody can be asked
		outcome    record.Outcome
		strategies []string // of the attempts
		asked      int
		told       string
	}{
		{"an outage that is over: the strategy stays", []enginetest.Script{outage, {}}, []diagnose.Answer{well}, record.Built, []string{"optimal", "optimal"}, 1, "goproxy.example.com was asked again: it answers well"},
		{"one that only says that it is over", []enginetest.Script{outage, outage, {}}, []diagnose.Answer{well, well}, record.Built, []string{"optimal", "optimal", "resilient"}, 2, "answers well"},
		{"an outage that goes on", []enginetest.Script{outage, {}}, []diagnose.Answer{down}, record.Built, []string{"optimal", "resilient"}, 1, "goproxy.example.com was asked again: it does not answer"},
		{"nobody to ask", []enginetest.Script{outage, {}}, nil, record.Built, []string{"optimal", "resilient"}, 1, ""},
		{"not found, by a registry that is down", []enginetest.Script{refused, {}}, []diagnose.Answer{{Endpoint: "r.example.com", Kind: fault.HTML}}, record.Built, []string{"optimal", "resilient"}, 1, "r.example.com was asked again: it"},
		{"not found, by a registry that is well", []enginetest.Script{refused, {}}, []diagnose.Answer{{Endpoint: "r.example.com", OK: true, Kind: fault.NotFound}}, record.Failed, []string{"optimal"}, 1, ""},
		{"a test that fails is in no doubt", []enginetest.Script{tests, {}}, []diagnose.Answer{down}, record.Failed, []string{"optimal"}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := config.Load(config.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				var told []string
				run, _ := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: dir, Env: []string{}, Settings: loaded.Settings,
					Engine: &enginetest.Engine{Scripts: tt.scripts}, Direct: true, Note: func(line string) { told = append(told, line) },
					Confirm: func(context.Context, outlast.SurveyOptions, diagnose.Diagnosis) (diagnose.Answer, bool) {
						asked++
						if asked > len(tt.answers) {
							return diagnose.Answer{}, false
						}
						return tt.answers[asked-1], true
					}})
				var got []string
				for _, a := range run.Attempts {
					got = append(got, a.Strategy)
				}
				if run.Outcome != tt.outcome || !slices.Equal(got, tt.strategies) || asked != tt.asked {
					t.Errorf("got %s by %v, asked %d times, want %s by %v, %d times", run.Outcome, got, asked, tt.outcome, tt.strategies, tt.asked)
				}
				if !strings.Contains(strings.Join(told, "\n"), tt.told) {
					t.Errorf("got told %q, want %q", told, tt.told)
				}
				if len(tt.answers) > 0 && tt.asked > 0 && run.Attempts[0].Diagnosis.Answer == nil {
					t.Error("the record has no answer")
				}
			})
		})
	}
}
