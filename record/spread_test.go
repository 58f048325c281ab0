package record_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/record"
)

func TestSpreadTellsTimesWithinItsSteps(t *testing.T) {
	var times []time.Duration
	var one, two record.Spread
	for i := range 1001 {
		d := time.Duration(i*i*i)*time.Microsecond + time.Millisecond
		times = append(times, d)
		if i%2 == 0 {
			one = one.Add(d)
		} else {
			two = two.Add(d)
		}
	}
	all := record.Spread(nil).Merge(one).Merge(two)
	slices.Sort(times)
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0, times[0]}, {0.5, times[500]}, {0.9, times[900]}, {1, times[1000]}} {
		got := all.Quantile(tt.q)
		if off := float64(got-tt.want) / float64(tt.want); off > 0.0225 || off < -0.0225 {
			t.Errorf("quantile %g: got %s, want %s within 2.2 percent", tt.q, got, tt.want)
		}
	}
	if got := all.Count(); got != len(times) {
		t.Errorf("got %d times, want %d", got, len(times))
	}
}

func TestSpreadTakesWhatNoClockSays(t *testing.T) {
	var s record.Spread
	if s.Quantile(0.5) != 0 || s.Count() != 0 {
		t.Errorf("an empty one tells %s of %d", s.Quantile(0.5), s.Count())
	}
	s = s.Add(-time.Hour).Add(0).Add(1 << 62)
	if err := json.Unmarshal([]byte(`{"-5": 2, "99999999":1 ,"3":-4}`), &s); err != nil {
		t.Fatal(err)
	}
	if got := record.Spread(nil).Merge(s).Count(); got != 6 {
		t.Errorf("got %d times, want the 3 that were added and the 3 that were read", got)
	}
}

func TestSpreadIsReadAsItWasWritten(t *testing.T) {
	var want record.Spread
	for n := range 300 {
		want = want.Add(time.Duration(n*n) * time.Millisecond)
	}
	text, err := json.Marshal(map[string]record.Spread{"a": want, "none": nil})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]record.Spread
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int]int(want), map[int]int(got["a"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{"1":2,"x":"y"`, `{"1"}`, `7"`} {
		var s record.Spread
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}

func FuzzSpread(f *testing.F) {
	f.Add([]byte(`{"1":2,"-3":9999999999999999999}`))
	f.Add([]byte(`{"a":"b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s record.Spread
		if json.Unmarshal(data, &s) != nil {
			return
		}
		if n := record.Spread(nil).Merge(s).Count(); n < 0 || s.Quantile(0.5) < 0 {
			t.Errorf("got %d of %v", n, s)
		}
	})
}
