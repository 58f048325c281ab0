package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/trial"
)

// chosen are the rows of the table of outages that are cheap, and of which
// each takes another way through the program; make outages runs all of them.
var chosen = []trial.Row{
	{Place: trial.Service, Where: trial.Both, Fault: "refuses connections"},
	{Place: trial.Service, Where: trial.Mirror, Fault: "its name does not exist"},
	{Place: "tag", Where: trial.Origin, Fault: "never answers"},
	{Place: "tag", Where: trial.Both, Fault: "503 with a page"},
	{Place: "manifest", Where: trial.Both, Fault: "200 with a page, said to be JSON"},
	{Place: "manifest", Where: trial.Mirror, Fault: "resets before the answer"},
	{Place: "config", Where: trial.Both, Fault: "wrong bytes"},
	{Place: "blob", Where: trial.Both, Fault: "wrong bytes"},
	{Place: "blob", Where: trial.Both, Fault: "ends in the middle"},
	{Place: "blob", Where: trial.Mirror, Fault: "length too small"},
	{Place: "blob", Where: trial.Both, Fault: "429, Retry-After 5 s"},
	{Place: "token", Where: trial.Both, Fault: "503"},
}

// openTrial opens a bench for rows and stories, and closes it after the subtests.
func openTrial(t *testing.T) *trial.Bench {
	t.Helper()
	testenv.Root(t)
	b, err := trial.Open(t.Context(), testenv.TempDir(t))
	testenv.Need(t, err)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// The tests of this file do not run beside others: they change what names mean.
func TestRowsOfTheTableOfOutages(t *testing.T) {
	b := openTrial(t)
	all := trial.Rows()
	for _, c := range chosen {
		i := slices.IndexFunc(all, func(r trial.Row) bool {
			return r.Place == c.Place && r.Where == c.Where && r.Fault == c.Fault
		})
		if i < 0 {
			t.Errorf("the table has no row %v", c)
			continue
		}
		t.Run(all[i].String(), func(t *testing.T) {
			t.Parallel()
			r, err := b.Outlast(t.Context(), all[i], time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != trial.Built {
				t.Errorf("got %s with exit code %d after %v, want a build:\n%s", r.Outcome, r.Code, r.Took, r.Log)
			}
		})
	}
}

func TestABuildKitThatKeptSpoiledBytes(t *testing.T) {
	b := openTrial(t)
	stories := trial.Stories()
	i := slices.IndexFunc(stories, func(s trial.Story) bool { return s.Title == "A BuildKit that has kept spoiled bytes" })
	if i < 0 {
		t.Fatal("the table has no such story")
	}
	if _, err := stories[i].Run(t.Context(), b); err != nil {
		t.Error(err)
	}
}
