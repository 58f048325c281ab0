// Package live lets builds that run tell of themselves. Each listens on a
// socket in a folder, and hands its record, as far as it came, to whoever
// connects: nothing is written while nobody looks, and a build that was killed
// leaves a socket that nobody answers on, which the next reader removes. The
// package decides nothing, and whoever hands it a record has redacted it.
package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/outlast-build/outlast/record"
)

// The bounds of a look.
const (
	answer  = time.Second // until a build has told all
	maxSize = 1 << 20     // bytes of its record
	most    = 100         // builds that are looked at
)

const ending = ".sock"

// maxPath is what fits into a socket's address, sun_path of unix(7) less its
// end.
const maxPath = 107

// Announce listens in the folder dir, which it makes for its owner alone where
// there is none, and answers with what snapshot returns, from a goroutine of its own, until stop is
// called. The name is one that no other build has.
func Announce(dir, name string, snapshot func() record.Run) (stop func(), err error) {
	path := filepath.Join(dir, name+ending)
	if len(path) > maxPath {
		return nil, fmt.Errorf("announce the build: %s is too long for a socket", path)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("announce the build: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("announce the build: %w", err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(answer) // out of files, for example
				continue
			}
			_ = c.SetDeadline(time.Now().Add(answer))
			_ = json.NewEncoder(c).Encode(snapshot()) // who left is not told
			c.Close()
		}
	})
	return func() { l.Close(); done.Wait() }, nil
}

// Running asks the builds that announced themselves in dir, all at once, and
// returns their records, the one that began last first. One that does not
// answer in time is left out.
func Running(dir string) []record.Run {
	entries, _ := os.ReadDir(dir)
	var mu sync.Mutex
	var all []record.Run
	var asked sync.WaitGroup
	for _, e := range entries[:min(len(entries), most)] {
		if !strings.HasSuffix(e.Name(), ending) || e.Type()&os.ModeSocket == 0 {
			continue
		}
		asked.Go(func() {
			if r, err := ask(filepath.Join(dir, e.Name())); err == nil {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, r)
			}
		})
	}
	asked.Wait()
	slices.SortFunc(all, func(a, b record.Run) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

func ask(path string) (record.Run, error) {
	var r record.Run
	c, err := net.DialTimeout("unix", path, answer)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return r, errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return r, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answer)); err != nil {
		return r, err
	}
	err = json.NewDecoder(io.LimitReader(c, maxSize)).Decode(&r)
	return r, err
}
