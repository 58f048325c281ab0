package dockerfile

import (
	"cmp"
	"slices"
)

// An Edit puts text into a file.
type Edit struct {
	At   int // bytes from the beginning
	Text string
	Cut  int // how many bytes the text stands for; mostly none
}

// Apply returns src with the edits, of which no two are at the same place.
// Every other byte stays.
func Apply(src []byte, edits []Edit) []byte {
	sorted := slices.SortedFunc(slices.Values(edits), func(a, b Edit) int { return cmp.Compare(a.At, b.At) })
	var out []byte
	at := 0
	for _, e := range sorted {
		out = append(append(out, src[at:e.At]...), e.Text...)
		at = e.At + e.Cut
	}
	return append(out, src[at:]...)
}
