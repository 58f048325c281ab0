package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/daemon"
	"github.com/outlast-build/outlast/internal/live"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
)

// A served is a daemon that runs for a test.
type served struct {
	t       *testing.T
	address string
	gateway string
	actions string
	history *history.Store
	env     []string
	stop    func() error
}

// serve starts a daemon on free ports, with a state and a store of its own, that
// measures nothing.
func serve(t *testing.T, change func(*daemon.ServeOptions)) served {
	t.Helper()
	env := []string{"HOME=" + t.TempDir(), "OUTLAST_STORE_PATH=" + t.TempDir(), "OUTLAST_SERVE_LISTEN=127.0.0.1:0", "OUTLAST_GATEWAY_LISTEN=127.0.0.1:0", "OUTLAST_ACTIONS_LISTEN=127.0.0.1:0"}
	loaded, err := config.Load(config.Options{Dir: t.TempDir(), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	o := daemon.ServeOptions{Settings: loaded.Settings, Env: env, Version: "v1.0.0", Warn: func(w string) { t.Error(w) }}
	o.Settings.Serve.Check = 0
	o.Settings.Packages.Prepare = false
	h, err := history.Open(t.Context(), o.Settings.History.Path, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan daemon.Addresses, 1), make(chan error, 1)
	o.Ready = func(at daemon.Addresses) { ready <- at }
	go func() { ended <- daemon.Serve(ctx, o) }()
	s := served{t: t, history: h, env: env, stop: sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("it did not stop")
		}
	})}
	select {
	case at := <-ready:
		s.address, s.gateway, s.actions = at.Dashboard, at.Gateway, at.Actions
	case err := <-ended:
		t.Fatalf("it did not start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s served) get(path string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", "http://"+s.address+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServeShowsBuildsThatRunAndThatEnded(t *testing.T) {
	s := serve(t, nil)
	if code, body := s.get("/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: got %d %q", code, body)
	}
	if code, body := s.get("/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("readyz: got %d %q", code, body)
	}
	if _, body := s.get("/"); !strings.Contains(body, "No build is running") || !strings.Contains(body, "No build is kept yet") {
		t.Errorf("got the start %q", body)
	}
	stop, err := live.Announce(daemon.RunningDir(s.env), "one", func() record.Run { return runs.Running(time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	if _, body := s.get("/"); !strings.Contains(body, "RUN go build -o /service") {
		t.Errorf("got the start %q, want the running build", body)
	}
	if _, body := s.get("/metrics"); !strings.Contains(body, "\noutlast_builds_running 1\n") {
		t.Error("the metrics do not count the running build")
	}
	stop()
	if _, err := s.history.Add(t.Context(), runs.Outage()); err != nil {
		t.Fatal(err)
	}
	if _, body := s.get("/"); !strings.Contains(body, "ghcr.io/acme/service:1.4.0") {
		t.Errorf("got the start %q, want the build that ended", body)
	}
	_, body := s.get("/metrics")
	for _, want := range []string{`outlast_builds_total{outcome="built",strategy="resilient"} 1`, "outlast_score_percent 75", `outlast_check_up{category="primary registries",check="ghcr.io"} 1`, `outlast_check_up{category="primary registries",check="gcr.io"} 0`,
		`outlast_attempts_total{kind="build",strategy="optimal"} 1`, `outlast_attempts_total{kind="none",strategy="resilient"} 1`,
		`outlast_fetches_total{endpoint="gcr.io",kind="html-instead-of-api"} 2`, `outlast_fetches_total{endpoint="mirror.example.com",kind="none"} 12`, `outlast_fetch_bytes_total{endpoint="mirror2.example.com"} 7.12e+07`,
		"outlast_cache_limit_bytes 2.147", `outlast_requests_in_flight{of="dashboard"}`} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if resp, err := http.Get("http://" + s.gateway + "/v2/"); err != nil || resp.StatusCode != 200 {
		t.Errorf("the gateway: got %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if resp, err := http.Get("http://" + s.actions + "/healthz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("the cache of GitHub Actions: got %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if err := s.stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// Who else has a port keeps none of the others.
func TestServeLeavesNoPortBehind(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	loaded, err := config.Load(config.Options{Dir: t.TempDir(), Env: []string{"HOME=" + t.TempDir(), "OUTLAST_STORE_PATH=" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	free := freePort(t)
	o := loaded.Settings
	o.Serve.Listen, o.Gateway.Listen, o.Actions.Listen = free, "127.0.0.1:0", taken.Addr().String()
	if err := daemon.Serve(t.Context(), daemon.ServeOptions{Settings: o}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v, want that the port of the cache is taken", err)
	}
	again, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatalf("the dashboard's port is held still: %v", err)
	}
	again.Close()
}

// freePort is an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestServeWithATokenLetsNobodyElseIn(t *testing.T) {
	const token = "a-token-of-thirty-two-characters"
	s := serve(t, func(o *daemon.ServeOptions) { o.Token, o.Alone = token, true })
	for _, path := range []string{"/", "/metrics", "/builds"} {
		if code, _ := s.get(path); code != 401 {
			t.Errorf("%s: got %d, want 401", path, code)
		}
		if code, _ := s.get(path, "Authorization", "Bearer "+token); code != 200 {
			t.Errorf("%s, with the token: got %d, want 200", path, code)
		}
	}
	if code, _ := s.get("/healthz"); code != 200 || s.gateway+s.actions != "" {
		t.Errorf("healthz: got %d, gateway %q, cache %q", code, s.gateway, s.actions)
	}
}

// Whatever builds, images and settings are called, the values of labels are
// bounded.
func TestLabelsAreBounded(t *testing.T) {
	s := serve(t, func(o *daemon.ServeOptions) { o.Alone = true })
	var all []record.Run
	for i, r := range runs.Many(150, time.Now()) {
		r.ID = "BOUND" + r.ID
		r.Strategy = "made-up-" + r.ID
		for j := range r.Services {
			r.Services[j].Endpoint = fmt.Sprintf("h%d.example.com", i)
		}
		all = append(all, r)
	}
	if _, err := s.history.Add(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	endpoint := regexp.MustCompile(`outlast_fetch_bytes_total\{endpoint="([^"]*)"`)
	_, body := s.get("/metrics")
	if !strings.Contains(body, `endpoint="other"`) {
		t.Error("no endpoint is one of the others")
	}
	if n := len(endpoint.FindAllString(body, -1)); n > 101 {
		t.Errorf("got %d endpoints, want at most 100 and the others", n)
	}
	if strings.Contains(body, "made-up") {
		t.Error("a strategy that does not exist is a label")
	}
}

// The alerts are Prometheus's own, and speak of metrics that there are.
func TestAlerts(t *testing.T) {
	promtool := testenv.Tool(t, "promtool")
	dir, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "outlast-alerts.yml"}, {"check", "config", "--syntax-only", "prometheus-scrape.yml"}, {"test", "rules", "outlast-alerts-test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
	s := serve(t, func(o *daemon.ServeOptions) { o.Alone = true })
	if _, err := s.history.Add(t.Context(), runs.Outage()); err != nil {
		t.Fatal(err)
	}
	_, body := s.get("/metrics")
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(body)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	rules, err := os.ReadFile(filepath.Join(dir, "outlast-alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`outlast_[a-z_]+`).FindAllString(string(rules), -1)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "outlast_cache_requests_total" && !strings.Contains(body, "# TYPE "+name+" ") {
			t.Errorf("an alert speaks of %s, which is no metric", name)
		}
	}
}

// The unit is one that systemd reads, and lets the program do little.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	unit := filepath.Join(t.TempDir(), "outlast.service")
	text, err := os.ReadFile("../../deploy/outlast.service")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/outlast", exe)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=25", unit).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}
