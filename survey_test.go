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
	t        *testing.T
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

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
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
		"OUTLAST_STORE_PATH="+t.TempDir(), "OUTLAST_PROBE_BUDGET=1s", "OUTLAST_REGISTRIES="+registries.String(),
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
	w.dns.Names[host] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
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
func fill(t *testing.T, image string) http.Handler {
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

// failures lists the failed checks, with their kinds.
func failures(s health.Scorecard) map[string]fault.Kind {
	failed := make(map[string]fault.Kind)
	for _, k := range s.Failed() {
		failed[k.Name] = k.Kind
	}
	return failed
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
	t.Logf("took %v", got.Took)
	if got.Took > 600*time.Millisecond {
		t.Errorf("took %v", got.Took)
	}
}
