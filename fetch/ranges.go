package fetch

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	// Content of this size is worth a second connection as soon as it is seen
	// to take longer than quick.
	large = 8 << 20
	// quick is how long the rest of a transfer may take until another
	// connection is opened for a part of it: that costs a round trip or a few.
	quick = 300 * time.Millisecond
	// Smaller content is shared only when its source turns out to be slow.
	sluggish = time.Second
	// A part is at least this long, or a tenth of it where its source is sluggish.
	minPart = 640 << 10
	// A rate is known after firstLook, and measured anew each look.
	firstLook = 40 * time.Millisecond
	look      = 250 * time.Millisecond
)

// A ground is the content as a territory: what is written, what somebody is
// busy with, and the rest, which is free. It is a plain value; the transfer
// guards it.
type ground struct {
	size   int64 // or unknown
	proved bool  // size is what the caller knows, not what a source claims
	held   []*claim
	done   segments
}

// A claim is a part that one request is to bring. Its offset moves on with
// what has come; its end moves down when another takes a part of it.
type claim struct {
	span
	extra   bool       // beside other requests
	resumed bool       // what another left unfinished
	not     *candidate // whose slowness it is to make up for; nil where a second connection will do

	wrote int64   // everything of it before this is written
	fl    *flight // the request; nil until it has a good head
	reach int64   // how far the body of that request goes on

	rate    float64 // bytes a second; 0 until known
	seen    time.Time
	seenOff int64
	writing bool                    // the sink is busy with what has come
	stop    context.CancelCauseFunc // ends the request
}

func newGround(size int64) *ground {
	return &ground{size: size, proved: size != unknown}
}

// complete reports whether everything is written.
func (g *ground) complete() bool {
	return g.size != unknown && len(g.held) == 0 && g.done.front() == g.size
}

// free lists what is neither written nor held.
func (g *ground) free() []span {
	var taken []span
	for _, s := range g.done {
		taken = append(taken, s.span)
	}
	for _, c := range g.held {
		taken = append(taken, span{c.wrote, c.end})
	}
	slices.SortFunc(taken, func(a, b span) int { return cmp.Compare(a.off, b.off) })
	var free []span
	var at int64
	for _, s := range append(taken, span{g.size, g.size}) {
		if s.off > at {
			free = append(free, span{at, s.off})
		}
		at = max(at, s.end)
	}
	return free
}

// take claims the first part that is free, or returns nil.
func (g *ground) take() *claim {
	free := g.free()
	if len(free) == 0 {
		return nil
	}
	c := g.hold(free[0])
	c.resumed = c.off > 0
	return c
}

func (g *ground) hold(s span) *claim {
	c := &claim{span: s, wrote: s.off}
	g.held = append(g.held, c)
	return c
}

// release gives back what is left of c.
func (g *ground) release(c *claim) {
	g.held = slices.DeleteFunc(g.held, func(o *claim) bool { return o == c })
}

// absorb gives what is free back to the requests that would bring it anyway if
// they were not cut short.
func (g *ground) absorb() {
	for _, s := range slices.Backward(g.free()) {
		for _, c := range g.held {
			if c.fl != nil && c.end == s.off && c.reach >= s.end {
				c.end = s.end
				break
			}
		}
	}
}

// overtake gives c, which is done, the part that follows, where the request for
// that has brought nothing yet and the one for c would go on with it. It
// returns the claim that is empty then, or nil.
func (g *ground) overtake(c *claim) *claim {
	for _, next := range g.held {
		if next.extra && next.fl == nil && next.stop != nil && next.len() > 0 && next.off == c.end && c.reach >= next.end {
			c.end, next.end = next.end, next.off
			return next
		}
	}
	return nil
}

// learn sets the size of the content where it was not known.
func (g *ground) learn(size int64) {
	if g.size == unknown {
		g.shrink(size)
	}
}

// shrink sets the size of the content to what turned out to be all of it.
func (g *ground) shrink(size int64) {
	g.size = size
	for _, c := range g.held {
		c.end = min(c.end, size)
		c.reach = min(c.reach, size)
	}
}

// measure brings the rate of c up to date.
func (c *claim) measure(now time.Time) {
	if c.fl == nil {
		return
	}
	gone := now.Sub(c.seen)
	if gone < firstLook || c.rate > 0 && gone < look {
		return
	}
	rate := float64(c.off-c.seenOff) / gone.Seconds()
	if c.rate > 0 {
		rate = (rate + c.rate) / 2
	}
	c.rate, c.seen, c.seenOff = rate, now, c.off
}

// left returns how long c will take at its present rate, which is assumed
// where nothing has come yet.
func (c *claim) left(assumed float64) time.Duration {
	rate := c.rate
	if rate == 0 {
		rate = assumed
	}
	return time.Duration(float64(c.len()) / max(rate, 1) * float64(time.Second))
}

// share cuts a claim that takes long and returns its second part as a claim of
// its own, for a request beside it. It returns nil where that would not help. The part is such that both are done at the same time if
// the other source is as fast as the fastest.
func (g *ground) share(now time.Time) *claim {
	if g.size == unknown {
		return nil
	}
	best := 0.0
	for _, c := range g.held {
		c.measure(now)
		best = max(best, c.rate)
	}
	if best == 0 {
		return nil
	}
	var from *claim
	for _, c := range g.held {
		if g.worth(c, now, best) && (from == nil || c.left(best) > from.left(best)) {
			from = c
		}
	}
	if from == nil {
		return nil
	}
	rate := from.rate
	if rate == 0 {
		rate = best
	}
	at := from.off + int64(float64(from.len())*rate/(rate+best))
	part := g.hold(span{at, from.end})
	part.extra = true
	if g.size < large {
		part.not = from.fl.c
	}
	from.end = at
	return part
}

// worth reports whether a part of c is worth a request of its own. What has
// not been asked for yet may always be divided, what has been only when it
// flows.
func (g *ground) worth(c *claim, now time.Time, best float64) bool {
	left := c.left(best)
	if c.fl == nil && (c.stop != nil || !c.extra) || c.fl != nil && c.rate == 0 {
		return false
	}
	if left > sluggish && c.fl != nil && now.Sub(c.fl.headAt()) >= sluggish {
		return c.len() >= 2*minPart/10
	}
	return g.size >= large && left > quick && c.len() >= 2*minPart
}
