package faultnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A port is a TCP port that is bound and not listened on: whoever dials it is
// refused, and nobody else gets it.
type port struct {
	fd   int // -1 once it is a listener's
	addr string
}

// Binding a port that its own service has just left can fail for a moment.
const (
	bindTries = 50
	bindWait  = 10 * time.Millisecond
)

// reserve binds addr, host:port with the port 0 for any. A port that is had
// again, having just been left, is worth a wait.
func reserve(addr string, again bool) (*port, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	where := tcp.AddrPort()
	if !where.Addr().IsValid() {
		where = netip.AddrPortFrom(netip.IPv6Unspecified(), where.Port())
	}
	var p *port
	for range bindTries {
		p, err = bind(where)
		if err != syscall.EADDRINUSE || !again {
			break
		}
		time.Sleep(bindWait)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: tcp, Err: os.NewSyscallError("bind", err)}
	}
	return p, nil
}

func bind(where netip.AddrPort) (*port, error) {
	ip := where.Addr().Unmap()
	family := syscall.AF_INET6
	var sa syscall.Sockaddr = &syscall.SockaddrInet6{Addr: ip.As16(), Port: int(where.Port())}
	if ip.Is4() {
		family = syscall.AF_INET
		sa = &syscall.SockaddrInet4{Addr: ip.As4(), Port: int(where.Port())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	p := &port{fd: fd}
	if err := p.bind(sa); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *port) bind(sa syscall.Sockaddr) error {
	if err := syscall.SetsockoptInt(p.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := syscall.Bind(p.fd, sa); err != nil {
		return err
	}
	bound, err := syscall.Getsockname(p.fd)
	if err != nil {
		return err
	}
	switch bound := bound.(type) {
	case *syscall.SockaddrInet4:
		p.addr = netip.AddrPortFrom(netip.AddrFrom4(bound.Addr), uint16(bound.Port)).String()
	case *syscall.SockaddrInet6:
		p.addr = netip.AddrPortFrom(netip.AddrFrom16(bound.Addr), uint16(bound.Port)).String()
	default:
		return fmt.Errorf("bound to %T", bound)
	}
	return nil
}

// listen lets the port queue connections, backlog and one of them.
func (p *port) listen(backlog int) error {
	return os.NewSyscallError("listen", syscall.Listen(p.fd, backlog))
}

// listener makes a listener of the port, which is used up by it.
func (p *port) listener() (net.Listener, error) {
	if err := p.listen(syscall.SOMAXCONN); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(p.fd), p.addr)
	p.fd = -1
	defer f.Close() // the listener has a descriptor of its own
	return net.FileListener(f)
}

func (p *port) close() {
	if p.fd >= 0 {
		syscall.Close(p.fd)
		p.fd = -1
	}
}

// unsent is how many bytes the peer's kernel has not yet taken.
func unsent(c *net.TCPConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	raw.Control(func(fd uintptr) {
		if queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = queued
		}
	})
	return n
}
