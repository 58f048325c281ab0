package faultnet

import (
	"io"
	"net"
	"sync"
	"time"
)

// tracked is a listener whose connections its service knows.
type tracked struct {
	net.Listener
	service *Service
}

func (l *tracked) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := l.service
	conn := &socket{TCPConn: c.(*net.TCPConn), service: s, closed: make(chan struct{}), rate: s.Rate}
	s.connMu.Lock()
	defer s.connMu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*socket]bool)
	}
	s.conns[conn] = true
	s.total++
	return conn, nil
}

// socket is a connection that its service can end, with a limit to its speed.
type socket struct {
	*net.TCPConn
	service *Service
	once    sync.Once
	closed  chan struct{}

	rate int64     // bytes a second; 0 is no limit
	due  time.Time // when what was written should have gone; net/http writes from one place at a time
}

// Close ends the connection in good order.
func (c *socket) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.service.connMu.Lock()
		defer c.service.connMu.Unlock()
		delete(c.service.conns, c)
	})
	return c.TCPConn.Close()
}

// resetLimit is how long a reset waits for a peer to take what was sent.
const resetLimit = 10 * time.Second

// Reset ends the connection with a RST, once the peer's kernel has all that was
// sent: a RST throws away what still waits to be sent.
func (c *socket) Reset() error {
	for end := time.Now().Add(resetLimit); unsent(c.TCPConn) > 0 && time.Now().Before(end); {
		if !c.sleep(time.Millisecond) {
			break
		}
	}
	c.SetLinger(0)
	return c.Close()
}

// sleep waits for d, and reports whether the connection is still open.
func (c *socket) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.closed:
		return false
	}
}

// Pacing: timers are exact to about a millisecond, so a wait is worth it from
// two on, and what a late timer lost is made up for within ten.
const (
	worthWaiting = 2 * time.Millisecond
	catchUp      = 10 * time.Millisecond
	maxPiece     = 64 << 10
)

func (c *socket) Write(p []byte) (int, error) {
	if c.rate <= 0 {
		return c.TCPConn.Write(p)
	}
	done := 0
	for done < len(p) {
		n, err := c.TCPConn.Write(p[done:min(len(p), done+maxPiece)])
		done += n
		if err != nil {
			return done, err
		}
		now := time.Now()
		if c.due.Before(now.Add(-catchUp)) {
			c.due = now.Add(-catchUp)
		}
		c.due = c.due.Add(time.Duration(float64(n) / float64(c.rate) * float64(time.Second)))
		if ahead := c.due.Sub(now); ahead > worthWaiting && !c.sleep(ahead) {
			return done, net.ErrClosed
		}
	}
	return done, nil
}

// ReadFrom lets the kernel copy files where no limit is set.
func (c *socket) ReadFrom(r io.Reader) (int64, error) {
	if c.rate <= 0 {
		return c.TCPConn.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}
