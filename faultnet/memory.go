package faultnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// memoryPipe is a connection in memory, whose server end can be reset. Each
// write waits for its reader, so that all that was written has arrived when
// either end closes.
func memoryPipe() (client, server *memoryConn) {
	a, b := net.Pipe()
	reset := new(atomic.Bool)
	return &memoryConn{Conn: a, reset: reset}, &memoryConn{Conn: b, reset: reset}
}

type memoryConn struct {
	net.Conn
	reset *atomic.Bool
	entry *entry
}

// Reset ends the connection; the peer sees ECONNRESET.
func (c *memoryConn) Reset() error {
	c.reset.Store(true)
	return c.Close()
}

func (c *memoryConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.reset.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

func (c *memoryConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	return n, err
}

// oneConn is a listener that accepts one connection, once.
type oneConn struct{ conn net.Conn }

func (l *oneConn) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, io.EOF
	}
	c := l.conn
	l.conn = nil
	return c, nil
}

func (l *oneConn) Close() error { return nil }

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
