package fetch

import (
	"sync"
	"time"

	"github.com/outlast-build/outlast/backoff"
)

// DefaultWait is how much waiting there is for where nothing else was said.
const DefaultWait = 10 * time.Second

// A Budget bounds the waiting between tries, of a build or of one Ask. Waits
// that overlap are paid for once: it is the build's time that counts. The zero
// value has DefaultWait. It is safe for concurrent use and must not be copied.
type Budget struct {
	// Wait is how much waiting there is in all. Zero means DefaultWait, less
	// means none. It must not change after the first use.
	Wait time.Duration

	mu   sync.Mutex
	left *backoff.Budget
	paid time.Time // waiting is paid for until then
}

// covers reports whether a wait from now until then would be within the
// budget, without taking it.
func (b *Budget) covers(now, then time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.costLocked(now, then) <= b.leftLocked().Left
}

// take pays for a wait from now until then, or reports false.
func (b *Budget) take(now, then time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.leftLocked().Take(b.costLocked(now, then)); !ok {
		return false
	}
	if then.After(b.paid) {
		b.paid = then
	}
	return true
}

func (b *Budget) leftLocked() *backoff.Budget {
	if b.left == nil {
		b.left = &backoff.Budget{Left: max(b.Wait, 0)}
		if b.Wait == 0 {
			b.left.Left = DefaultWait
		}
	}
	return b.left
}

func (b *Budget) costLocked(now, then time.Time) time.Duration {
	if b.paid.After(now) {
		now = b.paid
	}
	return max(0, then.Sub(now))
}
