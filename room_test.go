package outlast_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/record"
)

// A crowded engine builds on a disk, and fails when it is full.
type crowded struct {
	dir    string
	needs  int // bytes
	memory int64
	runs   int
}

func (c *crowded) Ground(context.Context) engine.Ground {
	return engine.Ground{Root: "/var/lib/buildkit", Path: c.dir, Memory: c.memory, Killed: 1}
}

func (c *crowded) Build(ctx context.Context, req engine.Request, emit func(engine.Event)) (engine.Result, error) {
	c.runs++
	e := enginetest.Engine{}
	err := os.WriteFile(filepath.Join(c.dir, "layer"), make([]byte, c.needs), 0o600)
	os.Remove(filepath.Join(c.dir, "layer")) // BuildKit drops what did not come to its end
	switch {
	case c.memory > 0:
		e.Scripts = []enginetest.Script{fails("[2/2] RUN make", "c++: fatal error: Killed signal terminated program cc1plus\n", exit1)}
	case err != nil:
		e.Scripts = []enginetest.Script{fails("[2/2] RUN make", fmt.Sprintf("write /out: %v\n", syscall.ENOSPC), exit1)}
	}
	return e.Build(ctx, req, emit)
}

func TestOutOfDiskAndMemory(t *testing.T) {
	testenv.Root(t)
	for _, tt := range []struct {
		name     string
		kept     int // bytes of old content in the store
		needs    int // bytes that a build needs of 8 MiB
		memory   int64
		attempts int
		outcome  record.Outcome
		told     string
	}{
		{"the store makes room", 4 << 20, 6 << 20, 0, 2, record.Built, "4MiB of the local store"},
		{"the room is not enough, once", 4 << 20, 9 << 20, 0, 2, record.Failed, "the builder's folder /var/lib/buildkit is on"},
		{"the store has nothing to give", 0, 9 << 20, 0, 1, record.Failed, "free of 8MiB"},
		{"memory", 0, 0, 512 << 20, 1, record.Failed, "the builder's control group may use 512MiB, and 1 of its processes were killed for it since it began"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
			s.settings.Store.Path = filepath.Join(dir, "store")
			var kept string
			if tt.kept > 0 {
				kept = testenv.OldContent(t, s.settings.Store.Path, tt.kept)
			}
			s.write(t, "Dockerfile", "FROM scratch\nCOPY . .\n")
			e := &crowded{dir: dir, needs: tt.needs, memory: tt.memory}
			var told []string
			run, err := outlast.Build(t.Context(), outlast.Options{Args: []string{"."}, Dir: s.dir, Env: []string{}, Settings: s.settings, Engine: e,
				Note: func(line string) { told = append(told, line) }})
			if run.Outcome != tt.outcome || e.runs != tt.attempts {
				t.Errorf("got %s after %d attempts, %v, want %s after %d", run.Outcome, e.runs, err, tt.outcome, tt.attempts)
			}
			all := strings.Join(told, "\n")
			for _, a := range run.Attempts {
				if a.Diagnosis != nil {
					all += "\n" + a.Diagnosis.Hint
				}
			}
			if !strings.Contains(all, tt.told) {
				t.Errorf("got told %q, want %q", all, tt.told)
			}
			if _, err := os.Stat(kept); tt.kept > 0 && !os.IsNotExist(err) {
				t.Errorf("the old content: got %v, want that it went", err)
			}
		})
	}
}
