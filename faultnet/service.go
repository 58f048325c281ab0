package faultnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Service is a fake service on a port of this machine: a backend, and before
// it a script of what goes wrong. Its fields are set before Start. All methods
// may be called at once from many places.
type Service struct {
	Listen  string       // host:port; empty means a free port of 127.0.0.1
	Backend http.Handler // answers where no fault does; nil answers 404. Close closes its idle connections, as those of a Proxy
	Script  Script       // to begin with; Play changes it
	Configs *Configs     // what is known of configurations; nil starts with nothing
	TLS     *Authority   // who signs the service's certificate; nil serves plain HTTP
	Rate    int64        // bytes a second that one connection sends at most; 0 is no limit

	stage

	portMu  sync.Mutex // held while the port changes hands
	started bool
	closed  bool
	addr    string        // host:port once it is known
	mode    *how          // nil while requests are served
	port    *port         // reserved, and not listening
	ln      net.Listener  // accepting
	loop    chan struct{} // closed when the accepting has ended
	fillers []net.Conn    // what fills the queue of a port that drops

	server *http.Server
	cancel context.CancelFunc
	client *http.Client

	connMu sync.Mutex
	conns  map[*socket]bool
	total  int
	alive  sync.WaitGroup // goroutines of connections
}

// closeLimit is how long Close waits for the handlers of a backend.
const closeLimit = 10 * time.Second

// Start takes the port and begins to serve. The caller closes s, unless there
// was an error.
func (s *Service) Start() error {
	s.portMu.Lock()
	defer s.portMu.Unlock()
	if s.started {
		return errors.New("start fake service: it was started before")
	}
	s.prepare(s.Backend, s.Script, s.Configs)
	var base context.Context
	base, s.cancel = context.WithCancel(context.Background())
	s.server = newServer(http.HandlerFunc(s.serve))
	s.server.BaseContext = func(net.Listener) context.Context { return base }
	s.server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		return context.WithValue(ctx, wireKey{}, c)
	}
	s.server.ConnState = s.connState
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS.clientConfig()}}
	s.addr = s.Listen
	if s.addr == "" {
		s.addr = "127.0.0.1:0"
	}
	if err := s.takeLocked(s.currentScript()); err != nil {
		s.cancel()
		return fmt.Errorf("start fake service: %w", err)
	}
	s.started = true
	return nil
}

func (s *Service) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.alive.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.alive.Done()
	}
}

// Host is the host:port that s listens on, or would if the script let it.
func (s *Service) Host() string {
	s.portMu.Lock()
	defer s.portMu.Unlock()
	return s.addr
}

// URL is the base address of s, without a slash at its end.
func (s *Service) URL() string {
	if s.TLS != nil {
		return "https://" + s.Host()
	}
	return "http://" + s.Host()
}

// Client returns a client that trusts s, after Start. Close closes its idle connections.
func (s *Service) Client() *http.Client { return s.client }

// Play begins a new script. Log and counts begin anew too; requests under way
// go on as they began, and are written down no more. Where the script takes
// the whole of s or gives it back, every connection ends. The error says that
// the port could not be had again.
func (s *Service) Play(script Script) error {
	s.portMu.Lock()
	defer s.portMu.Unlock()
	s.play(script)
	if !s.started || s.closed {
		return nil
	}
	if err := s.takeLocked(script); err != nil {
		return fmt.Errorf("play %v at %s: %w", script, s.addr, err)
	}
	return nil
}

// takeLocked makes of the port what script wants.
func (s *Service) takeLocked(script Script) error {
	var mode *how
	if f, ok := script.whole(); ok {
		mode = f.how
	}
	if s.started && mode == s.mode && (s.ln != nil || s.port != nil) {
		return nil
	}
	s.leaveLocked()
	s.CloseConnections()
	port, err := reserve(s.addr, s.started)
	if err != nil {
		return err
	}
	s.addr, s.port, s.mode = port.addr, port, mode
	serve := (*Service).open
	if mode != nil {
		serve = mode.serve
	}
	if err := serve(s); err != nil {
		s.leaveLocked()
		return err
	}
	return nil
}

// leaveLocked gives the port up.
func (s *Service) leaveLocked() {
	if s.ln != nil {
		s.ln.Close()
		<-s.loop
		s.ln = nil
	}
	if s.port != nil {
		s.port.close()
		s.port = nil
	}
	for _, c := range s.fillers {
		c.Close()
	}
	s.fillers = nil
}

// open serves requests.
func (s *Service) open() error {
	return s.accept(func(ln net.Listener) {
		if s.TLS != nil {
			ln = tls.NewListener(ln, s.TLS.serverConfig())
		}
		s.server.Serve(ln)
	})
}

// refuse leaves the port reserved, with nobody listening.
func (s *Service) refuse() error { return nil }

// holdAll accepts connections and says nothing on them.
func (s *Service) holdAll() error {
	return s.accept(func(ln net.Listener) {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.alive.Add(1)
			go func() {
				defer s.alive.Done()
				defer c.Close()
				io.Copy(io.Discard, c)
			}()
		}
	})
}

// Limits of filling the queue of a port: with no backlog one connection fills
// it on Linux; a dial that ends without an answer proves it.
const (
	maxFillers = 64
	fillerDial = 100 * time.Millisecond
)

// dropSYN listens and never accepts. Linux drops what asks to connect while
// the queue of connections to accept is full.
func (s *Service) dropSYN() error {
	if err := s.port.listen(0); err != nil {
		return err
	}
	for range maxFillers {
		c, err := net.DialTimeout("tcp", s.addr, fillerDial)
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil
		}
		if err != nil {
			return err
		}
		s.fillers = append(s.fillers, c)
	}
	return fmt.Errorf("drop SYN: the system accepts connections without end: %w", errors.ErrUnsupported)
}

// accept turns the reserved port into a listener, and runs loop on it.
func (s *Service) accept(loop func(net.Listener)) error {
	ln, err := s.port.listener()
	if err != nil {
		return err
	}
	s.port = nil
	s.ln = ln
	done := make(chan struct{})
	s.loop = done
	go func() {
		defer close(done)
		loop(&tracked{ln, s})
	}()
	return nil
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	s.perform(w, r, s.begin(r), r.Context().Value(wireKey{}).(*socket))
}

// Connections says how many connections were accepted since Start.
func (s *Service) Connections() int {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	return s.total
}

// CloseConnections ends every connection, and with it whatever hangs.
func (s *Service) CloseConnections() {
	s.connMu.Lock()
	open := make([]*socket, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.connMu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

// Close gives the port up, ends every connection and waits until all handlers
// have ended, at most ten seconds. The error says that some had not. Closing
// again does nothing.
func (s *Service) Close() error {
	s.portMu.Lock()
	defer s.portMu.Unlock()
	if !s.started || s.closed {
		return nil
	}
	s.closed = true
	s.client.CloseIdleConnections()
	s.leaveLocked()
	s.cancel()
	s.server.Close()
	s.CloseConnections()
	ended := make(chan struct{})
	go func() {
		s.alive.Wait()
		close(ended)
	}()
	timer := time.NewTimer(closeLimit)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		return fmt.Errorf("close fake service %s: its backend still runs after %v", s.addr, closeLimit)
	}
	if b, ok := s.Backend.(interface{ CloseIdleConnections() }); ok {
		b.CloseIdleConnections()
	}
	return nil
}
