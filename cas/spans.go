package cas

import "slices"

// spans is a set of byte ranges, in order and without touching neighbours: a
// file that is written front to back is one span, ranges in parallel are a few.
type spans []span

type span struct{ from, to int64 } // to is not in it

// meets reports whether any byte of the range is in the set.
func (s spans) meets(from, to int64) bool {
	return slices.ContainsFunc(s, func(r span) bool { return from < r.to && r.from < to })
}

// add puts the range into the set.
func (s *spans) add(from, to int64) {
	if from >= to {
		return
	}
	i := 0
	for i < len(*s) && (*s)[i].to < from {
		i++
	}
	j := i
	for j < len(*s) && (*s)[j].from <= to {
		from, to = min(from, (*s)[j].from), max(to, (*s)[j].to)
		j++
	}
	*s = slices.Replace(*s, i, j, span{from, to})
}

// cut takes out all from size on.
func (s *spans) cut(size int64) {
	for i, r := range *s {
		if r.to > size {
			*s = (*s)[:i]
			s.add(r.from, size)
			return
		}
	}
}

// front returns the end of the range that starts at 0, or 0.
func (s spans) front() int64 {
	if len(s) == 0 || s[0].from != 0 {
		return 0
	}
	return s[0].to
}
