package outlast_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
)

// A world is every service that a survey asks, on loopback, and the settings
// and the environment that lead there.
type world struct {
	t        testing.TB
	services map[string]*faultnet.Service
	tokens   *faultnet.TokenService
	dns      *faultnet.DNS
	settings config.Settings
	env      []string
}

// images are the samples of the registries.
var images = map[string]string{
	"gcr.io": "gcr.io/distroless/static:nonroot", "docker.io": "docker.io/library/alpine:latest",
	"ghcr.io": "ghcr.io/containerd/busybox:1.36", "quay.io": "quay.io/team/app:1",
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, services: make(map[string]*faultnet.Service), tokens: new(faultnet.TokenService),
		dns: &faultnet.DNS{Names: make(map[string][]netip.Addr)}}
	if err := w.dns.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.dns.Close() })
	token := w.serve("auth", w.tokens)
	var registries strings.Builder
	for host, image := range images {
		content := fill(t, image)
		if host == "docker.io" {
			content = w.tokens.Guard(token, content)
		}
		origin := w.serve(host, content)
		fmt.Fprintf(&registries, "  %s: {origin: %q, insecure: true, tokens: [auth.example.com], mirrors: [{url: %q, insecure: true}]}\n", host, origin, w.serve("mirror-of-"+host, fill(t, image)))
	}
	w.env = []string{"HOME=" + t.TempDir(), "PATH=", "GOPROXY=" + w.serve("goproxy", http.HandlerFunc(goProxy)) + ",direct",
		"ACTIONS_RESULTS_URL=" + w.serve("results", http.HandlerFunc(actions)) + "/", "ACTIONS_RUNTIME_TOKEN=secret", "ACTIONS_CACHE_SERVICE_V2=True"}
	other, anywhere := w.serve("goproxy2", http.HandlerFunc(goProxy)), w.serve("internet", nil)
	loaded, err := config.Load(config.Options{Dir: t.TempDir(), Env: append(w.env,
		"OUTLAST_STORE_PATH="+t.TempDir(), "OUTLAST_PROBE_BUDGET=10s", "OUTLAST_REGISTRIES="+registries.String(),
		"OUTLAST_PROBE_PROXIES="+other, "OUTLAST_PROBE_INTERNET="+strings.TrimPrefix(anywhere, "http://"))})
	if err != nil {
		t.Fatal(err)
	}
	w.settings = loaded.Settings
	return w
}

// serve starts a service and returns its address, by a name that the world's
// resolver knows.
func (w *world) serve(name string, backend http.Handler) string {
	w.t.Helper()
	s := &faultnet.Service{Backend: backend}
	if err := s.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.services[name] = s
	host := strings.ReplaceAll(name, ".", "-") + ".example.com"
	w.dns.Add(host, netip.MustParseAddr("127.0.0.1"))
	_, port, _ := net.SplitHostPort(s.Host())
	return "http://" + host + ":" + port
}

func (w *world) play(name string, script faultnet.Script) {
	w.t.Helper()
	if err := w.services[name].Play(script); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) survey(needs ...dockerfile.Need) health.Scorecard {
	return outlast.Survey(context.Background(), outlast.SurveyOptions{
		Settings: w.settings, Env: w.env, Resolver: w.dns.Resolver(), Needs: needs, Known: len(needs) > 0})
}

// fill returns a registry that has an image.
func fill(t testing.TB, image string) http.Handler {
	t.Helper()
	content := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(image, "/")
	ref, err := name.ParseReference("127.0.0.1:1/" + rest)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index, remote.WithTransport(&faultnet.Transport{Backend: content})); err != nil {
		t.Fatal(err)
	}
	return content
}

func goProxy(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/golang.org/x/text/@v/v0.3.8.info" {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, `{"Version":"v0.3.8","Time":"2022-10-03T18:21:16Z"}`)
}

func actions(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Bearer secret" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"code":"unauthenticated"}`)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL":
		io.WriteString(w, `{"ok":false,"signed_download_url":"","matched_key":""}`)
	case "GET /_apis/artifactcache/cache":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"code":"bad_route"}`)
	}
}

func need(ref string) dockerfile.Need {
	host, _, _ := strings.Cut(ref, "/")
	return dockerfile.Need{Kind: dockerfile.Image, As: ref, Ref: ref, Host: host, Line: 1}
}

func calls(manager string) dockerfile.Need {
	return dockerfile.Need{Kind: dockerfile.Packages, As: manager, Ref: manager, Line: 2}
}

func TestSurveyOfHealthyServices(t *testing.T) {
	w := newWorld(t)
	got := w.survey()
	if got.Percent() != 100 || got.Deciding() != 100 {
		t.Errorf("got %d%%, want 100%%: %v", got.Percent(), got.Failed())
	}
	points := make(map[string]float64)
	for _, c := range got.Categories {
		points[c.Name] = c.Earned()
	}
	if diff := cmp.Diff(map[string]float64{health.ActionsCache: 20, health.Registries: 30, health.GoProxies: 25, health.Names: 15, health.Internet: 10}, points); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
	if n := w.services["goproxy"].Connections(); n != 1 {
		t.Errorf("got %d connections to the Go proxy, want 1", n)
	}
}

// What has no check of its own is named: nobody should think that it was
// looked at.
func TestWhatHasNoCheckIsNamed(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		needs []dockerfile.Need
		want  string
	}{
		{[]dockerfile.Need{calls("go"), need(images["docker.io"])}, ""},
		{[]dockerfile.Need{calls("cargo"), calls("go"), calls("apt"), {Kind: dockerfile.AddURL, Host: "docker-io.example.com"}, {Kind: dockerfile.RunURL}},
			"apt, cargo, docker-io.example.com, run-url"},
	} {
		for _, c := range w.survey(tt.needs...).Categories {
			if c.Name == health.Internet && (c.Checks[0].For != tt.want || c.Checks[0].Needed != (tt.want != "")) {
				t.Errorf("got %+v, want it to be for %q", c.Checks[0], tt.want)
			}
		}
	}
}

// Where all is well, a look is over before anybody waits for it. The best of
// several tells: the machine may be busy with something else.
func TestSurveyOfHealthyServicesIsQuick(t *testing.T) {
	w := newWorld(t)
	best := time.Hour
	for range 20 {
		began := time.Now()
		if got := w.survey(need(images["docker.io"]), need(images["quay.io"]), calls("go")); got.Percent() != 100 {
			t.Fatal(got.Failed())
		}
		if best = min(best, time.Since(began)); best < 150*time.Millisecond {
			t.Logf("took %v", best)
			return
		}
	}
	t.Errorf("the best of 20 looks took %v, want less than 150ms", best)
}

// everything says a script of every service.
func (w *world) everything(script faultnet.Script) {
	for name := range w.services {
		w.play(name, script)
	}
}

// However the services are gone, a survey ends within its budget, and with the
// score that says so.
func TestSurveyEndsWithinItsBudget(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault faultnet.Fault
		dns   faultnet.DNSFault
	}{
		{"every service drops what asks to connect", faultnet.DropSYN(), faultnet.DNSFault{}},
		{"every service accepts and is silent", faultnet.Hang(), faultnet.DNSFault{}},
		{"every service drips", faultnet.Drip(1), faultnet.DNSFault{}},
		{"the resolver is silent", faultnet.Fault{}, faultnet.DNSSilence()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.settings.Probe.Budget = time.Second
			w.everything(faultnet.Always(tt.fault))
			w.dns.Play(faultnet.DNSScript{{Fault: tt.dns}})
			start := time.Now()
			got := w.survey(need(images["docker.io"]))
			took := time.Since(start)
			if over := took - w.settings.Probe.Budget; over > 200*time.Millisecond {
				t.Errorf("took %v, %v over the budget", took, over)
			}
			for _, k := range got.Failed() {
				if k.Kind != fault.Timeout {
					t.Errorf("%s: got %q, %s, want a timeout", k.Name, k.Kind, k.Detail)
				}
			}
			if got.Percent() > 25 || got.Deciding() > 60 {
				t.Errorf("got %d%%, and %d%% of what is needed: %v", got.Percent(), got.Deciding(), got)
			}
		})
	}
}

func TestSurvey(t *testing.T) {
	page := faultnet.Always(faultnet.OKHTML())
	hub := images["docker.io"]
	for _, tt := range []struct {
		name              string
		fail              func(*world)
		needs             []dockerfile.Need
		failed            map[string]fault.Kind
		percent, deciding int
	}{
		{"docker.io answers with a page", func(w *world) { w.play("docker.io", page) }, nil,
			map[string]fault.Kind{"docker.io": fault.HTML}, 90, 90},
		{"docker.io is needed and down", func(w *world) { w.play("docker.io", page) }, []dockerfile.Need{need(hub)},
			map[string]fault.Kind{"docker.io": fault.HTML}, 90, 60},
		{"what is not needed is down", func(w *world) { w.play("gcr.io", page); w.play("goproxy", page) }, []dockerfile.Need{need(hub)},
			map[string]fault.Kind{"gcr.io": fault.HTML, "goproxy": fault.HTML}, 77, 100},
		{"a mirror that is down costs no points", func(w *world) { w.play("mirror-of-docker.io", page) }, []dockerfile.Need{need(hub)},
			map[string]fault.Kind{"mirror-of-docker-io": fault.HTML}, 100, 100},
		{"a mirror that is well does not make its registry well", func(w *world) { w.play("docker.io", faultnet.Always(faultnet.Refuse())) },
			[]dockerfile.Need{need(hub)}, map[string]fault.Kind{"docker.io": fault.Connection}, 90, 60},
		{"a spoiled manifest", func(w *world) { w.play("docker.io", faultnet.At(faultnet.Tag, faultnet.WrongByte())) }, nil,
			map[string]fault.Kind{"docker.io": fault.Corrupt}, 90, 90},
		{"tokens: the service is down", func(w *world) { w.play("auth", faultnet.Always(faultnet.Status(503))) }, nil,
			map[string]fault.Kind{"docker.io": fault.Outage}, 90, 90},
		{"tokens: a page", func(w *world) { w.play("auth", page) }, nil, map[string]fault.Kind{"docker.io": fault.HTML}, 90, 90},
		{"tokens: something else", func(w *world) {
			w.play("auth", faultnet.Always(faultnet.StatusBody(200, "application/json", `{"ok":true}`)))
		}, nil,
			map[string]fault.Kind{"docker.io": fault.Rejected}, 90, 90},
		{"tokens: silence", func(w *world) {
			w.play("auth", faultnet.Always(faultnet.Hang()))
			w.settings.Probe.Budget = 3 * time.Second
		}, nil,
			map[string]fault.Kind{"docker.io": fault.Timeout}, 90, 90},
		{"tokens: refused connections", func(w *world) { w.play("auth", faultnet.Always(faultnet.Refuse())) }, nil,
			map[string]fault.Kind{"docker.io": fault.Connection}, 90, 90},
		{"tokens: none for what is public", func(w *world) { w.play("auth", faultnet.Always(faultnet.Status(401))) }, nil,
			map[string]fault.Kind{"docker.io": fault.Auth}, 90, 90},
		{"tokens: void ones", func(w *world) { w.play("docker.io", faultnet.Always(faultnet.Status(401))) }, nil,
			map[string]fault.Kind{"docker.io": fault.Auth}, 90, 90},
		{"an image that is not there is no outage", func(*world) {}, []dockerfile.Need{need("docker.io/library/none:1")}, map[string]fault.Kind{
			"mirror-of-docker-io": fault.NotFound}, 100, 100},
		{"a registry of the build's own shares the points", func(w *world) { w.play("quay.io", page) }, []dockerfile.Need{need(images["quay.io"]), need(hub)},
			map[string]fault.Kind{"quay.io": fault.HTML}, 92, 75},
		{"names that do not exist", func(w *world) {
			w.dns.Play(faultnet.DNSScript{{Name: "docker-io.example.com", Fault: faultnet.NXDOMAIN()}})
		}, []dockerfile.Need{need(hub)}, map[string]fault.Kind{"docker.io": fault.DNS, "docker-io": fault.DNS}, 82, 30},
		{"the Actions cache answers as in the outage", func(w *world) { w.play("results", faultnet.Always(faultnet.StatusHTML(400, faultnet.OutagePage))) },
			[]dockerfile.Need{need(hub)}, map[string]fault.Kind{"GHA cache service v2": fault.HTML}, 80, 100},
		{"a Go proxy that the build asks is down", func(w *world) { w.play("goproxy", faultnet.Always(faultnet.Status(502))) },
			[]dockerfile.Need{calls("go")}, map[string]fault.Kind{"goproxy": fault.Outage}, 87, 54},
		{"another Go proxy is down", func(w *world) { w.play("goproxy2", faultnet.Always(faultnet.Status(502))) },
			[]dockerfile.Need{calls("go")}, map[string]fault.Kind{"goproxy2": fault.Outage}, 87, 100},
		{"what has no check of its own needs the way out", func(w *world) { w.play("internet", faultnet.Always(faultnet.Refuse())) },
			[]dockerfile.Need{calls("apt")}, map[string]fault.Kind{"Internet": fault.Connection}, 90, 0},
		{"the way out is not needed where all else is known", func(w *world) { w.play("internet", faultnet.Always(faultnet.Refuse())) },
			[]dockerfile.Need{need(hub)}, map[string]fault.Kind{"Internet": fault.Connection}, 90, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.fail(w)
			got := w.survey(tt.needs...)
			failed := make(map[string]fault.Kind)
			for _, k := range got.Failed() {
				name, _, _ := strings.Cut(k.Name, ".example.com")
				failed[name] = k.Kind
			}
			if diff := cmp.Diff(tt.failed, failed); diff != "" {
				t.Errorf("failed checks (-want +got):\n%s%v", diff, got.Failed())
			}
			if got.Percent() != tt.percent || got.Deciding() != tt.deciding {
				t.Errorf("got %d%%, and %d%% that decide, want %d%% and %d%%", got.Percent(), got.Deciding(), tt.percent, tt.deciding)
			}
		})
	}
}

// An origin that stands in a registry's place has token endpoints of its own,
// or those that the settings name.
func TestTokenEndpointsAreThoseOfTheOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hub := w.settings.Registries["docker.io"]
	for _, tt := range []struct {
		name   string
		tokens []string
		asked  bool
	}{
		{"the default ones are left alone", config.DefaultRegistry("docker.io").Tokens, false},
		{"those of the settings are asked", []string{"auth.example.com"}, true},
	} {
		hub.Tokens = tt.tokens
		w.settings.Registries["docker.io"] = hub
		var names []string
		for _, c := range w.survey(need(images["docker.io"])).Categories {
			for _, k := range c.Checks {
				if c.Name == health.Names {
					names = append(names, k.Name)
				}
			}
		}
		want := []string{"docker-io.example.com"}
		if tt.asked {
			want = []string{"auth.example.com", "docker-io.example.com"}
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What a service may see is for that service: nothing of it is told.
func TestSurveyKeepsSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	elsewhere := w.serve("elsewhere", http.HandlerFunc(goProxy))
	at := w.serve("private", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(rw, r, elsewhere+r.URL.Path, http.StatusFound)
	}))
	w.env = append(w.env, "GOPROXY="+strings.Replace(at, "://", "://me:secret@", 1)+"|direct")
	got := w.survey(calls("go"))
	if failed := got.Failed(); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, "secret") {
		t.Errorf("got a secret in %s", text)
	}
	for _, r := range w.services["elsewhere"].Log() {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("got credentials at another host: %+v", r)
		}
	}
	if w.services["elsewhere"].Count() != 1 {
		t.Errorf("got %d requests at the other host, want 1", w.services["elsewhere"].Count())
	}
	w.play("private", faultnet.Always(faultnet.Refuse()))
	w.play("results", faultnet.Always(faultnet.Status(401)))
	if text := fmt.Sprintf("%+v", w.survey(calls("go"))); strings.Contains(text, "secret") {
		t.Errorf("got a secret in %s", text)
	}
}

// Where package managers go is their own affair: it is asked of them, and never
// assumed.
func TestSurveyAsksWherePackageManagersGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	npm := w.serve("npm", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/team/once" {
			http.NotFound(rw, r)
			return
		}
		io.WriteString(rw, `{"name":"once","versions":{"1.4.0":{}}}`)
	}))
	python := w.serve("python", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/simple/six/" {
			io.WriteString(rw, `<!doctype html><a href="six-1.whl#sha256=0">six-1.whl</a>`)
		}
	}))
	list := func(s health.Scorecard) map[string]string {
		all := make(map[string]string)
		for _, c := range s.Categories {
			if c.Name == health.Packages || c.Name == health.GoProxies {
				for _, k := range c.Checks {
					all[k.Name] = fmt.Sprintf("%v needed=%v", k.OK, k.Needed)
				}
			}
		}
		return all
	}
	only := func(name string) string { return strings.TrimPrefix(w.serveAt(name), "http://") }
	other := only("goproxy2")
	for _, tt := range []struct {
		name  string
		env   []string
		needs []dockerfile.Need
		want  map[string]string
	}{
		{"by variables", []string{"npm_config_registry=" + npm + "/team/", "PIP_INDEX_URL=" + python + "/simple"},
			[]dockerfile.Need{calls("yarn"), calls("pip")},
			map[string]string{"npm registry": "true needed=true", "Python index": "true needed=true", other: "true needed=false"}},
		{"those that the build does not call are not asked", []string{"npm_config_registry=" + npm, "PIP_INDEX_URL=" + python},
			[]dockerfile.Need{calls("apt")}, map[string]string{other: "true needed=false"}},
		{"nobody knows", nil, []dockerfile.Need{calls("npm"), calls("go")}, map[string]string{other: "true needed=true"}},
	} {
		w.env = append([]string{"HOME=" + t.TempDir(), "GOPROXY=off"}, tt.env...)
		if tt.env == nil {
			// Nor does a client that cannot be run.
			w.env = append(w.env, "npm_config_registry=off")
		}
		if diff := cmp.Diff(tt.want, list(w.survey(tt.needs...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What the settings say packages come from is where the build will ask.
func TestSurveyAsksWhereTheSettingsSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play("goproxy", faultnet.Always(faultnet.Status(503))) // what GOPROXY says
	w.settings.Packages.Go = []string{w.serveAt("goproxy2")}
	got := w.survey(calls("go"))
	if failed := got.Failed(); len(failed) > 0 {
		t.Errorf("got failures at %v, want the proxy of the settings alone to be asked", failed)
	}
	if n := w.services["goproxy"].Count(); n > 0 {
		t.Errorf("got %d requests at the proxy of GOPROXY, want none", n)
	}
}

// serveAt returns the address of a service that was started.
func (w *world) serveAt(name string) string {
	_, port, _ := net.SplitHostPort(w.services[name].Host())
	return "http://" + strings.ReplaceAll(name, ".", "-") + ".example.com:" + port
}

func TestChecksAreForPackageManagersThatAreKnown(t *testing.T) {
	if diff := cmp.Diff(dockerfile.Managers(), config.PackageManagers()); diff != "" {
		t.Errorf("what a check can be for (-seen in Dockerfiles +in settings):\n%s", diff)
	}
}

// Checks of the user's own count what they are told to, and decide where the
// build needs them.
func TestSurveyOfAddedChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deb := w.serve("deb", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "Origin: Debian\n") }))
	w.settings.Probe.Checks = []config.Check{
		{Name: "our Debian mirror", Kind: "url", Target: deb + "/InRelease", For: "apt", Points: 70},
		{Name: "our registry", Kind: "registry", Target: images["quay.io"], Points: 10},
		{Name: "our Go proxy", Kind: "goproxy", Target: w.serveAt("goproxy"), For: "go", Points: 10},
		{Name: "our switch", Kind: "tcp", Target: strings.TrimPrefix(w.serveAt("internet"), "http://"), Points: 10},
	}
	if got := w.survey(calls("apt")); got.Percent() != 100 || got.Deciding() != 100 {
		t.Errorf("got %d%%, %v", got.Percent(), got.Failed())
	}
	w.play("deb", faultnet.Always(faultnet.OKHTML()))
	if got := w.survey(calls("apt")); got.Percent() != 65 || got.Deciding() != 17 {
		t.Errorf("got %d%% and %d%% that decide, want 65%% and 17%%: %v", got.Percent(), got.Deciding(), got.Failed())
	}
	if got := w.survey(need(images["docker.io"])); got.Percent() != 65 || got.Deciding() != 100 {
		t.Errorf("got %d%% and %d%% that decide, want 65%% and 100%%", got.Percent(), got.Deciding())
	}
}

func BenchmarkSurvey(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		if got := w.survey(); got.Percent() != 100 {
			b.Fatal(got.Failed())
		}
	}
}
