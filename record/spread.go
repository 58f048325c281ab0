package record

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
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

// MarshalJSON writes s as an object of steps and counts. Histories have them
// by the ten thousand, which a reader of any map takes too long for.
func (s Spread) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 2+8*len(s)), '{')
	for i, step := range slices.Sorted(maps.Keys(s)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = strconv.AppendInt(b, int64(step), 10)
		b = append(b, '"', ':')
		b = strconv.AppendInt(b, int64(s[step]), 10)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, into an empty s or on top of
// what it counts. A step that cannot be is as good as the nearest that can, and
// counts of less than one are none.
func (s *Spread) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	if *s == nil {
		*s = make(Spread, bytes.Count(data, []byte{':'}))
	}
	for len(data) > 0 {
		if data[0] != '"' {
			data = data[1:] // what stands between, as JSON has it
			continue
		}
		step, rest := leadingInt(data[1:])
		n, rest := leadingInt(bytes.TrimLeft(rest, "\": \t\r\n"))
		if len(rest) == len(data) || len(rest) == 0 {
			return errSpread
		}
		if data = rest; n > 0 {
			(*s)[min(max(step, 0), maxStep)] += n
		}
	}
	return nil
}

var errSpread = errors.New("want an object of steps and counts")

// leadingInt reads the number that b begins with, 0 where it is none, and
// returns what follows. What is too large is as large as it can be.
func leadingInt(b []byte) (n int, rest []byte) {
	sign := 1
	if len(b) > 0 && b[0] == '-' {
		sign, b = -1, b[1:]
	}
	for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		n = min(n*10+int(b[0]-'0'), maxCount)
		b = b[1:]
	}
	return sign * n, b
}

// maxCount bounds what is counted, so that sums of sums do not overflow.
const maxCount = 1 << 40
