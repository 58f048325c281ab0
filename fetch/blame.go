package fetch

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// A print tells a spoiled copy's parts from those of a good one, when there is
// one to compare with: the copy itself is overwritten by then.
type print []struct {
	segment
	sum digest.Digest
}

func take(w io.ReaderAt, segs segments) (print, error) {
	p := make(print, len(segs))
	for i, g := range segs {
		sum, err := digestOf(w, g.span)
		if err != nil {
			return nil, err
		}
		p[i].segment, p[i].sum = g, sum
	}
	return p, nil
}

// compare blames each source whose parts differ from the good copy in w.
func (p print) compare(w io.ReaderAt, size int64, j *job) error {
	wrong := make(map[*candidate]segments)
	for _, g := range p {
		if g.end <= size {
			sum, err := digestOf(w, g.span)
			if err != nil {
				return err
			}
			if sum == g.sum {
				continue
			}
		}
		s := wrong[g.by]
		s.add(g.span, g.by)
		wrong[g.by] = s
	}
	for c, segs := range wrong {
		if !j.proved(c) {
			j.blame(c, segs, errNoMatch(j.ask.Digest))
		}
	}
	return nil
}

// errNoMatch says what is wrong with spoiled bytes. Without a digest they differ
// from those that were proved.
func errNoMatch(d digest.Digest) error {
	if d == "" {
		return errors.New("do not match what was proved")
	}
	return fmt.Errorf("do not match %s", d)
}

// blame reports that what c sent was found wrong. It is of no more use for this
// Ask.
func (j *job) blame(c *candidate, segs segments, wrong error) {
	t := j.try(c, time.Now())
	t.Kind = fault.Corrupt
	t.Err = &fault.Error{Endpoint: c.Endpoint, Kind: fault.Corrupt,
		Err: fmt.Errorf("bytes %d to %d %w", segs[0].off, segs.last(), wrong)}
	j.mu.Lock()
	c.active++
	j.mu.Unlock()
	j.ended(c, *t)
}

// proved reports whether c has been blamed already.
func (j *job) proved(c *candidate) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return c.last != nil && c.last.Kind == fault.Corrupt
}

// left counts the sources that are of use.
func (j *job) left() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, c := range j.all {
		if !c.out {
			n++
		}
	}
	return n
}

// contested reports whether sources that are of use disagree on the size.
func (j *job) contested() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.all, func(c *candidate) bool { return c.otherSize && !c.out })
}

// forgive lets everybody begin anew who had another size than was claimed.
func (j *job) forgive() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.all {
		c.otherSize = false
	}
}

// bySuspicion lists the sources that are of use: first those that are well and
// had no part in a spoiled copy, then those that had, then those that are not
// well; else by the board. A suspect costs a transfer at most, a source that is
// silent its whole limit, as often as it is asked.
func (j *job) bySuspicion(spoiled []print) []*candidate {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refreshLocked(time.Now())
	suspect := make(map[*candidate]bool)
	for _, p := range spoiled {
		for _, g := range p {
			suspect[g.by] = true
		}
	}
	class := func(c *candidate) int {
		switch {
		case suspect[c]:
			return 1
		case c.open || c.slow > 0 || c.failures > 0 || c.score < goodScore:
			return 2
		}
		return 0
	}
	list := slices.DeleteFunc(slices.Clone(j.all), func(c *candidate) bool { return c.out })
	slices.SortStableFunc(list, func(a, b *candidate) int {
		if d := class(a) - class(b); d != 0 {
			return d
		}
		return need{}.better(a, b)
	})
	return list
}
