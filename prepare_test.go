package outlast_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/record"
)

// onStage serves modules beside the stage's registry.
func onStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/example.com/x/@v/list" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "v1.0.0\n")
	}))
	t.Cleanup(proxy.Close)
	s.settings.Packages.Go = []string{proxy.URL}
	return s
}

// download asks what GOPROXY names for a list of versions, as a step would.
func download(ctx context.Context, req engine.Request) error {
	proxy, _, _ := strings.Cut(string(req.Secrets["outlast-goproxy"]), "|")
	resp, err := http.Get(proxy + "/example.com/x/@v/list")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "v1.0.0\n" {
		return io.ErrUnexpectedEOF
	}
	return pull(ctx, req)
}

func TestPackageManagersGoThroughTheGateway(t *testing.T) {
	s := onStage(t)
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN go mod download && apt-get update\nRUN GOPROXY=off go build\n")
	e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: download}}}
	if run, err := s.build(e); err != nil || run.Outcome != record.Built {
		t.Fatalf("got %s, %v, want built", run.Outcome, err)
	}
	req := e.Requests()[0]
	text := string(req.Text)
	if strings.Count(text, "id=outlast-goproxy,env=GOPROXY") != 1 || strings.Count(text, "env=APT_CONFIG") != 1 {
		t.Errorf("got\n%s", text)
	}
	for _, added := range req.Added {
		text = strings.ReplaceAll(text, added, "")
	}
	if want := "FROM " + s.host + "/base:1\nRUN go mod download && apt-get update\nRUN GOPROXY=off go build\n"; text != want {
		t.Errorf("without what was added: got\n%s", text)
	}
	if conf := string(req.Secrets["outlast-apt"]); !strings.Contains(conf, `Error-Mode "any"`) || !strings.Contains(conf, `Acquire::http::Proxy "http://127.0.0.1:`) {
		t.Errorf("apt's configuration: %s", conf)
	}
	if got := string(req.Secrets["outlast-apt-config"]); got != "/dev/outlast/apt.conf" {
		t.Errorf("APT_CONFIG: got %q", got)
	}
}

// A private engine has steps in a network of their own.
type private struct{ *enginetest.Engine }

func (private) Shares(string) (bool, string) { return false, "it is elsewhere" }

func TestWhatIsNotPrepared(t *testing.T) {
	for _, tt := range []struct {
		name, file, note string
		change           func(*stage) []string
		engine           func(*enginetest.Engine) engine.Engine
	}{
		{name: "nothing asks for packages", file: "RUN true\n"},
		{name: "it is switched off", file: "RUN go mod download\n", change: func(s *stage) []string { s.settings.Packages.Prepare = false; return nil }},
		{name: "steps elsewhere", file: "RUN go mod download\n", note: "it is elsewhere", engine: func(e *enginetest.Engine) engine.Engine { return private{e} }},
		{name: "an old frontend", file: "RUN go mod download\n", note: "1.10",
			change: func(*stage) []string { return []string{"--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1.4"} }},
		{name: "the user's own value", file: "ENV GOPROXY=off\nRUN go mod tidy && go get x\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := onStage(t)
			s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\n"+tt.file)
			var args []string
			if tt.change != nil {
				args = tt.change(s)
			}
			scripted := &enginetest.Engine{}
			var e engine.Engine = scripted
			if tt.engine != nil {
				e = tt.engine(scripted)
			}
			run, err := s.build(e, args...)
			if err != nil {
				t.Fatal(err)
			}
			if req := scripted.Requests()[0]; req.Text != nil || req.Secrets != nil {
				t.Errorf("got %q", req.Text)
			}
			if notes := strings.Join(run.Notes, "\n"); !strings.Contains(notes, tt.note) {
				t.Errorf("got notes %q, want %q", notes, tt.note)
			}
		})
	}
}

func TestEachManagerIsToldItsPlace(t *testing.T) {
	s := onStage(t)
	s.settings.Packages.NPM = []string{"https://npm.example.com/registry/"}
	s.settings.Packages.Pip = []string{"https://pypi.example.com/simple/"}
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN npm ci && pip install x\n")
	e := &enginetest.Engine{}
	if _, err := s.build(e); err != nil {
		t.Fatal(err)
	}
	req := e.Requests()[0]
	for id, want := range map[string]string{
		"outlast-npm":        "/npm/-/kept/\nreplace-registry-host=npm.example.com\n",
		"outlast-npm-config": "/dev/outlast/npmrc",
		"outlast-pip":        "/pypi/simple/\n",
		"outlast-pip-config": "/dev/outlast/pip.conf",
	} {
		if got := string(req.Secrets[id]); !strings.Contains(got, want) || !strings.Contains(string(req.Text), "id="+id+",") {
			t.Errorf("%s: got %q, want %q, in\n%s", id, got, want, req.Text)
		}
	}
}

func TestOnePortServesAll(t *testing.T) {
	s := onStage(t)
	g, err := outlast.NewGateway(t.Context(), outlast.GatewayOptions{Settings: s.settings,
		Packages: outlast.FindPackages(t.Context(), s.settings, []string{"npm_config_registry=http://127.0.0.1:1/", "PIP_INDEX_URL=http://127.0.0.1:1/simple/"}, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for path, want := range map[string]int{
		"/v2/":                                 http.StatusOK,
		"/go/example.com/x/@v/list":            http.StatusOK,
		"/deb/http/deb.example.com/x":          http.StatusForbidden, // named by nobody
		"http://127.0.0.1:1/dists/x/Release":   http.StatusBadGateway,
		"http://127.0.0.1:1/":                  http.StatusForbidden,
		"http://deb.example.com/pool/a/../../": http.StatusBadGateway,
	} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: got %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}

// A proxy that fails is one service, however many hosts its modules have.
func TestAFailingProxyIsOneLine(t *testing.T) {
	s := onStage(t)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(bad.Close)
	s.settings.Packages.Go = append([]string{bad.URL}, s.settings.Packages.Go...)
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN go mod download\n")
	run, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{{Run: func(ctx context.Context, req engine.Request) error {
		proxy, _, _ := strings.Cut(string(req.Secrets["outlast-goproxy"]), "|")
		for _, module := range []string{"example.com/y", "example.net/z"} {
			resp, err := http.Get(proxy + "/" + module + "/@v/list")
			if err != nil {
				return err
			}
			resp.Body.Close()
		}
		return download(ctx, req)
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	bad.Close()
	host, good := strings.TrimPrefix(bad.URL, "http://"), strings.TrimPrefix(s.settings.Packages.Go[1], "http://")
	lines := run.Detours()
	if len(lines) != 1 || !strings.HasPrefix(lines[0], host+" ") || !strings.HasSuffix(lines[0], "served by "+good) {
		t.Errorf("got %q, want a line about %s that says who served", lines, host)
	}
	for _, one := range run.Services {
		if one.Endpoint == host && one.Serves != "go" {
			t.Errorf("%s serves %s, want go", one.Endpoint, one.Serves)
		}
	}
}

func TestPackagesOffline(t *testing.T) {
	s := onStage(t)
	s.write(t, "Dockerfile", "FROM "+s.host+"/base:1\nRUN go mod download && npm ci && pip install x && apt-get update\n")
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); io.WriteString(w, "v1.0.0\n") }))
	t.Cleanup(proxy.Close)
	s.settings.Packages.Go = []string{proxy.URL}
	s.settings.Packages.NPM, s.settings.Packages.Pip = []string{proxy.URL}, []string{proxy.URL + "/simple/"}
	if _, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{{Run: download}}}); err != nil {
		t.Fatal(err)
	}
	if asked.Load() == 0 {
		t.Fatal("the proxy was not asked: this test shows nothing")
	}
	offline := func(run func(context.Context, engine.Request) error) (*enginetest.Engine, record.Run, error) {
		e := &enginetest.Engine{Scripts: []enginetest.Script{{Run: run}}}
		r, err := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{"A=b"}, Settings: s.settings, Engine: e, Offline: true})
		return e, r, err
	}
	asked.Store(0)
	e, _, err := offline(download)
	if err != nil {
		t.Fatalf("what is in the store: %v", err)
	}
	req := e.Requests()[0]
	for id, want := range map[string]string{"outlast-goproxy": "/go", "outlast-npm": "\nfetch-retries=0\n", "outlast-pip": "\nretries = 0\n", "outlast-apt": "Retries \"0\""} {
		if got := string(req.Secrets[id]); !strings.Contains(got, want) || strings.Contains(got, "direct") {
			t.Errorf("%s: got %q, want %q in it", id, got, want)
		}
	}
	_, run, err := offline(func(ctx context.Context, req engine.Request) error {
		base := strings.TrimSuffix(string(req.Secrets["outlast-goproxy"]), "/go")
		for _, path := range []string{"/go/example.com/gone/@v/list", "/npm/-/kept/left-pad", "/pypi/simple/left-pad/"} {
			resp, err := http.Get(base + path)
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				t.Errorf("%s: got it from nowhere", path)
			}
		}
		return errors.New("process \"/bin/sh -c go mod download\" did not complete successfully: exit code: 1")
	})
	if run.Outcome != record.NoSource || err == nil {
		t.Fatalf("what is not in the store: got %s, %v", run.Outcome, err)
	}
	if len(run.Attempts) != 1 {
		t.Errorf("got %d attempts, want one: there is nobody to ask again", len(run.Attempts))
	}
	for _, name := range []string{"example.com/gone", "left-pad", "this build is offline"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("got %q, want %s named", err, name)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests were made offline", n)
	}
}
