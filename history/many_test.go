package history_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outlast-build/outlast/history"
)

// writer is set in the processes that TestMain makes of this program: they keep
// runs in that folder.
const writer = "OUTLAST_TEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writer); dir != "" {
		os.Exit(keepRuns(dir, os.Args[1]))
	}
	os.Exit(m.Run())
}

// keepRuns keeps a run, or runs without end, and says of each that it is kept
// and how long that took.
func keepRuns(dir, name string) int {
	endless := strings.HasSuffix(name, "x")
	for n := 0; n == 0 || endless; n++ {
		r := run(n)
		r.ID = fmt.Sprintf("%s-%d", name, n)
		began := time.Now()
		_, err := history.Keep(context.Background(), dir, history.Options{}, r)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(r.ID, time.Since(began).Milliseconds())
	}
	return 0
}

// process starts one of those.
func process(t *testing.T, dir, name string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], name)
	cmd.Env = append(os.Environ(), writer+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

func TestTwoHundredProcessesAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 200 processes")
	}
	processes, limit := 200, 1000
	if raced {
		processes, limit = 20, 20_000
	}
	dir := t.TempDir()
	var mu sync.Mutex
	var all sync.WaitGroup
	kept, slowest := make(map[string]bool), 0
	before := load(t)
	for n := range processes {
		cmd, lines := process(t, dir, fmt.Sprint("P", n))
		all.Go(func() {
			for lines.Scan() {
				var id string
				var took int
				if _, err := fmt.Sscan(lines.Text(), &id, &took); err != nil {
					t.Error(err)
				}
				mu.Lock()
				kept[id], slowest = true, max(slowest, took)
				mu.Unlock()
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := strings.Fields(ids(t, open(t, dir, nil), history.Query{}))
	if len(got) != processes || len(kept) != processes {
		t.Errorf("got %d runs, of %d that were kept; want %d", len(got), len(kept), processes)
	}
	if before > 0.5*float64(runtime.NumCPU()) {
		t.Logf("this machine does other things (load %.1f): the limit is ten times as long", before)
		limit *= 10
	}
	t.Logf("the slowest of %d waited %d ms", processes, slowest)
	if slowest > limit {
		t.Errorf("one waited %d ms, want no more than %d", slowest, limit)
	}
	days, err := open(t, dir, nil).Days(t.Context(), time.Time{}, time.Time{}, "")
	if err != nil || len(days) != 1 || days[0].Builds != processes {
		t.Errorf("got %v, %+v, want one day of %d", err, days, processes)
	}
}

// load is how many processes wanted to work in the last minute.
func load(t *testing.T) float64 {
	t.Helper()
	var n float64
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &n)
	}
	if err != nil {
		t.Logf("the load is not known: %v", err)
	}
	return n
}

// TestWhatWasKeptOutlivesAKill kills processes in the midst of their work,
// again and again.
func TestWhatWasKeptOutlivesAKill(t *testing.T) {
	dir := t.TempDir()
	var kept []string
	for round := range 12 {
		cmd, lines := process(t, dir, fmt.Sprintf("K%dx", round))
		for n := 0; n < 3+round && lines.Scan(); n++ {
			id, _, _ := strings.Cut(lines.Text(), " ")
			kept = append(kept, id)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it ended
			if id, _, ok := strings.Cut(lines.Text(), " "); ok {
				kept = append(kept, id)
			}
		}
		_ = cmd.Wait() // it was killed
	}
	s := open(t, dir, nil)
	if len(kept) < 12*3 {
		t.Fatalf("only %d runs were kept", len(kept))
	}
	for _, id := range kept {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("%s was kept, and is lost: %v", id, err)
		}
	}
	days, err := s.Days(t.Context(), time.Time{}, time.Time{}, "")
	if err != nil {
		t.Fatal(err)
	}
	builds := 0
	for _, d := range days {
		builds += d.Builds
	}
	if got := len(strings.Fields(ids(t, s, history.Query{}))); got != builds || got < len(kept) {
		t.Errorf("got %d runs and sums of %d, of %d that were kept", got, builds, len(kept))
	}
}
