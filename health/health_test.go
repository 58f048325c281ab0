package health_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func seen(endpoint string, after time.Duration, kind fault.Kind) health.Observation {
	return health.Observation{Endpoint: endpoint, At: start.Add(after), Took: 10 * time.Millisecond, Kind: kind}
}

func TestRank(t *testing.T) {
	const minute = time.Minute
	for _, tt := range []struct {
		name string
		seen []health.Observation
		at   time.Duration
		want []string
	}{
		{"nothing known, the order of the settings", nil, 0, []string{"a", "b", "c"}},
		{"a failure puts one behind", []health.Observation{seen("a", 0, fault.Timeout)}, 0, []string{"b", "c", "a"}},
		{"two failures are worse than one", []health.Observation{
			seen("a", 0, fault.Outage), seen("a", 0, fault.Outage), seen("b", 0, fault.Outage)}, 0, []string{"c", "b", "a"}},
		{"a failure fades", []health.Observation{seen("a", 0, fault.Timeout)}, 30 * minute, []string{"a", "b", "c"}},
		{"success makes good", append(repeat(seen("a", time.Second, fault.None), 30), seen("a", 0, fault.Outage)), 0, []string{"a", "b", "c"}},
		{"a 404 is an answer", repeat(seen("a", 0, fault.NotFound), 5), 0, []string{"a", "b", "c"}},
		{"a cancelled request says nothing", repeat(seen("a", 0, fault.Canceled), 5), 0, []string{"a", "b", "c"}},
		{"a clock that jumps back does no harm", []health.Observation{seen("a", 0, fault.Timeout)}, -minute, []string{"b", "c", "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b health.Board
			for _, o := range tt.seen {
				b.Record(o)
			}
			given := []string{"a", "b", "c"}
			got := b.Snapshot(start.Add(tt.at)).Rank(given)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rank (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"a", "b", "c"}, given); diff != "" {
				t.Errorf("the argument was changed:\n%s", diff)
			}
		})
	}
}

func TestLatencies(t *testing.T) {
	var b health.Board
	for i := 1; i <= 20; i++ {
		o := seen("a", 0, fault.None)
		o.Took = time.Duration(i) * time.Millisecond
		b.Record(o)
	}
	failed := seen("a", 0, fault.Timeout)
	failed.Took = time.Hour
	b.Record(failed)
	got := b.Snapshot(start).Standing("a")
	if got.Seen != 20 || got.P50 != 10*time.Millisecond || got.P95 != 19*time.Millisecond {
		t.Errorf("got %d seen, p50 %v, p95 %v, want 20, 10ms, 19ms: failures have no latency", got.Seen, got.P50, got.P95)
	}
}

func TestSnapshotDoesNotChange(t *testing.T) {
	var b health.Board
	s := b.Snapshot(start)
	b.Record(seen("a", 0, fault.Timeout))
	if got := s.Score("a"); got != 1 {
		t.Errorf("got score %v in the old snapshot, want 1", got)
	}
}

func TestBoardIsBounded(t *testing.T) {
	var b health.Board
	b.Record(seen("first", 0, fault.Timeout))
	for i := range 5000 {
		b.Record(seen(fmt.Sprint(i), time.Duration(i+1), fault.Timeout))
	}
	s := b.Snapshot(start)
	if s.Score("first") != 1 || s.Score("4999") == 1 {
		t.Errorf("got scores %v and %v, want the oldest forgotten and the newest kept", s.Score("first"), s.Score("4999"))
	}
}

func repeat(o health.Observation, n int) []health.Observation {
	all := make([]health.Observation, n)
	for i := range all {
		all[i] = o
	}
	return all
}
