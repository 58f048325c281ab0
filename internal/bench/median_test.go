package main

import (
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []time.Duration
		want time.Duration
	}{
		{"the middle of an odd number", []time.Duration{9, 1, 5}, 5},
		{"between the two in the middle", []time.Duration{1, 8, 4, 6}, 5},
		{"of one", []time.Duration{3}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.in); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSidesTakeTurns(t *testing.T) {
	var order string
	side := func(name string, d time.Duration) func() (time.Duration, error) {
		return func() (time.Duration, error) { order += name; return d, nil }
	}
	got, err := turns(2, side("a", 1), side("b", 2))
	if err != nil || order != "abab" || got[0] != 1 || got[1] != 2 {
		t.Errorf("got %v, %v in order %q, want [1 2] in order abab", got, err, order)
	}
}
