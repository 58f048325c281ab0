package pypi_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/gateway/ecotest"
	"github.com/outlast-build/outlast/gateway/pypi"
	"github.com/outlast-build/outlast/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// wheelOf is a wheel that pip installs.
func wheelOf(t testing.TB, name, version string, needs ...string) (file string, data, metadata []byte) {
	t.Helper()
	module := strings.ReplaceAll(name, "-", "_")
	info := module + "-" + version + ".dist-info/"
	meta := "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"
	for _, n := range needs {
		meta += "Requires-Dist: " + n + "\n"
	}
	content := map[string][]byte{
		module + ".py":    []byte("version = '" + version + "'\n# " + fmt.Sprintf("%x", noise(uint64(len(name)), 20_000)) + "\n"),
		info + "METADATA": []byte(meta),
		info + "WHEEL":    []byte("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
	}
	var record strings.Builder
	for name := range content {
		record.WriteString(name + ",,\n")
	}
	content[info+"RECORD"] = []byte(record.String() + info + "RECORD,,\n")
	return module + "-" + version + "-py3-none-any.whl", archive(t, content), []byte(meta)
}

// projects are a project that needs another, in two versions.
func projects(t testing.TB) repository {
	t.Helper()
	r := repository{hashes: "sha256", files: make(map[string]map[string][]byte)}
	add := func(name, version string, needs ...string) {
		file, data, meta := wheelOf(t, name, version, needs...)
		if r.files[name] == nil {
			r.files[name] = make(map[string][]byte)
		}
		r.files[name][file], r.files[name][file+".metadata"] = data, meta
	}
	add("left-pad", "1.0.0", "pad-core>=1")
	add("left-pad", "0.9.0")
	add("pad-core", "1.2.0")
	return r
}

const filesHost = "files.example.com"

// A site is a gateway between pip and two indexes that have the same; the first
// has its files on another host.
type site struct {
	index, files, mirror *faultnet.Service
	gateway              string
}

func newSite(t testing.TB, dir string, r repository) *site {
	t.Helper()
	away := r
	away.at = "https://" + filesHost + "/packages/ab/cd/"
	s := &site{index: &faultnet.Service{Backend: away}, files: &faultnet.Service{Backend: r}, mirror: &faultnet.Service{Backend: r}}
	for _, up := range []*faultnet.Service{s.index, s.files, s.mirror} {
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { up.Close() })
	}
	store, err := cas.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	fetcher := &fetch.Fetcher{
		Limits: fetch.Limits{Dial: time.Second, Header: 2 * time.Second, Idle: 2 * time.Second},
		Base:   leading{ecotest.OriginHost: s.index, filesHost: s.files, ecotest.MirrorHost: s.mirror},
	}
	p := protocol(t, settings(), fetcher.Transport())
	m := &gateway.Mirror{Ecosystem: p, Store: store, Fetcher: fetcher, Upstreams: p.Upstreams}
	m.Start(context.Background())
	srv := httptest.NewServer(m)
	s.gateway = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		m.Close()
		fetcher.CloseIdleConnections()
		store.Close()
	})
	return s
}

// leading leads requests for a host to a service of this machine.
type leading map[string]*faultnet.Service

func (l leading) RoundTrip(r *http.Request) (*http.Response, error) {
	to, ok := l[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("%s: not asked for in this test", r.URL.Host)
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", to.Host()
	return straight.RoundTrip(r)
}

var straight = &http.Transport{DisableCompression: true, Proxy: nil, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}

// pip installs into a folder of its own, with nothing of this machine's settings.
func pip(t testing.TB, s *site, args ...string) (string, error) {
	t.Helper()
	python := testenv.Tool(t, "python3")
	if exec.Command(python, "-m", "pip", "--version").Run() != nil {
		testenv.Need(t, &testenv.Missing{What: "pip", How: "apt-get install python3-pip"})
	}
	dir, home := t.TempDir(), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, append([]string{"-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir", "install",
		"--index-url", s.gateway + pypi.Index, "--retries", "0", "--target", dir, "--no-compile"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("pip: %w\n%s", err, out)
	}
	for _, name := range []string{"left_pad.py", "pad_core.py"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("not installed: %v\n%s", err, out)
		}
	}
	return string(out), nil
}

// Real pip installs by way of the gateway, from an index in either form.
func TestPip(t *testing.T) {
	for _, newer := range []bool{false, true} {
		t.Run(fmt.Sprintf("the newer form: %v", newer), func(t *testing.T) {
			r := projects(t)
			r.json = newer
			if _, err := pip(t, newSite(t, t.TempDir(), r), "left_Pad"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Whatever the index or the host of its files does, pip notices nothing while
// another index has the same.
func TestPipWhileAServiceFails(t *testing.T) {
	index := func(s *site) *faultnet.Service { return s.index }
	files := func(s *site) *faultnet.Service { return s.files }
	for _, tt := range []struct {
		name  string
		of    func(*site) *faultnet.Service
		fault faultnet.Fault
	}{
		{"the index is not there", index, faultnet.Refuse()},
		{"the index is a page", index, faultnet.OKHTML()},
		{"the index is spoiled", index, faultnet.WrongByte()},
		{"files stall", files, faultnet.HangAfter(300)},
		{"the host of the files is out", files, faultnet.Status(503)},
		{"files are spoiled", files, faultnet.WrongByte()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, t.TempDir(), projects(t))
			if err := tt.of(s).Play(faultnet.Always(tt.fault)); err != nil {
				t.Fatal(err)
			}
			out, err := pip(t, s, "left-pad")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out, "WARNING: Retrying") {
				t.Errorf("pip noticed something: %s", out)
			}
		})
	}
}

// What was installed once installs again with everything down.
func TestPipWithEverythingDown(t *testing.T) {
	dir := t.TempDir()
	if _, err := pip(t, newSite(t, dir, projects(t)), "left-pad"); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, dir, projects(t))
	for _, up := range []*faultnet.Service{s.index, s.files, s.mirror} {
		if err := up.Play(faultnet.Always(faultnet.Hang())); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pip(t, s, "left-pad"); err != nil {
		t.Fatal(err)
	}
}
