package fetch

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

// A Fetcher gets artefacts. The zero value is ready for use; its fields must
// not change after the first use. All methods may be called at once from many
// places.
type Fetcher struct {
	// Board orders the sources and is told how each of them did. Nil means a
	// board of the Fetcher's own.
	Board *health.Board
	// Limits bound each request.
	Limits Limits
	// OnTry, if not nil, is told of each request that ended. It is called from
	// many goroutines and must not block.
	OnTry func(Try)
	// Budget bounds the waiting between tries. Nil means DefaultWait for each
	// Ask.
	Budget *Budget
	// Backoff says how long to wait before a source is tried again.
	Backoff backoff.Policy
	// Connections is how many requests may carry parts of one content at the
	// same time. Zero means 4; 1 means no parallel ranges.
	Connections int
	// Largest bounds what Spool takes, in bytes. Zero means 64 GiB.
	Largest int64
	// Resolver looks names up. Nil means the system's.
	Resolver *net.Resolver
	// Permit, if not nil, says whether a connection to HOST:PORT may go to one
	// of its addresses. It is asked once the name is resolved, so that no second
	// look-up can lead elsewhere. An error is final for that address.
	Permit func(host string, a netip.Addr) error
	// Base, if not nil, takes the place of the Fetcher's own transport.
	Base http.RoundTripper
	// Jitter returns a number in [0, 1). Nil means chance.
	Jitter func() float64

	once   sync.Once
	base   http.RoundTripper
	board  *health.Board
	gates  gates
	hedges hedges
	chunks sync.Pool // of *[]byte, chunkSize each
	extras gauge     // requests beside the first of their content
}

// chunkSize is how much of a body is read and written at once. Beyond 256 KiB
// a loopback transfer gains nothing.
const chunkSize = 256 << 10

func (f *Fetcher) ready() {
	f.once.Do(func() {
		f.base = f.Base
		if f.base == nil {
			f.base = newTransport(f.Limits.orDefault(), f.Resolver, f.Permit)
		}
		f.board = f.Board
		if f.board == nil {
			f.board = new(health.Board)
		}
		f.chunks.New = func() any { b := make([]byte, chunkSize); return &b }
	})
}

// Transport returns the Fetcher's own transport, with the limits applied. It
// is what a transport that adds credentials stands on.
func (f *Fetcher) Transport() http.RoundTripper {
	f.ready()
	return f.base
}

// Dial connects to HOST:PORT within the limits, by the same look-ups and under
// the same Permit as requests.
func (f *Fetcher) Dial(ctx context.Context, address string) (net.Conn, error) {
	d := &dialer{limit: f.Limits.orDefault().Dial, resolver: f.Resolver, permit: f.Permit}
	return d.dial(ctx, "tcp", address)
}

// CloseIdleConnections closes what is kept open for later requests.
func (f *Fetcher) CloseIdleConnections() {
	f.ready()
	if c, ok := f.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (f *Fetcher) jitter() float64 {
	if f.Jitter != nil {
		return f.Jitter()
	}
	return rand.Float64()
}

func (f *Fetcher) connections() int {
	if f.Connections > 0 {
		return f.Connections
	}
	return 4
}

func (f *Fetcher) largest() int64 {
	if f.Largest > 0 {
		return f.Largest
	}
	return 64 << 30
}

// observe tells the board of one request.
func (f *Fetcher) observe(endpoint string, at time.Time, took time.Duration, kind fault.Kind) {
	f.board.Record(health.Observation{Endpoint: endpoint, At: at, Took: took, Kind: kind})
}
