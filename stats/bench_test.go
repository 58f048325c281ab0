package stats_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/stats"
)

// BenchmarkAYear puts together the sums of a year of a million builds,
// as the history reads them.
func BenchmarkAYear(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var day stats.Day
	for range 2740 {
		day.Add(runs.Synthetic(r, begin))
	}
	text, err := json.Marshal(day.Tally)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		days := make([]stats.Day, 365)
		for i := range days {
			days[i].Day = begin.Add(time.Duration(i) * 24 * time.Hour)
			if err := json.Unmarshal(text, &days[i].Tally); err != nil {
				b.Fatal(err)
			}
		}
		stats.Of(days)
	}
}
