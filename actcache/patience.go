package actcache

import (
	"sync"
	"time"

	"github.com/outlast-build/outlast/fault"
)

const (
	tripAfter = 3                // failures in a row, after which a service is left alone
	rest      = 30 * time.Second // for so long
)

// patience is what clients may still lose to a service that fails. Time that
// overlaps is lost once.
type patience struct {
	mu       sync.Mutex
	left     time.Duration
	paid     time.Time // what was lost is paid for until then
	failures int       // in a row
	alone    time.Time // the service is left alone until then
}

// most returns how long the service may be waited for now: 0 means that it is
// left alone.
func (p *patience) most(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.alone) {
		return 0
	}
	return max(p.left, 0)
}

// ended notes how a request of the service's ended that a client waited for.
func (p *patience) ended(from, to time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.failures = 0
		return
	}
	if p.paid.After(from) {
		from = p.paid
	}
	if to.After(from) {
		p.left -= to.Sub(from)
		p.paid = to
	}
	p.failures++
	if p.failures >= tripAfter {
		p.alone = to.Add(rest)
	}
	if after := fault.After(err); after > 0 && to.Add(after).After(p.alone) {
		p.alone = to.Add(after)
	}
}
