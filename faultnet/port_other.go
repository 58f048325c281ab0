//go:build !linux

package faultnet

import (
	"errors"
	"fmt"
	"net"
)

// A port is a TCP port that was free a moment ago: what Linux can do with a
// bound socket, others cannot do the same way.
type port struct{ addr string }

func reserve(addr string, _ bool) (*port, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	return &port{ln.Addr().String()}, nil
}

func (p *port) listen(int) error {
	return fmt.Errorf("drop SYN: only Linux drops what asks to connect to a full queue: %w", errors.ErrUnsupported)
}

func (p *port) listener() (net.Listener, error) { return net.Listen("tcp", p.addr) }

func (p *port) close() {}

func unsent(*net.TCPConn) int { return 0 }
