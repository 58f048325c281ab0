package faultnet

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Transport is an http.RoundTripper whose far end is a handler that fails by
// script. It opens no socket: requests go over connections in memory, one for
// each, between net/http's own client and server, so that everything a client
// sees is net/http's doing and everything that takes time runs on the clock of
// the testing/synctest bubble that it is used in.
//
// It serves http and https addresses of every host alike, without a handshake;
// see [Hosts] for several services. All methods may be called at once from many
// places. A body must be closed, or its request cancelled, as with any
// http.RoundTripper.
type Transport struct {
	Backend http.Handler // answers where no fault does; nil answers 404
	Script  Script       // to begin with; Play changes it
	Configs *Configs     // what is known of configurations; nil starts with nothing

	stage
	once   sync.Once
	server *http.Server

	connMu sync.Mutex
	conns  map[*memoryConn]bool
	closed bool
}

// Play begins a new script. Log and counts begin anew too; requests under way
// go on as they began, and are written down no more.
func (t *Transport) Play(script Script) { t.play(script) }

// RoundTrip is http.RoundTripper's.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.prepare(t.Backend, t.Script, t.Configs)
	t.once.Do(func() {
		t.server = newServer(http.HandlerFunc(t.serve))
		t.server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, wireKey{}, c)
		}
		t.server.ConnState = func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				t.forget(c.(*memoryConn))
			}
		}
	})
	e := t.begin(req)
	if how := e.request.Fault.how; how != nil && how.dial != nil {
		defer e.finish()
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, how.dial(&caller{req.Context()})
	}
	dial := func(context.Context, string, string) (net.Conn, error) { return t.connect(e) }
	once := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true, DisableCompression: true}
	resp, err := once.RoundTrip(req)
	if err != nil {
		e.finish()
	}
	return resp, err
}

func (t *Transport) connect(e *entry) (net.Conn, error) {
	t.connMu.Lock()
	defer t.connMu.Unlock()
	if t.closed {
		return nil, dialError(syscall.ECONNREFUSED)
	}
	client, server := memoryPipe()
	server.entry = e
	if t.conns == nil {
		t.conns = make(map[*memoryConn]bool)
	}
	t.conns[server] = true
	go t.server.Serve(&oneConn{server})
	return client, nil
}

func (t *Transport) forget(c *memoryConn) {
	t.connMu.Lock()
	defer t.connMu.Unlock()
	delete(t.conns, c)
}

func (t *Transport) serve(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(wireKey{}).(*memoryConn)
	t.perform(w, r, c.entry, c)
}

// CloseConnections ends every connection, and with it whatever hangs.
func (t *Transport) CloseConnections() {
	t.connMu.Lock()
	defer t.connMu.Unlock()
	for c := range t.conns {
		c.Close()
	}
}

// Close ends every connection, and refuses what comes later. It need not be
// called where every request has ended. It returns nil.
func (t *Transport) Close() error {
	t.connMu.Lock()
	t.closed = true
	t.connMu.Unlock()
	t.CloseConnections()
	return nil
}

// wireKey is under which a request's context has its wire.
type wireKey struct{}

// newServer is the server on which both a Service and a Transport stand.
func newServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // faults end connections, and one of HTTP/2 is many requests
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
		MaxHeaderBytes:    1 << 20,
	}
}

// A caller is who dials where no listener is.
type caller struct{ ctx context.Context }

func (c *caller) refused() error { return dialError(syscall.ECONNREFUSED) }

// synTimeout is when Linux gives up on a dial by default: six tries, each
// waiting twice as long, from one second.
const synTimeout = 127 * time.Second

func (c *caller) unanswered() error {
	timer := time.NewTimer(synTimeout)
	defer timer.Stop()
	select {
	case <-timer.C:
		return dialError(syscall.ETIMEDOUT)
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *caller) stuck() error {
	<-c.ctx.Done()
	return context.Cause(c.ctx)
}

func dialError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

// Hosts routes requests by the host of their address, host:port first, then
// the host alone. A host that is not in it does not resolve.
type Hosts map[string]http.RoundTripper

// RoundTrip is http.RoundTripper's.
func (h Hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	for _, name := range []string{req.URL.Host, req.URL.Hostname()} {
		if t, ok := h[name]; ok {
			return t.RoundTrip(req)
		}
	}
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: req.URL.Hostname(), IsNotFound: true}}
}
