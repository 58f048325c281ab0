package main

import (
	"fmt"
	"slices"
	"time"
)

// rounds is how often everything is measured: in turns, so that what else the
// machine does strikes all alike.
const rounds = 3

// turns measures each side in turn, n times, and returns the median of each.
func turns(n int, sides ...func() (time.Duration, error)) ([]time.Duration, error) {
	took := make([][]time.Duration, len(sides))
	for range n {
		for i, side := range sides {
			d, err := side()
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], d)
		}
	}
	medians := make([]time.Duration, len(sides))
	for i := range took {
		medians[i] = median(took[i])
	}
	return medians, nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	middle := len(d) / 2
	if len(d)%2 == 1 {
		return d[middle]
	}
	return (d[middle-1] + d[middle]) / 2
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
func millis(d time.Duration) string  { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// ratio is b in units of a.
func ratio(a, b time.Duration) float64 { return b.Seconds() / a.Seconds() }
