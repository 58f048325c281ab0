package history_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/record"
)

// bounded opens a history with bounds, of an hour that is given.
func bounded(t *testing.T, dir string, o history.Options) *history.Store {
	t.Helper()
	s, err := history.Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRunsThatAreTooOldAreDropped(t *testing.T) {
	dir := t.TempDir()
	const day = 24 * 60 // in minutes, as runs come
	add(t, open(t, dir, nil), run(0), run(day), run(2*day), run(2*day+1))
	now := run(3 * day).Started
	s := bounded(t, dir, history.Options{MaxAge: 24 * time.Hour, Now: func() time.Time { return now }})
	add(t, s, run(3*day))
	add(t, s, run(3*day+1))
	if got := ids(t, s, history.Query{}); got != "RUN04321 RUN04320 RUN02881 RUN02880" {
		t.Errorf("got %q, want those of the last day", got)
	}
	days, err := s.Days(t.Context(), time.Time{}, time.Time{}, "")
	if err != nil || len(days) != 2 || days[0].Builds != 2 {
		t.Errorf("got %v, %+v, want two days of two", err, days)
	}
}

func TestAClockThatJumpsCostsFew(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir)
	s := bounded(t, dir, history.Options{MaxAge: time.Hour, Now: func() time.Time { return begin.AddDate(100, 0, 0) }})
	add(t, s, run(1))
	if got := len(strings.Fields(ids(t, s, history.Query{}))); got < 200-102 {
		t.Errorf("got %d runs left of 200", got)
	}
}

func TestTheFileStaysWithinItsSize(t *testing.T) {
	dir := t.TempDir()
	const limit = 1 << 20
	s := bounded(t, dir, history.Options{MaxSize: limit})
	long := func(n int) record.Run {
		r := run(n)
		for i := range 20 {
			r.Notes = append(r.Notes, noise(n*100+i))
		}
		return r
	}
	var runs []record.Run
	for n := range 1500 {
		if runs = append(runs, long(n)); len(runs) == 100 {
			add(t, s, runs...)
			runs = nil
		}
	}
	for n := range 40 {
		add(t, s, long(2000+n))
	}
	path := s.Path()
	got := strings.Fields(ids(t, s, history.Query{}))
	if len(got) < 100 || got[0] != "RUN02039" || got[len(got)-1] == "RUN00000" {
		t.Errorf("got %d runs, %s to %s: want the newest", len(got), got[0], got[len(got)-1])
	}
	s.Close()
	info, err := os.Stat(path)
	if err != nil || info.Size() > limit*5/4 {
		t.Errorf("the file has %d bytes, %v; its limit is %d", info.Size(), err, limit)
	}
}

// noise is text that no compression makes small.
func noise(seed int) string {
	var b strings.Builder
	x := uint64(seed)*2654435761 + 1
	for range 60 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteByte('!' + byte(x%90))
	}
	return b.String()
}
