package fetch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// stagger is how long an address may be silent before the next one is tried
// beside it (RFC 8305, section 5). net.Dialer gives the first of two addresses
// the whole limit where that is short.
const stagger = 250 * time.Millisecond

// A dialer connects to the first address of a name that answers.
type dialer struct {
	limit    time.Duration
	resolver *net.Resolver
	permit   func(host string, a netip.Addr) error // nil: all
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	start, limit := time.Now(), noConnection(d.limit)
	ctx, cancel := context.WithTimeoutCause(ctx, d.limit, limit)
	defer cancel()
	addrs, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if addrs, err = d.permitted(address, addrs); err != nil {
		return nil, err
	}
	conn, err := dialFirst(ctx, network, port, addrs)
	if err != nil && time.Since(start) >= d.limit {
		return nil, limit
	}
	return conn, err
}

// lookup returns the addresses of host, families in turns.
func (d *dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	r := d.resolver
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &fault.Error{Op: "resolve " + host, Kind: fault.DNS, Err: bare(err)}
	}
	return inTurns(addrs), nil
}

// permitted returns the addresses that may be connected to.
func (d *dialer) permitted(host string, addrs []netip.Addr) ([]netip.Addr, error) {
	if d.permit == nil {
		return addrs, nil
	}
	var allowed []netip.Addr
	var refused error
	for _, a := range addrs {
		err := d.permit(host, a)
		if err == nil {
			allowed = append(allowed, a)
			continue
		}
		refused = err
	}
	if len(allowed) == 0 && refused != nil {
		return nil, refused
	}
	return allowed, nil
}

// bare takes the name and the server, which are said elsewhere or of no help,
// from a resolver's error.
func bare(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return errors.New(dns.Err)
	}
	return err
}

// inTurns reorders addrs so that the families alternate, the first one first:
// where one family leads nowhere, the second address is of the other.
func inTurns(addrs []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, a := range addrs {
		i := 0
		if a.Unmap().Is4() != addrs[0].Unmap().Is4() {
			i = 1
		}
		families[i] = append(families[i], a.Unmap())
	}
	mixed := make([]netip.Addr, 0, len(addrs))
	for i := range addrs {
		for _, f := range families {
			if i < len(f) {
				mixed = append(mixed, f[i])
			}
		}
	}
	return mixed
}

// dialFirst connects to all addrs, each a little after the one before or as
// soon as that failed, and returns the first connection.
func dialFirst(ctx context.Context, network, port string, addrs []netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	start := func(a netip.Addr) {
		conn, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		select {
		case results <- result{conn, err}:
		case <-ctx.Done():
			if conn != nil {
				conn.Close()
			}
		}
	}
	next := time.NewTimer(0)
	defer next.Stop()
	var first error
	for pending, left := 0, addrs; pending > 0 || len(left) > 0; {
		select {
		case <-next.C:
			if len(left) > 0 {
				go start(left[0])
				pending, left = pending+1, left[1:]
				next.Reset(stagger)
			}
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			if first == nil {
				first = r.err
			}
			pending--
			next.Reset(0)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if first == nil {
		first = &fault.Error{Op: "resolve", Kind: fault.DNS, Err: errors.New("no address")}
	}
	return nil, first
}
