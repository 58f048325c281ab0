package main

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"time"
)

// A loop looks at a folder and hands on each intent file once, and again when
// it has changed.
type loop struct {
	dir    fs.FS
	every  time.Duration
	handle func(name string, size int64)

	mu    sync.Mutex
	seen  map[string]time.Time // by name, when the file was changed
	last  time.Time            // of the last look that worked
	fault error                // of the last look, nil if it worked
}

func newLoop(dir fs.FS, every time.Duration, handle func(string, int64)) *loop {
	return &loop{dir: dir, every: every, handle: handle, seen: make(map[string]time.Time)}
}

// run looks at once and then at every tick, until ctx ends.
func (l *loop) run(ctx context.Context) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		l.look(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *loop) look(now time.Time) {
	entries, err := fs.ReadDir(l.dir, ".")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = err
	if err != nil {
		return
	}
	l.last = now
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if l.seen[e.Name()].Equal(info.ModTime()) {
			continue
		}
		l.seen[e.Name()] = info.ModTime()
		l.handle(e.Name(), info.Size())
	}
}

// health says how many intents were handed on, when the last look worked, and
// what was wrong with the last one.
func (l *loop) health() (handled int, last time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen), l.last, l.fault
}
