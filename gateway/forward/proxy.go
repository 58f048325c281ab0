// Package forward is a proxy for what speaks no protocol of the gateway: plain
// HTTP, asked again where a try fails before its first byte, and tunnels, whose
// connection is tried at every address of a name and again. It never connects
// to where its Guard does not let it, whatever a name resolves to, and keeps
// nothing.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// A Proxy is a forward proxy. Its fields must not change after the first
// request; it may serve many at once.
type Proxy struct {
	// Fetcher connects, within its limits and under its Permit. Never nil.
	Fetcher *fetch.Fetcher

	// Targets are those that tunnels may lead to besides port 443 of any
	// host: HOST:PORT.
	Targets []string

	// Files, if not nil, is handed the requests that Takes says yes to, in
	// their absolute form: an ecosystem of the gateway.
	Files http.Handler
	Takes func(*http.Request) bool

	// Offline refuses all else: nobody is connected to, and no name is looked up.
	Offline bool
}

// tries is how often a request that repeats nothing is made: with waits of up
// to 1, 2 and 4 s between, a service that starts anew is back.
const tries = 4

// Is reports whether a request is one to a proxy, and none to a server.
func Is(r *http.Request) bool { return r.Method == http.MethodConnect || r.URL.IsAbs() }

// ServeHTTP answers what Is is true of.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch files := p.Files != nil && p.Takes(r); {
	case p.Offline && !files:
		http.Error(w, fmt.Sprintf("%.200q is not asked for anything: the build is offline", r.URL.Host), http.StatusForbidden)
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.Scheme != "http" || r.URL.Host == "" || r.URL.User != nil:
		http.Error(w, "the proxy takes http://HOST addresses without a login, and CONNECT for others", http.StatusBadRequest)
	case files:
		p.Files.ServeHTTP(w, r)
	default:
		p.pass(w, r)
	}
}

// pass hands a request on as it is.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		http.Error(w, "the proxy does not change protocols", http.StatusNotImplemented)
		return
	}
	proxy := httputil.ReverseProxy{
		// The host that is asked is that of the address, whatever Host says
		// (RFC 9112, section 3.2.2).
		Rewrite:   func(pr *httputil.ProxyRequest) { pr.Out.Host = pr.Out.URL.Host },
		Transport: again{p.Fetcher.Transport()},
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), statusOf(err))
		},
	}
	defer func() {
		// The way to end an answer that has begun, and one without a client.
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	proxy.ServeHTTP(w, r)
}

func statusOf(err error) int {
	if fault.Of(err) == fault.Config {
		return http.StatusForbidden
	}
	return http.StatusBadGateway
}

// again makes requests that repeat nothing more than once.
type again struct{ next http.RoundTripper }

// RoundTrip is http.RoundTripper's.
func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
		return a.next.RoundTrip(r)
	}
	for n := 1; ; n++ {
		resp, err := a.next.RoundTrip(r)
		if n == tries || !worthAnother(resp, err) {
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		if !sleep(r.Context(), n) {
			return nil, context.Cause(r.Context())
		}
	}
}

func worthAnother(resp *http.Response, err error) bool {
	if err != nil {
		return fault.Of(err).Action() == fault.Retry
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func sleep(ctx context.Context, failures int) bool {
	wait := time.NewTimer(backoff.Policy{}.Wait(failures, rand.Float64(), 0))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tunnel connects a client with HOST:PORT.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	if err := p.allowed(r.Host); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	far, err := p.connect(r.Context(), r.Host)
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "no tunnel over this connection", http.StatusHTTPVersionNotSupported)
		return
	}
	defer near.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	join(near, buffered, far)
}

func (p *Proxy) allowed(target string) error {
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" {
		return fmt.Errorf("%.200q is no HOST:PORT", target)
	}
	if port == "443" || slices.Contains(p.Targets, strings.ToLower(target)) {
		return nil
	}
	return fmt.Errorf("tunnels lead to port 443, not to %s of %s", port, host)
}

func (p *Proxy) connect(ctx context.Context, target string) (net.Conn, error) {
	for n := 1; ; n++ {
		conn, err := p.Fetcher.Dial(ctx, strings.ToLower(target))
		if err == nil || n == tries || fault.Of(err).Action() != fault.Retry {
			return conn, err
		}
		if !sleep(ctx, n) {
			return nil, context.Cause(ctx)
		}
	}
}

// silence is how long a tunnel may carry nothing.
const silence = 10 * time.Minute

// join carries bytes both ways until both ends have ended, or one breaks.
func join(near net.Conn, sent io.Reader, far net.Conn) {
	done := make(chan error, 2)
	go func() { done <- carry(far, sent, near) }()
	go func() { done <- carry(near, far, far) }()
	if err := <-done; err != nil && !errors.Is(err, io.EOF) {
		near.Close()
		far.Close()
	}
	<-done
}

// carry copies what comes from a connection, then says that it has ended.
func carry(to net.Conn, from io.Reader, source net.Conn) error {
	buffer := make([]byte, 32<<10)
	for {
		if err := source.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		n, err := from.Read(buffer)
		if n > 0 {
			if werr := to.SetWriteDeadline(time.Now().Add(silence)); werr != nil {
				return werr
			}
			if _, werr := to.Write(buffer[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				return half.CloseWrite()
			}
			return err
		}
		if err != nil {
			return err
		}
	}
}
