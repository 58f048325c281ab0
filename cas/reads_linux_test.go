package cas_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

// bytesRead returns how many bytes this process has read by system calls.
func bytesRead(t *testing.T) (n int64) {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip(err)
	}
	_, err = fmt.Sscanf(string(stat), "rchar: %d", &n)
	must(t, err)
	return n
}

func TestContentIsReadNoOftenerThanItTakes(t *testing.T) {
	const size = 8 << 20
	data := noise(1, size)
	d := digest.FromBytes(data)
	dir := t.TempDir()
	s, next := open(t, dir, 0), open(t, dir, 0)
	for _, tt := range []struct {
		name string
		do   func(t *testing.T)
		want int64 // times the size
	}{
		{"committed after writes in order: never", func(t *testing.T) {
			w := create(t, s)
			for part := range strings.SplitAfterSeq(string(data), "\x00") {
				write(t, w, []byte(part))
			}
			must(t, w.Commit(d))
		}, 0},
		{"committed after a second start: never", func(t *testing.T) {
			w := create(t, open(t, t.TempDir(), 0))
			write(t, w, data[:size/2])
			must(t, w.Truncate(0))
			write(t, w, data)
			must(t, w.Commit(d))
		}, 0},
		{"opened by who has written it: never", func(t *testing.T) {
			c, err := s.Get(d)
			must(t, err)
			c.Close()
		}, 0},
		{"first opened, by many at once: once", func(t *testing.T) {
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					c, err := next.Get(d)
					if err != nil {
						t.Error(err)
						return
					}
					c.Close()
				})
			}
			wg.Wait()
		}, 1},
		{"opened again: never", func(t *testing.T) {
			c, err := next.Get(d)
			must(t, err)
			c.Close()
		}, 0},
		{"committed after ranges at once: less than once", func(t *testing.T) {
			w := create(t, open(t, t.TempDir(), 0))
			parallel(t, w, data, 4, 32<<10)
			must(t, w.Verify(d), w.Verify(d), w.Commit(d))
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := bytesRead(t)
			tt.do(t)
			if got := bytesRead(t) - before; got > tt.want*size+size/4 {
				t.Errorf("read %d bytes of %d, want %d times as many", got, size, tt.want)
			}
		})
	}
}
