package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/outlast-build/outlast/internal/testenv/images"
)

// A process that Isolate started has no way out but a socket, which is a path
// and so no part of the network: behind it a child, started before the network
// was left, asks the package registries that this machine is configured for.
const (
	relaySocket = "TESTENV_OUTSIDE"       // the socket, for those inside
	relayServes = "TESTENV_OUTSIDE_SERVE" // the socket, for the child
	relayTarget = "X-Testenv-Outside"     // the address that is asked for
)

// Outside carries requests to the package registries that this machine is
// configured for, and to no other host: what GOPROXY and GOSUMDB, npm's registry
// and apt's sources name. It only reads.
var Outside http.RoundTripper = outside{}

type outside struct{}

// RoundTrip is http.RoundTripper's.
func (outside) RoundTrip(r *http.Request) (*http.Response, error) {
	socket := os.Getenv(relaySocket)
	if socket == "" {
		return direct.RoundTrip(r)
	}
	inner := r.Clone(r.Context())
	inner.Header.Set(relayTarget, r.URL.String())
	inner.URL = &url.URL{Scheme: "http", Host: "outside", Path: "/"}
	inner.Host = ""
	return toRelay(socket).RoundTrip(inner)
}

var toRelay = func() func(string) http.RoundTripper {
	var once sync.Once
	var t *http.Transport
	return func(socket string) http.RoundTripper {
		once.Do(func() {
			t = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			}}
		})
		return t
	}
}()

// direct asks the registries themselves.
var direct http.RoundTripper = allowed{&http.Transport{
	Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxConnsPerHost: 16,
	TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
}}

// allowed lets only reading through, and only from Registries.
type allowed struct{ next http.RoundTripper }

func (a allowed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, fmt.Errorf("outside: %s: only reading is allowed", r.Method)
	}
	if r.URL.User != nil || !slices.ContainsFunc(registries(), func(u *url.URL) bool { return u.Scheme == r.URL.Scheme && u.Host == r.URL.Host }) {
		return nil, fmt.Errorf("outside: %s is no registry that this machine is configured for", r.URL.Host)
	}
	return a.next.RoundTrip(r)
}

// OutsideBackend answers what it is asked from the registry at base, one of
// those that this machine is configured for: it stands behind a faultnet.Service.
func OutsideBackend(base string) (http.Handler, error) {
	target, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: Outside,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
		},
	}, nil
}

// GoProxy returns the address of the first module proxy that the go command is
// configured for, or a *Missing.
func GoProxy() (string, error) {
	out, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		return "", &Missing{"the go command", ""}
	}
	for one := range strings.FieldsFuncSeq(string(out), func(r rune) bool { return strings.ContainsRune(",|\n", r) }) {
		if strings.HasPrefix(one, "http") {
			return one, nil
		}
	}
	return "", &Missing{"a Go module proxy in GOPROXY", ""}
}

// GoSumDB returns what the go command is configured for as GOSUMDB, or a *Missing.
func GoSumDB() (string, error) {
	out, err := exec.Command("go", "env", "GOSUMDB").Output()
	value := strings.TrimSpace(string(out))
	if err != nil || value == "" || value == "off" {
		return "", &Missing{"a checksum database in GOSUMDB", ""}
	}
	return value, nil
}

// NPMRegistry returns the address that npm is configured for, or a *Missing.
func NPMRegistry() (string, error) {
	out, err := exec.Command("npm", "config", "get", "registry").Output()
	if value := strings.TrimSpace(string(out)); err == nil && strings.HasPrefix(value, "http") {
		return value, nil
	}
	return "", &Missing{"npm, with a registry", "apt-get install npm"}
}

// AptSource returns where apt gets this machine's release from, or a *Missing.
func AptSource() (images.AptSource, error) {
	suite, err := images.AptSuite()
	if err != nil {
		return images.AptSource{}, &Missing{err.Error(), ""}
	}
	for _, s := range images.AptSources() {
		if s.Suite == suite && slices.Contains(s.Components, "main") && strings.HasPrefix(s.Mirror, "http") {
			return s, nil
		}
	}
	return images.AptSource{}, &Missing{"apt's sources with " + suite, ""}
}

// registries are the addresses that may be asked.
var registries = sync.OnceValue(func() []*url.URL {
	var all []*url.URL
	add := func(address string, err error) {
		if u, perr := url.Parse(address); err == nil && perr == nil && u.Host != "" {
			all = append(all, u)
		}
	}
	add(GoProxy())
	if value, err := GoSumDB(); err == nil {
		fields := strings.Fields(value)
		name, _, _ := strings.Cut(fields[0], "+")
		add("https://"+name, nil)
		if len(fields) > 1 {
			add(fields[1], nil)
		}
	}
	add(NPMRegistry())
	for _, s := range images.AptSources() {
		add(s.Mirror, nil)
	}
	return all
})

// startRelay starts the child that goes on where this process came from, and
// names its socket in the environment. It must be called from a thread that
// lives on: the child dies with it.
func startRelay() error {
	dir, err := os.MkdirTemp("", "testenv-outside-")
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "socket")
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), relayServes+"="+socket)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	ready, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the relay to the outside: %w", err)
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("start the relay to the outside: %w", err)
	}
	return os.Setenv(relaySocket, socket)
}

// serveRelay is the child. It never returns.
func serveRelay(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: &httputil.ReverseProxy{
			Transport: direct,
			ErrorLog:  log.New(io.Discard, "", 0),
			Rewrite: func(r *httputil.ProxyRequest) {
				target, err := url.Parse(r.In.Header.Get(relayTarget))
				if err != nil {
					target = new(url.URL) // is allowed nowhere
				}
				r.Out.Header.Del(relayTarget)
				r.Out.URL, r.Out.Host = target, target.Host
			},
			ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
				http.Error(w, err.Error(), http.StatusBadGateway)
			},
		},
	}
	if _, err := os.Stdout.Write([]byte{'\n'}); err != nil {
		return err
	}
	return errors.Join(srv.Serve(l), os.RemoveAll(filepath.Dir(socket)))
}
