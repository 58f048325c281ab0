package outlast

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/plan"
)

// A Grounder is an engine that knows what its builder's daemon stands on.
type Grounder interface {
	Ground(context.Context) engine.Ground
}

// leastFreed is how much of the store goes, in bytes, where the disk under it
// is full and nobody says how much was asked for.
const leastFreed = 1 << 30

// inUse is how long content of the store counts as in use by other builds.
const inUse = 10 * time.Minute

// shortage says in the diagnosis how much was lacking and where, and gives the
// disk that is full what Outlast's own store has on it. Nothing of the user's
// is touched. What cannot be found out is left out.
func (b *build) shortage(ctx context.Context, step string, past *plan.Past) {
	d := &past.Diagnosis
	if d.Kind != fault.Resource || d.UserError {
		return
	}
	var g engine.Ground
	if e, ok := b.engine.(Grounder); ok {
		g = e.Ground(ctx)
	}
	if d.Service != "disk" {
		d.Hint = joined(d.Hint, asked(*d), memoryOf(g))
		return
	}
	full, ok := diskOf(g.Path)
	where := "the builder's folder " + g.Root
	if dest := b.dest(); dest != "" && strings.HasPrefix(step, "exporting to client") {
		full, ok = diskOf(dest)
		where = "the output " + dest
	}
	if !ok {
		d.Hint = joined(d.Hint, asked(*d))
		return
	}
	d.Hint = joined(fmt.Sprintf("%s is on %s, which has %s free of %s now", where, full.mount, size(full.free), size(full.all)), asked(*d), b.makeRoom(full, past), d.Hint)
}

// makeRoom frees the store where it lies on the disk that is full, and says so.
func (b *build) makeRoom(full disk, past *plan.Past) string {
	if b.mirror == nil || b.mirror.store == nil {
		return ""
	}
	own, ok := diskOf(b.Settings.Store.Path)
	if !ok || own.id != full.id {
		return ""
	}
	since := time.Now().Add(-inUse)
	if b.run.Started.Before(since) {
		since = b.run.Started
	}
	freed, err := b.mirror.store.Free(max(leastFreed, past.Diagnosis.Asked), since)
	if err != nil {
		b.note(fmt.Sprintf("the local store on the disk that is full could not be freed: %v", err))
	}
	if freed == 0 {
		return ""
	}
	past.Freed = freed
	text := fmt.Sprintf("%s of the local store %s, on the same disk, were freed", size(freed), b.Settings.Store.Path)
	b.note(text)
	return text
}

// dest is the file or folder on this machine that the build is to write.
func (b *build) dest() string {
	for _, out := range b.args().Outputs() {
		if to := out["dest"]; to != "" && to != "-" {
			return within(b.Dir, to)
		}
	}
	return ""
}

func size(bytes int64) string { return units.BytesSize(float64(bytes)) }

func asked(d diagnose.Diagnosis) string {
	if d.Asked == 0 {
		return ""
	}
	return size(d.Asked) + " were asked for"
}

// memoryOf says how much memory the builder may use: its control group's, or
// the machine's (proc_meminfo(5)).
func memoryOf(g engine.Ground) string {
	switch {
	case g.Path == "" && g.Memory == 0:
		return "" // the builder is elsewhere
	case g.Memory > 0:
		text := "the builder's control group may use " + size(g.Memory)
		if g.Killed > 0 {
			text += fmt.Sprintf(", and %d of its processes were killed for it since it began", g.Killed)
		}
		return text
	}
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return ""
	}
	fields := make(map[string]int64)
	for line := range strings.Lines(string(info)) {
		var name string
		var kib int64
		if n, _ := fmt.Sscanf(line, "%s %d", &name, &kib); n == 2 {
			fields[strings.TrimSuffix(name, ":")] = kib << 10
		}
	}
	return fmt.Sprintf("this machine has %s of memory, %s of it free now", size(fields["MemTotal"]), size(fields["MemAvailable"]))
}

// joined puts the clauses that are not empty together.
func joined(clauses ...string) string {
	var some []string
	for _, c := range clauses {
		if c != "" {
			some = append(some, c)
		}
	}
	return strings.Join(some, "; ")
}

// A disk is a file system that is mounted here.
type disk struct {
	id        uint64 // of the device
	mount     string // the folder that it begins at
	free, all int64  // in bytes, for this user
}

// diskOf returns the disk that path is on, or would be.
func diskOf(path string) (disk, bool) {
	if path == "" {
		return disk{}, false
	}
	var st unix.Stat_t
	for unix.Stat(path, &st) != nil {
		up := filepath.Dir(path)
		if up == path {
			return disk{}, false
		}
		path = up
	}
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return disk{}, false
	}
	d := disk{id: uint64(st.Dev), mount: path, free: int64(fs.Bavail) * int64(fs.Bsize), all: int64(fs.Blocks) * int64(fs.Bsize)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		d.mount = real
	}
	for {
		up := filepath.Dir(d.mount)
		if up == d.mount || unix.Stat(up, &st) != nil || uint64(st.Dev) != d.id {
			return d, true
		}
		d.mount = up
	}
}
