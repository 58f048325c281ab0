package fetch

import (
	"errors"
	"net/http"
	"time"

	"github.com/outlast-build/outlast/fault"
)

const (
	// maxFailures in a row without progress, and a source is out for the Ask.
	maxFailures = 3
	// maxSilences is the same for one that was silent for a whole limit, which
	// costs seconds each: another try helps over a request that got lost, and
	// what was lost twice is no accident.
	maxSilences = 2
	// worthwhile is how many bytes make a try that broke off progress in any
	// case, so that a single source that breaks every transfer still gets there.
	worthwhile = 64 << 10
	// Less is a crumb. It is progress, too, but not for ever: a source that
	// gives a byte a try would take a layer's size in tries.
	maxCrumbs = 256
)

// gained takes note of a try of c that broke off after n new bytes, and reports
// whether that was progress. Crumbs count as such until there were too many in
// a row, or until they took as long as two silences in a body.
func (c *candidate) gained(n int64, took, idle time.Duration) bool {
	if n >= worthwhile {
		c.crumbs, c.crumbTime = 0, 0
		return true
	}
	c.crumbs++
	c.crumbTime += took
	return n > 0 && c.crumbs <= maxCrumbs && c.crumbTime <= 2*idle
}

// breakOff reports whether what came before a failure of this kind counts.
func breakOff(k fault.Kind) bool {
	return k == fault.Truncated || k == fault.Connection || k == fault.Timeout
}

// spent reports whether c, which failed with err, is of no more use. One that
// the circuit breaker knows as failing gets no second chance to be silent.
func (c *candidate) spent(err error) bool {
	if !errors.As(err, new(*limitError)) {
		return c.failures >= maxFailures
	}
	return c.failures >= maxSilences || c.open
}

// reprieve lets those ask again, once, who are out for what may have been an
// accident on the way: spoiled bytes, or a 400, which front ends answer in an
// outage too. It is for when nobody else is left, and reports whether there was
// one.
func (j *job) reprieve() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := false
	for _, c := range j.all {
		if !c.out || c.reprieved || c.last == nil || j.definite {
			continue
		}
		if c.last.Kind == fault.Corrupt || c.last.Status == http.StatusBadRequest {
			c.out, c.reprieved, found = false, true, true
		}
	}
	return found
}
