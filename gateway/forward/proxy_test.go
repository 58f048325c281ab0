package forward_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway/forward"
	"github.com/outlast-build/outlast/internal/httpx"
	"github.com/outlast-build/outlast/internal/testenv"
)

// Names lead nowhere in a network of the tests' own.
func TestMain(m *testing.M) { testenv.Main(m) }

// start serves a proxy whose guard knows the hosts, and returns its address.
func start(t *testing.T, p *forward.Proxy, named ...string) string {
	t.Helper()
	guard := forward.Guard{Hosts: named}
	if p.Fetcher == nil {
		p.Fetcher = &fetch.Fetcher{Permit: guard.Permit}
	}
	p.Targets = guard.Hosts
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpx.NewServer(p, nil)
	go server.Serve(l)
	t.Cleanup(func() { server.Close(); p.Fetcher.CloseIdleConnections() })
	return l.Addr().String()
}

// through is a client that asks the proxy.
func through(address string) *http.Client {
	at, _ := url.Parse("http://" + address)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: func(*http.Request) (*url.URL, error) { return at, nil }},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// raw sends bytes and returns the answers that come.
func raw(t *testing.T, address, text string) []*http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// The last request ends the connection, once all before it are answered.
	if _, err := io.WriteString(conn, text+"GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var all []*http.Response
	r := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return all
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		all = append(all, resp)
	}
}

func TestPlainHTTP(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		w.Header().Set("X-Origin", "yes")
		fmt.Fprint(w, "hello "+r.URL.String())
	}))
	t.Cleanup(origin.Close)
	host := strings.TrimPrefix(origin.URL, "http://")
	address := start(t, new(forward.Proxy), host)
	all := raw(t, address, "GET http://"+host+"/a%2Fb?q=1 HTTP/1.1\r\nHost: elsewhere.example.com\r\n"+
		"Connection: X-Hop\r\nX-Hop: 1\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n")
	if len(all) != 2 || all[0].StatusCode != http.StatusOK || all[0].Header.Get("X-Origin") != "yes" {
		t.Fatalf("got %+v", all)
	}
	r := seen.Load()
	if got := r.URL.String(); got != "/a%2Fb?q=1" {
		t.Errorf("the origin was asked for %s", got)
	}
	if r.Host != host {
		t.Errorf("the origin was asked as %s, want the host of the address", r.Host)
	}
	for _, h := range []string{"X-Hop", "Proxy-Authorization", "X-Forwarded-For"} {
		if r.Header.Get(h) != "" {
			t.Errorf("%s was handed on", h)
		}
	}
}

func TestARequestIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := &faultnet.Transport{Backend: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "well") })}
		defer wire.Close()
		p := &forward.Proxy{Fetcher: &fetch.Fetcher{Base: faultnet.Hosts{"host.example.com": wire}}}
		for _, tt := range []struct {
			name, method string
			script       faultnet.Script
			want         int
		}{
			{"after refused connections", http.MethodGet, faultnet.Script{{On: faultnet.First(2), Fault: faultnet.Refuse()}}, 200},
			{"after 503", http.MethodGet, faultnet.Script{{On: faultnet.First(3), Fault: faultnet.Status(503)}}, 200},
			{"not for ever", http.MethodGet, faultnet.Always(faultnet.Status(503)), 503},
			{"not what may have been done", http.MethodPost, faultnet.Script{{On: faultnet.First(1), Fault: faultnet.Status(503)}}, 503},
		} {
			wire.Play(tt.script)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest(tt.method, "http://host.example.com/", nil))
			if w.Code != tt.want {
				t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.want)
			}
		}
	})
}

func TestAPrivateHostIsRefused(t *testing.T) {
	var hits atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(origin.Close)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(origin.URL, "http://"))
	address := start(t, new(forward.Proxy))
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"} {
		for _, request := range []string{
			"GET http://" + host + ":" + port + "/ HTTP/1.1\r\nHost: public.example.com\r\n\r\n",
			"CONNECT " + host + ":" + port + " HTTP/1.1\r\nHost: public.example.com:443\r\n\r\n",
			"CONNECT " + host + ":443 HTTP/1.1\r\nHost: public.example.com:443\r\n\r\n",
		} {
			for _, resp := range raw(t, address, request) {
				if resp.StatusCode < 400 {
					t.Errorf("%q: got %s", request, resp.Status)
				}
			}
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("the private host got %d requests", n)
	}
}

// A redirect is the client's to follow: it comes back to the proxy, which
// refuses it like any other request.
func TestARedirectLeadsNowherePrivate(t *testing.T) {
	var hits atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(inner.Close)
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusFound))
	t.Cleanup(outer.Close)
	client := through(start(t, new(forward.Proxy), strings.TrimPrefix(outer.URL, "http://")))
	resp, err := client.Get(outer.URL)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("got %v, %v", resp, err)
	}
	resp.Body.Close()
	resp, err = client.Get(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusForbidden || hits.Load() > 0 {
		t.Errorf("got %v, %v and %d requests", resp, err, hits.Load())
	}
	resp.Body.Close()
}

// A name that is public when it is looked up first, and private the second
// time, gets one look-up: the address that was judged is the one dialled.
func TestAnAddressIsJudgedWhenItIsDialled(t *testing.T) {
	asked := make(map[string]int)
	f := &fetch.Fetcher{Permit: func(host string, a netip.Addr) error {
		asked[host]++
		return forward.Guard{}.Permit(host, a)
	}}
	if conn, err := f.Dial(t.Context(), "localhost:1"); err == nil {
		conn.Close()
		t.Error("a connection stands")
	} else if !strings.Contains(err.Error(), "no public address") {
		t.Errorf("got %v, want that it was refused before it was tried", err)
	}
	if len(asked) != 1 || asked["localhost:1"] == 0 {
		t.Errorf("judged: %v", asked)
	}
}

func TestTunnels(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
	address := start(t, new(forward.Proxy), l.Addr().String())
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The first bytes of the tunnel may come with the request.
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\nearly ", l.Addr())
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", resp, err)
	}
	fmt.Fprint(conn, "and late")
	conn.(*net.TCPConn).CloseWrite()
	if echo, err := io.ReadAll(r); string(echo) != "early and late" || err != nil {
		t.Errorf("got %q, %v", echo, err)
	}
}

func TestOddRequests(t *testing.T) {
	var hits atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		hits.Add(1)
	}))
	t.Cleanup(origin.Close)
	host := strings.TrimPrefix(origin.URL, "http://")
	address := start(t, new(forward.Proxy), host)
	huge := strings.Repeat("x", 200<<10)
	for _, tt := range []struct {
		name, request string
		most          int64 // requests that may reach the origin
	}{
		{"two lengths", "POST http://" + host + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 60\r\n\r\nabcGET http://" + host + "/smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"a length and chunks", "POST http://" + host + "/ HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 1},
		{"a strange coding", "POST http://" + host + "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0},
		{"a coding behind a blank", "POST http://" + host + "/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 0},
		{"no host", "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"a login in the address", "GET http://user@" + host + "/ HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"another scheme", "GET https://" + host + "/ HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"a file", "GET file:///etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"a change of protocol", "GET http://" + host + "/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0},
		{"a huge head", "GET http://" + host + "/ HTTP/1.1\r\nHost: h\r\nX: " + huge + "\r\n\r\n", 0},
		{"a tunnel to another port", "CONNECT public.example.com:25 HTTP/1.1\r\nHost: h\r\n\r\n", 0},
		{"a tunnel without a port", "CONNECT public.example.com HTTP/1.1\r\nHost: h\r\n\r\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := hits.Load()
			for i, resp := range raw(t, address, tt.request) {
				if i == 0 && tt.most == 0 && resp.StatusCode < 400 {
					t.Errorf("got %s", resp.Status)
				}
			}
			if n := hits.Load() - before; n > tt.most {
				t.Errorf("%d requests reached the origin, want at most %d", n, tt.most)
			}
		})
	}
}

func TestOffline(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody was asked") }))
	t.Cleanup(far.Close)
	host := strings.TrimPrefix(far.URL, "http://")
	files := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "kept") })
	p := &forward.Proxy{Offline: true, Files: files, Takes: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".deb") }}
	address := start(t, p, host)
	got := raw(t, address, "GET http://"+host+"/x HTTP/1.1\r\nHost: h\r\n\r\nGET http://"+host+"/x.deb HTTP/1.1\r\nHost: h\r\n\r\n")
	if len(got) < 2 || got[0].StatusCode != http.StatusForbidden || got[1].StatusCode != http.StatusOK {
		t.Errorf("got %v, want 403 and 200", got)
	}
	if got := raw(t, address, "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); len(got) == 0 || got[0].StatusCode != http.StatusForbidden {
		t.Errorf("a tunnel: got %v, want 403", got)
	}
}
