package fetch_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// short limits: these tests are on real sockets, in real time.
var short = fetch.Limits{Dial: 500 * time.Millisecond, Header: time.Second, Idle: time.Second}

func service(t *testing.T, s *faultnet.Service) *faultnet.Service {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRealSockets(t *testing.T) {
	authority, err := faultnet.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		fault faultnet.Fault
		tls   *faultnet.Authority
		kind  fault.Kind
		text  string
	}{
		{"refused", faultnet.Refuse(), nil, fault.Connection, "connection refused"},
		{"SYN dropped", faultnet.DropSYN(), nil, fault.Timeout, "no connection within 500ms"},
		{"no head", faultnet.Hang(), nil, fault.Timeout, "no answer within 1s"},
		{"no handshake", faultnet.HangTLS(), authority, fault.Timeout, ""},
		{"a certificate of nobody", faultnet.Fault{}, authority, fault.TLS, "certificate"},
		{"reset", faultnet.Reset(), nil, fault.Connection, "reset"},
		{"reset in the body", faultnet.ResetAfter(10), nil, fault.Connection, "reset"},
		{"silence in the body", faultnet.HangAfter(10), nil, fault.Timeout, "nothing received for 1s"},
		{"cut in the body", faultnet.CutAfter(10), nil, fault.Truncated, "unexpected EOF"},
		{"closed without an answer", faultnet.NoAnswer(), nil, fault.Connection, "EOF"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := service(t, &faultnet.Service{Backend: text(good), Script: faultnet.Always(row.fault), TLS: row.tls})
			f := &fetch.Fetcher{Limits: short, Budget: &fetch.Budget{Wait: -1}}
			defer f.CloseIdleConnections()
			start := time.Now()
			_, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: s.Host(), URL: s.URL() + "/x?sig=secret"}}})
			if fault.Of(err) != row.kind || !strings.Contains(err.Error(), row.text) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want kind %s with %q", err, row.kind, row.text)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %v, want the limit to hold", took)
			}
		})
	}
}

// A name with several addresses, the first of which lead nowhere.
func TestSeveralAddresses(t *testing.T) {
	s := service(t, &faultnet.Service{Listen: "127.0.0.5:0", Backend: text(good)})
	_, port, _ := net.SplitHostPort(s.Host())
	service(t, &faultnet.Service{Listen: "127.0.0.4:" + port, Script: faultnet.Always(faultnet.DropSYN())})
	dns := &faultnet.DNS{Names: map[string][]netip.Addr{"many.example": {
		netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.4"), netip.MustParseAddr("127.0.0.5")}}}
	if err := dns.Start(); err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	f := &fetch.Fetcher{Resolver: dns.Resolver()}
	defer f.CloseIdleConnections()
	got, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "many", URL: "http://many.example:" + port + "/x"}}})
	if err != nil || string(got.Body) != good {
		t.Errorf("got %q, %v; want the answer of the address that is well", got.Body, err)
	}
}

func TestNames(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault faultnet.DNSFault
		text  string
	}{
		{"the name is unknown", faultnet.NXDOMAIN(), "no such host"},
		{"the server fails", faultnet.SERVFAIL(), ""},
		{"the server is silent", faultnet.DNSSilence(), "no connection within 500ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dns := &faultnet.DNS{Script: faultnet.DNSScript{{Fault: row.fault}}}
			if err := dns.Start(); err != nil {
				t.Fatal(err)
			}
			defer dns.Close()
			f := &fetch.Fetcher{Resolver: dns.Resolver(), Limits: short, Budget: &fetch.Budget{Wait: -1}}
			_, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: "http://a.example/x"}}})
			if fault.Of(err) != fault.DNS || !strings.Contains(err.Error(), row.text) || !strings.Contains(err.Error(), "a.example") {
				t.Errorf("got %v, want kind %s with %q", err, fault.DNS, row.text)
			}
		})
	}
}

// What is compressed on its way arrives as it was sent: its digest is made of it.
func TestCompressionIsLeftAlone(t *testing.T) {
	var packed strings.Builder
	z := gzip.NewWriter(&packed)
	io.WriteString(z, good)
	z.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := r.Header.Get("Accept-Encoding"); e != "identity" {
			t.Errorf("got Accept-Encoding %q, want identity", e)
		}
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, packed.String())
	}))
	defer s.Close()
	f := new(fetch.Fetcher)
	defer f.CloseIdleConnections()
	got, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Digest: digestOf(packed.String()), Sources: []fetch.Source{{Endpoint: "a", URL: s.URL}}})
	if err != nil || string(got.Body) != packed.String() {
		t.Errorf("got %d bytes, %v; want the %d that were sent", len(got.Body), err, packed.Len())
	}
}

// A connection that was kept open and has died meanwhile is no failure of its
// service: the request goes out again on a new one.
func TestAStaleConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var conns atomic.Int32
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
				http.ReadRequest(r) // takes the next request, and is gone
			}()
		}
	}()
	var failed atomic.Int32
	f := &fetch.Fetcher{OnTry: func(t fetch.Try) {
		if t.Kind != fault.None {
			failed.Add(1)
		}
	}}
	defer f.CloseIdleConnections()
	for range 5 {
		if _, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: "http://" + ln.Addr().String()}}}); err != nil {
			t.Error(err)
		}
	}
	if failed.Load() != 0 || conns.Load() < 5 {
		t.Errorf("got %d failures on %d connections, want none, on one each", failed.Load(), conns.Load())
	}
}

// A body that ends with its connection does not tell whether it is complete:
// the digest does.
func TestABodyThatEndsWithItsConnection(t *testing.T) {
	want := content(100_000)
	for _, n := range []int{len(want), 40_000} {
		var ranged atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				ranged.Add(1)
				blob(want).ServeHTTP(w, r)
				return
			}
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n")
			c.Write(want[:n])
		}))
		f := &fetch.Fetcher{Jitter: func() float64 { return 0 }}
		m := new(memory)
		ask := fetch.Ask{Name: "it", Digest: digestOf(string(want)), Sources: []fetch.Source{{Endpoint: "a", URL: s.URL}}}
		if _, err := f.Spool(t.Context(), ask, m); err != nil || !bytes.Equal(m.data, want) || m.twice != 0 {
			t.Errorf("got %d bytes (%d twice), %v; want the content", len(m.data), m.twice, err)
		}
		if got, more := ranged.Load() == 1, n < len(want); got != more {
			t.Errorf("%d bytes came first: was the rest asked for? got %t, want %t", n, got, more)
		}
		f.CloseIdleConnections()
		s.Close()
	}
}

// A source that was read to its end is asked again on the same connection.
func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			http.NotFound(w, r)
			return
		}
		text(good).ServeHTTP(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	f := new(fetch.Fetcher)
	defer f.CloseIdleConnections()
	for range 5 {
		for _, path := range []string{"/", "/none"} {
			_, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: s.URL + path}}})
			if err != nil && fault.Of(err) != fault.NotFound {
				t.Fatal(err)
			}
		}
		f.Spool(t.Context(), fetch.Ask{Name: "it", Digest: digestOf(good), Sources: []fetch.Source{{Endpoint: "a", URL: s.URL}}}, new(memory))
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("got %d connections for 15 requests one after the other, want 1", got)
	}
}

func TestHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	f := new(fetch.Fetcher)
	transport := f.Transport().(*http.Transport)
	transport.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	transport.TLSClientConfig.NextProtos = nil
	defer f.CloseIdleConnections()
	got, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: s.URL}}})
	if err != nil || string(got.Body) != "HTTP/2.0" {
		t.Errorf("got %q, %v; want HTTP/2.0", got.Body, err)
	}
}

func TestTransportHasLimits(t *testing.T) {
	s := service(t, &faultnet.Service{Script: faultnet.Always(faultnet.Hang())})
	f := &fetch.Fetcher{Limits: short}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL(), nil)
	start := time.Now()
	resp, err := f.Transport().RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	if fault.Of(err) != fault.Timeout || time.Since(start) > 2*time.Second {
		t.Errorf("got %v after %v, want a timeout", err, time.Since(start))
	}
	if errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want no cancel", err)
	}
}
