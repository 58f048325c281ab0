package faultnet_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
)

// start starts s, and closes it when the test ends.
func start(t testing.TB, s *faultnet.Service) *faultnet.Service {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func play(t testing.TB, s *faultnet.Service, script faultnet.Script) {
	t.Helper()
	if err := s.Play(script); err != nil {
		t.Fatal(err)
	}
}

// brief is a client's patience with a real port: nothing that answers on
// loopback needs it, and each fault that is silent costs it once.
const brief = 300 * time.Millisecond

func TestEveryFaultOnAPort(t *testing.T) {
	authority, err := faultnet.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for name, signed := range map[string]*faultnet.Authority{"http": nil, "https": authority} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend), TLS: signed})
			once := s.Client().Transport.(*http.Transport)
			once.DisableKeepAlives = true // net/http asks again by itself where a connection that it kept ends
			for _, tt := range every {
				t.Run(tt.name, func(t *testing.T) {
					play(t, s, faultnet.Always(tt.fault))
					for method, want := range map[string]seen{"GET": tt.get, "HEAD": tt.head} {
						ctx, cancel := context.WithTimeout(t.Context(), brief)
						got := ask(ctx, once, method, s.URL()+"/v2/app/blobs/sha256:1")
						cancel()
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("%s (-want +got):\n%s", method, diff)
						}
					}
					want := 2
					if tt.fault.BeforeRequest() {
						want = 0
					}
					if got := s.Count(faultnet.Blob); got != want {
						t.Errorf("got %d requests in the log, want %d: %v", got, want, s.Log())
					}
				})
			}
		})
	}
}

func TestWhatActsBeforeARequestBecomesWhatCanStillBeDone(t *testing.T) {
	s := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend)})
	for _, tt := range []struct {
		fault faultnet.Fault
		want  fault.Kind
	}{
		{faultnet.Refuse(), fault.Connection},
		{faultnet.DropSYN(), fault.Timeout},
		{faultnet.HangTLS(), fault.Timeout},
	} {
		play(t, s, faultnet.At(faultnet.Blob, tt.fault))
		ctx, cancel := context.WithTimeout(t.Context(), brief)
		if got := ask(ctx, s.Client().Transport, "GET", s.URL()+layerPath); got != (seen{Kind: tt.want}) {
			t.Errorf("%v at a blob: got %v, want %s", tt.fault, got, tt.want)
		}
		cancel()
		if got := ask(t.Context(), s.Client().Transport, "GET", s.URL()+tagPath); got != (seen{"", 200, 1000, true}) {
			t.Errorf("%v at a blob: got %v of a tag, want health", tt.fault, got)
		}
	}
}

func TestDialsMeetThePort(t *testing.T) {
	s := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend)})
	host := s.Host()
	dial := func() error {
		c, err := net.DialTimeout("tcp", host, brief)
		if err == nil {
			c.Close()
		}
		return err
	}
	for _, tt := range []struct {
		fault faultnet.Fault
		good  func(error) bool
	}{
		{faultnet.DropSYN(), func(err error) bool { return err != nil && fault.Of(err) == fault.Timeout }},
		{faultnet.Refuse(), func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{faultnet.DropSYN(), func(err error) bool { return err != nil && fault.Of(err) == fault.Timeout }},
		{faultnet.Hang(), func(err error) bool { return err == nil }},
		{faultnet.Refuse(), func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{faultnet.HangTLS(), func(err error) bool { return err == nil }},
		{faultnet.Fault{}, func(err error) bool { return err == nil }},
	} {
		play(t, s, faultnet.Always(tt.fault))
		for range 2 {
			if err := dial(); !tt.good(err) {
				t.Errorf("%v: got %v from a dial", tt.fault, err)
			}
		}
		if s.Host() != host {
			t.Fatalf("%v: got address %s, want it to stay %s", tt.fault, s.Host(), host)
		}
	}
	if got := ask(t.Context(), s.Client().Transport, "GET", s.URL()+"/x"); got != (seen{"", 200, 1000, true}) {
		t.Errorf("got %v after all, want health", got)
	}
}

func TestAKeptConnectionIsNoWayRoundAPortThatRefuses(t *testing.T) {
	s := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend)})
	for _, f := range []faultnet.Fault{faultnet.Refuse(), faultnet.DropSYN(), faultnet.HangTLS()} {
		play(t, s, nil)
		if got := ask(t.Context(), s.Client().Transport, "GET", s.URL()+"/x"); got.Status != 200 {
			t.Fatalf("got %v, want 200", got)
		}
		play(t, s, faultnet.Always(f))
		ctx, cancel := context.WithTimeout(t.Context(), brief)
		if got := ask(ctx, s.Client().Transport, "GET", s.URL()+"/x"); got.Status != 0 {
			t.Errorf("%v: got %v over a connection from before", f, got)
		}
		if got := s.Count(); got != 0 {
			t.Errorf("%v: got %d requests over a connection from before", f, got)
		}
		cancel()
	}
}

func TestAResetArrivesBehindWhatWasSent(t *testing.T) {
	const size, at = 8 << 20, 6e6
	s := start(t, &faultnet.Service{Script: faultnet.Always(faultnet.ResetAfter(at)), Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		io.Copy(w, io.LimitReader(zeros{}, size))
	})})
	resp, err := s.Client().Get(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, &slowly{r: resp.Body})
	if n != at || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %d bytes and %v, want %d and a reset", n, err, int(at))
	}
}

// slowly reads a little at a time, and yields in between.
type slowly struct{ r io.Reader }

func (s *slowly) Read(p []byte) (int, error) {
	for range 50 {
		runtime.Gosched()
	}
	return s.r.Read(p[:min(len(p), 1<<10)])
}

func TestAWaitingDialArrivesOnceThePortIsWell(t *testing.T) {
	s := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend), Script: faultnet.Always(faultnet.DropSYN())})
	result := make(chan error, 1)
	go func() {
		c, err := net.DialTimeout("tcp", s.Host(), 10*time.Second)
		if err == nil {
			c.Close()
		}
		result <- err
	}()
	select {
	case err := <-result:
		t.Fatalf("got %v from a dial that should wait", err)
	case <-time.After(brief):
	}
	play(t, s, nil)
	if err := <-result; err != nil {
		t.Errorf("got %v, want that the dial arrives with its next try", err)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	s := start(t, &faultnet.Service{})
	second := &faultnet.Service{Listen: s.Host()}
	err := second.Start()
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want that the address is in use", err)
	}
	if err := (&faultnet.Service{Listen: "no port"}).Start(); err == nil {
		t.Error("got no error for an address that is none")
	}
	if err := s.Start(); err == nil {
		t.Error("got no error for a second start")
	}
}

func TestAChosenPortIsHadAgain(t *testing.T) {
	first := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend)})
	host := first.Host()
	ask(t.Context(), first.Client().Transport, "GET", first.URL()+"/x")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, &faultnet.Service{Listen: host, Backend: http.HandlerFunc(backend)})
	if got := ask(t.Context(), again.Client().Transport, "GET", "http://"+host+"/x"); got.Status != 200 {
		t.Errorf("got %v, want 200", got)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "content")
	if err := os.WriteFile(file, content, 0o666); err != nil {
		t.Fatal(err)
	}
	real := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer real.Close()
	before := runtime.NumGoroutine()
	for _, f := range []faultnet.Fault{
		{}, faultnet.Hang(), faultnet.HangAfter(10), faultnet.Drip(1), faultnet.Slow(time.Hour), faultnet.HangTLS(), faultnet.DropSYN(), faultnet.Refuse(),
	} {
		proxy, err := faultnet.NewProxy(real.URL)
		if err != nil {
			t.Fatal(err)
		}
		s := &faultnet.Service{Backend: proxy, Script: faultnet.Always(f)}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{}}
		var ended []chan seen
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		for range 3 {
			done := make(chan seen, 1)
			ended = append(ended, done)
			go func() { done <- ask(ctx, client.Transport, "GET", s.URL()+"/content") }()
		}
		if !f.BeforeRequest() {
			if err := s.Await(ctx, 3); err != nil {
				t.Fatal(err)
			}
		}
		for f == faultnet.HangTLS() && s.Connections() < 3 && ctx.Err() == nil {
			runtime.Gosched()
		}
		if f == faultnet.DropSYN() {
			cancel() // a kernel forgets a dial only when its dialer does
		}
		begun := time.Now()
		if err := s.Close(); err != nil {
			t.Errorf("%v: %v", f, err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%v: closing took %v", f, took)
		}
		for _, done := range ended {
			if got := <-done; !f.IsZero() && got.Kind == fault.None {
				t.Errorf("%v: got %v of a closed service", f, got)
			}
		}
		cancel()
		client.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("%v: closing again: %v", f, err)
		}
		if err := s.Play(nil); err != nil {
			t.Errorf("%v: playing after the end: %v", f, err)
		}
	}
	if got := settle(before); got > before {
		buf := make([]byte, 1<<16)
		t.Errorf("got %d goroutines at the end, %d before:\n%s", got, before, buf[:runtime.Stack(buf, true)])
	}
}

// settle waits until goroutines that have been told to end have ended.
func settle(want int) int {
	got := runtime.NumGoroutine()
	for end := time.Now().Add(5 * time.Second); got > want && time.Now().Before(end); got = runtime.NumGoroutine() {
		runtime.Gosched()
	}
	return got
}

func TestCloseConnectionsLetsHangingClientsGo(t *testing.T) {
	s := start(t, &faultnet.Service{Script: faultnet.Always(faultnet.Hang())})
	done := make(chan seen, 1)
	go func() { done <- ask(t.Context(), s.Client().Transport, "GET", s.URL()+"/x") }()
	if err := s.Await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.CloseConnections()
	if got := <-done; got != (seen{Kind: fault.Connection}) {
		t.Errorf("got %v, want a closed connection", got)
	}
	if got := s.Connections(); got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}

func TestAProxyStandsBeforeARealServer(t *testing.T) {
	var host, rng string
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, rng = r.Host, r.Header.Get("Range")
		backend(w, r)
	}))
	defer real.Close()
	proxy, err := faultnet.NewProxy(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &faultnet.Service{Backend: proxy, Script: faultnet.Script{{Place: faultnet.Blob, On: faultnet.Nth(3), Fault: faultnet.CutAfter(400)}}})
	var got []seen
	for range 4 {
		got = append(got, ask(t.Context(), s.Client().Transport, "GET", s.URL()+layerPath))
	}
	good := seen{"", 200, 1000, true}
	if want := []seen{good, good, {fault.Truncated, 200, 400, true}, good}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if host != s.Host() {
		t.Errorf("got host %q, want the one that the client named, %q", host, s.Host())
	}
	req, _ := http.NewRequest("GET", s.URL()+layerPath, nil)
	req.Header.Set("Range", "bytes=990-")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 206 || len(body) != 10 || rng != "bytes=990-" {
		t.Errorf("got %d with %d bytes, asked for %q; want a range passed on", resp.StatusCode, len(body), rng)
	}
	if got, want := s.Sent(), int64(3410); got != want {
		t.Errorf("got %d bytes sent, want %d", got, want)
	}

	real.Close()
	if got := ask(t.Context(), s.Client().Transport, "GET", s.URL()+layerPath).Status; got != 502 {
		t.Errorf("got %d without the real server, want 502", got)
	}
	for _, bad := range []string{"", "registry.example.com", "ftp://registry.example.com", "http://%"} {
		if _, err := faultnet.NewProxy(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func TestRedirectedBlobs(t *testing.T) {
	cdn := start(t, &faultnet.Service{Backend: http.HandlerFunc(backend)})
	redirect, err := faultnet.RedirectBlobs(cdn.URL()+"/cdn?signature=s", http.HandlerFunc(registry))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &faultnet.Service{Backend: redirect})
	req, _ := http.NewRequest("GET", s.URL()+layerPath, nil)
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); !slices.Equal(body, content) {
		t.Errorf("got %d bytes of %s, want the content", len(body), resp.Request.URL)
	}
	if got := resp.Request.URL.String(); got != cdn.URL()+"/cdn"+layerPath+"?signature=s" {
		t.Errorf("got redirected to %s", got)
	}
	if log := s.Log(); len(log) != 1 || log[0].Status != 307 || log[0].Authorization() != "Bearer secret" {
		t.Errorf("got %v, want one redirect of a request with a credential", log)
	}
	if log := cdn.Log(); len(log) != 1 || log[0].Query != "signature=s" {
		t.Errorf("got %v, want one request with the signature", log)
	}
	if got := ask(t.Context(), s.Client().Transport, "GET", s.URL()+tagPath).Status; got != 200 {
		t.Errorf("got %d for a tag, want 200", got)
	}
}

func TestRate(t *testing.T) {
	const size, rate = 2 << 20, 10 << 20
	s := start(t, &faultnet.Service{Rate: rate, Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, io.LimitReader(zeros{}, size))
	})})
	begun := time.Now()
	resp, err := s.Client().Get(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if n != size || err != nil {
		t.Fatalf("got %d bytes and %v, want %d", n, err, size)
	}
	// A loaded machine is slower; nothing is faster than the limit and what it
	// lets catch up.
	if took := time.Since(begun); took < 170*time.Millisecond {
		t.Errorf("got 2 MiB in %v at 10 MiB/s, want about 200ms", took)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAnAuthorityVouchesForEveryName(t *testing.T) {
	authority, err := faultnet.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &faultnet.Service{TLS: authority, Backend: http.HandlerFunc(backend)})
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") || !strings.Contains(string(authority.PEM()), "BEGIN CERTIFICATE") {
		t.Errorf("got address %s and certificate %s", s.URL(), authority.PEM())
	}
	to := func(config *tls.Config) *http.Transport {
		return &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Host())
		}}
	}
	for _, name := range []string{"registry.example.com", "127.0.0.1", "localhost"} {
		if got := ask(t.Context(), to(&tls.Config{RootCAs: authority.Pool()}), "GET", "https://"+name+"/x"); got.Status != 200 {
			t.Errorf("%s: got %v, want 200", name, got)
		}
	}
	if got := ask(t.Context(), to(nil), "GET", "https://registry.example.com/x"); got != (seen{Kind: fault.TLS}) {
		t.Errorf("got %v without the authority's certificate, want %s", got, fault.TLS)
	}
}
