package fetch

import (
	"net"
	"net/http"
	"net/netip"
	"time"
)

// newTransport returns a transport for all upstreams. What it does not bound,
// the watch over each request does.
func newTransport(l Limits, r *net.Resolver, permit func(string, netip.Addr) error) *http.Transport {
	d := &dialer{limit: l.Dial, resolver: r, permit: permit}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         d.dial,
		TLSHandshakeTimeout: l.Header,
		// For requests that no watch is over, such as those for a token. A watch
		// is first, and says what happened.
		ResponseHeaderTimeout: l.Header + l.Header/4,
		// What arrives must be what its digest was made from.
		DisableCompression: true,
		// Four connections for each of a few layers at once.
		MaxIdleConnsPerHost: 16,
		MaxIdleConns:        128,
		// Middleboxes forget connections after a minute or more, silently.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              protocols,
		// A dead HTTP/2 connection carries every request to its host: it is
		// asked for a sign of life, and left when none comes.
		HTTP2: &http.HTTP2Config{SendPingTimeout: l.Header, PingTimeout: l.Header},
	}
}
