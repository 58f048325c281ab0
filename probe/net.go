package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/outlast-build/outlast/fault"
)

// A Name is looked up.
type Name struct {
	Host     string
	Resolver *net.Resolver // nil means the system's
}

// Ask resolves the name.
func (n Name) Ask(ctx context.Context) (string, error) {
	r := n.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, "ip", n.Host)
	var dns *net.DNSError
	if errors.As(err, &dns) {
		// The server's address is of no help.
		return "", &fault.Error{Kind: fault.DNS, Err: errors.New(dns.Err)}
	}
	if err != nil {
		return "", &fault.Error{Kind: kindOf(err), Err: err}
	}
	if len(addrs) == 0 {
		return "", &fault.Error{Kind: fault.DNS, Err: errors.New("no address")}
	}
	return addrs[0].Unmap().String(), nil
}

// A Reach asks whether any of some well-known places can be connected to: one
// of them may be down, or not allowed here.
type Reach struct {
	Places []Place
}

// A Place is somewhere on the Internet.
type Place struct {
	Address string // HOST:PORT, or an address that begins with https://
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Client  http.RoundTripper // for an address over HTTP
}

// Ask tries all places at once. The error is that of the first one.
func (r Reach) Ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		at int
		answer
	}
	results := make(chan result, len(r.Places))
	for i, p := range r.Places {
		go func() { results <- result{i, ask(ctx, p)} }()
	}
	errs := make([]error, len(r.Places))
	for range r.Places {
		got := <-results
		if got.err == nil {
			return got.seen, nil
		}
		errs[got.at] = got.err
	}
	if len(errs) == 0 {
		return "", &fault.Error{Kind: fault.Config, Err: errors.New("no place to reach is set")}
	}
	return "", fmt.Errorf("%s: %w", r.Places[0].Address, errs[0])
}

// Ask connects. Over HTTP any answer will do: the certificate tells that
// nobody else gave it.
func (p Place) Ask(ctx context.Context) (string, error) {
	if p.Client == nil {
		conn, err := p.Dial(ctx, "tcp", p.Address)
		if err != nil {
			return "", &fault.Error{Kind: kindOf(err), Err: err}
		}
		return p.Address + " opens", conn.Close()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, p.Address, nil)
	if err != nil {
		return "", &fault.Error{Kind: fault.Config, Err: err}
	}
	resp, err := p.Client.RoundTrip(r)
	if err != nil {
		return "", &fault.Error{Kind: kindOf(err), Err: err}
	}
	return p.Address + " opens", resp.Body.Close()
}
