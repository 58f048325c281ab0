package fetch

import (
	"cmp"
	"slices"
)

// A segment is a part of the content and who sent it.
type segment struct {
	span
	by *candidate
}

// segments are what has been written, in order and without overlaps.
type segments []segment

// add puts in a part that was not there.
func (s *segments) add(p span, by *candidate) {
	if p.len() <= 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(*s, p.off, func(g segment, off int64) int { return cmp.Compare(g.off, off) })
	if i > 0 && (*s)[i-1].end == p.off && (*s)[i-1].by == by {
		(*s)[i-1].end = p.end
		return
	}
	*s = slices.Insert(*s, i, segment{p, by})
}

// front returns the end of what is there from the beginning on.
func (s segments) front() int64 {
	var at int64
	for _, g := range s {
		if g.off != at {
			break
		}
		at = g.end
	}
	return at
}

// senders lists who sent any of it, each once.
func (s segments) senders() []*candidate {
	var all []*candidate
	for _, g := range s {
		if !slices.Contains(all, g.by) {
			all = append(all, g.by)
		}
	}
	return all
}

// last returns the end of what is there.
func (s segments) last() int64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].end
}
