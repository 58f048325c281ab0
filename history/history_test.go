package history_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/record"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// run is the n-th run of a project: one every minute.
func run(n int) record.Run {
	at := begin.Add(time.Duration(n) * time.Minute)
	return record.Run{
		ID: fmt.Sprintf("RUN%05d", n), Kind: record.KindBuild, Version: "v1", Started: at, Ended: at.Add(time.Second), Outcome: record.Built, Strategy: "optimal",
		Context:  record.Context{Repo: "example.com/app", Branch: "main"},
		Attempts: []record.Attempt{{Started: at, Ended: at.Add(time.Second), Strategy: "optimal", Steps: 3}},
		Services: []record.Service{{Endpoint: "r.example.com", Serves: "docker.io", Asked: 3, Bytes: 1 << 40,
			Failed: map[fault.Kind]int{fault.Outage: 1}, Latency: record.Spread(nil).Add(time.Second)}},
	}
}

// warnings are what a store said.
type warnings []string

func open(t *testing.T, dir string, said *warnings) *history.Store {
	t.Helper()
	s, err := history.Open(t.Context(), dir, history.Options{Warn: func(w string) {
		if said == nil {
			t.Errorf("unexpected warning: %s", w)
			return
		}
		*said = append(*said, w)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func add(t *testing.T, s *history.Store, runs ...record.Run) int {
	t.Helper()
	n, err := s.Add(t.Context(), runs...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ids are the IDs of the runs that q means.
func ids(t *testing.T, s *history.Store, q history.Query) string {
	t.Helper()
	runs, err := s.Runs(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range runs {
		all = append(all, r.ID)
	}
	return strings.Join(all, " ")
}

func TestARunComesOutAsItWentIn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "outlast")
	s := open(t, dir, nil)
	want := run(1)
	if got := add(t, s, want, want); got != 1 {
		t.Errorf("added %d, want 1: the same ID is the same run", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, nil)
	got, err := s.Get(t.Context(), want.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("got mode %v, %v: others may read it", info.Mode(), err)
	}
}

func TestQueries(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	runs := []record.Run{run(0), run(1), run(2), run(3), run(4)}
	runs[1].Outcome = record.NoSource
	runs[2].Context = record.Context{Repo: "example.com/other", Branch: "fix/'; DROP TABLE runs; --"}
	runs[3].Kind, runs[3].Outcome = record.KindCheck, record.Checked
	runs[4].Started, runs[4].Strategy = runs[1].Started, "emergency" // as old as another
	add(t, s, runs...)
	for _, tt := range []struct {
		name string
		q    history.Query
		want string
	}{
		{"all, the newest first", history.Query{}, "RUN00003 RUN00002 RUN00004 RUN00001 RUN00000"},
		{"the newest two", history.Query{Limit: 2}, "RUN00003 RUN00002"},
		{"the next two", history.Query{Limit: 2, Before: "RUN00002"}, "RUN00004 RUN00001"},
		{"those after one of the same time", history.Query{Before: "RUN00004"}, "RUN00001 RUN00000"},
		{"after one that is not there", history.Query{Before: "RUN9"}, ""},
		{"since", history.Query{Since: runs[2].Started}, "RUN00003 RUN00002"},
		{"until", history.Query{Until: runs[1].Started}, "RUN00000"},
		{"by repository", history.Query{Repo: "example.com/other"}, "RUN00002"},
		{"by branch, whatever it is called", history.Query{Branch: runs[2].Context.Branch}, "RUN00002"},
		{"by outcome", history.Query{Outcome: record.NoSource}, "RUN00001"},
		{"by kind", history.Query{Kind: record.KindCheck}, "RUN00003"},
		{"by strategy", history.Query{Strategy: "emergency"}, "RUN00004"},
		{"by several", history.Query{Repo: "example.com/app", Outcome: record.Built, Limit: 1}, "RUN00004"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(t, s, tt.q); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGet(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	if _, err := s.Get(t.Context(), history.Last); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing, last: got %v, want fs.ErrNotExist", err)
	}
	add(t, s, run(10), run(11), run(110))
	short := run(12)
	short.ID = "RUN0001"
	add(t, s, short)
	for _, tt := range []struct {
		id, want string
		err      error
	}{
		{history.Last, "RUN00110", nil},
		{"RUN00010", "RUN00010", nil},
		{"RUN001", "RUN00110", nil},
		{"RUN0001", "RUN0001", nil}, // whole, although others begin so
		{"RUN000", "", history.ErrAmbiguous},
		{"NONE", "", fs.ErrNotExist},
		{"", "", fs.ErrNotExist},
		{"%", "", fs.ErrNotExist},
	} {
		got, err := s.Get(t.Context(), tt.id)
		if got.ID != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %q and %v, want %q and %v", tt.id, got.ID, err, tt.want, tt.err)
		}
	}
}

func TestEachEndsWithTheErrorOfWhoIsCalled(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	add(t, s, run(1), run(2))
	enough, n := errors.New("enough"), 0
	err := s.Each(t.Context(), history.Query{}, func(record.Run) error { n++; return enough })
	if err != enough || n != 1 {
		t.Errorf("got %v after %d runs, want %v after 1", err, n, enough)
	}
}

func TestAddRefuses(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	for name, change := range map[string]func(*record.Run){
		"no ID":                func(r *record.Run) { r.ID = "" },
		"an ID that is a path": func(r *record.Run) { r.ID = "../x" },
		"an ID with an escape": func(r *record.Run) { r.ID = "\x1b[31m" },
		"no beginning":         func(r *record.Run) { r.Started = time.Time{} },
		"far too long":         func(r *record.Run) { r.Error = strings.Repeat("x", history.MaxRecord) },
	} {
		r := run(1)
		change(&r)
		if n, err := s.Add(t.Context(), run(0), r); err == nil || n != 0 {
			t.Errorf("%s: got %d and no error", name, n)
		}
	}
	if got := ids(t, s, history.Query{}); got != "" {
		t.Errorf("got %s, want nothing: all or none are kept", got)
	}
}

func TestLongRunsLoseTheirStepsAndNotTheirStory(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	r := run(1)
	r.Attempts[0].Cause = "why"
	for range record.MaxSteps * 3 {
		r.Attempts[0].Ran = append(r.Attempts[0].Ran, record.Step{Name: strings.Repeat("x", record.MaxLine)})
	}
	add(t, s, r)
	got, err := s.Get(t.Context(), r.ID)
	if err != nil || len(got.Attempts) != 1 || got.Attempts[0].Cause != "why" || len(got.Attempts[0].Ran) != 0 {
		t.Errorf("got %v, %+v", err, got)
	}
	if len(r.Attempts[0].Ran) == 0 {
		t.Error("the caller's run was changed")
	}
}

func TestAddGivesUpWithItsContext(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Add(ctx, run(1)); err == nil {
		t.Error("got no error, want one")
	}
	add(t, s, run(2)) // and the turn was given back
}
