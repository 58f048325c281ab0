package record

import (
	"maps"
	"math"
	"slices"
	"time"
)

// A Spread counts times by their length, in steps that grow by 4.4 percent
// each: what it tells of a time is at most 2.2 percent off. A step's number
// maps to how many times fell into it. Spreads of many runs add up, which
// medians do not. The zero value is empty, and can be read from at once.
type Spread map[int]int

// perOctave is how many steps double a time.
const perOctave = 16

// maxStep is the step of about half a year: what is longer counts as that.
const maxStep = 34 * perOctave

// Add counts one time. It returns s, made where it was nil.
func (s Spread) Add(d time.Duration) Spread {
	if s == nil {
		s = make(Spread)
	}
	s[stepOf(d)]++
	return s
}

// stepOf is the step that d falls into: 0 is all below a millisecond.
func stepOf(d time.Duration) int {
	if d < time.Millisecond {
		return 0
	}
	return min(1+int(math.Log2(float64(d)/float64(time.Millisecond))*perOctave), maxStep)
}

// Merge adds all that o counts. It returns s, made where it was nil.
func (s Spread) Merge(o Spread) Spread {
	if s == nil {
		s = make(Spread, len(o))
	}
	for step, n := range o {
		if n > 0 {
			s[min(max(step, 0), maxStep)] += n
		}
	}
	return s
}

// Count returns how many times s counts.
func (s Spread) Count() int {
	n := 0
	for _, c := range s {
		n += c
	}
	return n
}

// Quantile returns the time that a share q of all times, 0 to 1, does not
// exceed: 0.5 is the median, the lower of the middle two. Of nothing it is 0.
func (s Spread) Quantile(q float64) time.Duration {
	rank := max(1, int(math.Ceil(q*float64(s.Count()))))
	seen := 0
	for _, step := range slices.Sorted(maps.Keys(s)) {
		if seen += s[step]; seen >= rank {
			return middle(step)
		}
	}
	return 0
}

// middle is the time that stands for all of a step.
func middle(step int) time.Duration {
	if step == 0 {
		return time.Millisecond / 2
	}
	return time.Duration(math.Exp2((float64(step)-0.5)/perOctave) * float64(time.Millisecond))
}
