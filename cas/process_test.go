package cas_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

// Processes that write, commit, read and evict are killed again and again, two
// at a time on one store. Whoever opens it then is given right bytes or none.
func TestKilledAtAnyMoment(t *testing.T) {
	const kills = 200
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	var living [2]*child
	for i := range living {
		living[i] = startChild(t, "churn", dir, r.Uint64())
	}
	for i := range kills {
		c := living[i%len(living)]
		c.wait(1 + r.Int64N(60))
		c.kill()
		living[i%len(living)] = startChild(t, "churn", dir, r.Uint64())
		if i%10 == 0 {
			checkStore(t, dir)
		}
		if t.Failed() {
			return
		}
	}
	for _, c := range living {
		c.kill()
	}
	checkStore(t, dir)
	s := open(t, dir, churnLimit)
	if left := files(t, dir, "spool"); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
	for i := range churnContents {
		put(t, s, churnData(i))
	}
	must(t, s.Trim())
	u, err := s.Usage()
	must(t, err)
	if u.Entries == 0 || u.Bytes > churnLimit {
		t.Errorf("got %+v, want some entries within the limit", u)
	}
}

// checkStore opens the store in dir as a new process does, and reads all.
func checkStore(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir, 0)
	defer s.Close()
	must(t, s.Walk(func(e cas.Entry) error { return readsRight(s, e.Digest) }))
	for i := range churnContents {
		if err := readsRight(s, digest.FromBytes(churnData(i))); err != nil {
			t.Error(err)
		}
	}
	// No kill may leave half of anything at a place where it is read.
	if bad := files(t, dir, "quarantine"); len(bad) > 0 {
		t.Errorf("found damaged: %q", bad)
	}
	names, err := s.Names("")
	must(t, err)
	if records := files(t, dir, "names"); len(records) < len(names) {
		t.Errorf("%d records, %d names", len(records), len(names))
	}
	for _, path := range files(t, dir, "names") {
		data, err := os.ReadFile(path)
		if err == nil && len(data) == 0 {
			t.Errorf("%s is empty", path)
		}
	}
}

// Two processes and this one keep one limit together.
func TestSeveralProcesses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, churnLimit)
	one, two := startChild(t, "churn", dir, 1), startChild(t, "churn", dir, 2)
	var wg sync.WaitGroup
	for _, c := range []*child{one, two} {
		wg.Go(func() { c.wait(1500) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	r := rand.New(rand.NewPCG(3, 0))
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			data := churnData(r.IntN(churnContents))
			put(t, s, data)
			must(t, readsRight(s, digest.FromBytes(data)))
		}
	}
	one.kill()
	two.kill()
	u, err := s.Usage()
	must(t, err)
	// Each may have added a twentieth since it last looked, and one content.
	if slack := int64(3 * (churnLimit/20 + 1<<17)); u.Bytes > churnLimit+slack {
		t.Errorf("got %d bytes, want little more than %d", u.Bytes, churnLimit)
	}
	if bad := files(t, dir, "quarantine"); len(bad) > 0 {
		t.Errorf("set aside: %q", bad)
	}
}

// A spool belongs to its process for as long as that lives.
func TestSpoolsOfTheDeadAreCollected(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, "spool", dir, 0)
	c.wait(1)
	mine := create(t, open(t, dir, 0))
	write(t, mine, []byte("mine"))
	must(t, open(t, dir, 0).Trim())
	alive := files(t, dir, "spool")
	if len(alive) != 4 {
		t.Errorf("got %d spools while both processes live, want 4", len(alive))
	}
	c.kill()
	// What is no spool is not ours to remove.
	must(t, os.Mkdir(filepath.Join(dir, "spool", "folder"), 0o700))
	open(t, dir, 0)
	left := files(t, dir, "spool")
	if len(left) != 1 || !slices.Contains(alive, left[0]) {
		t.Errorf("got spools %q after one process died, want the other's", left)
	}
	must(t, mine.Commit(digest.FromString("mine")))
}
