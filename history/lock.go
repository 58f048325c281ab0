package history

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock waits for its turn to write, until ctx ends, and returns what ends it.
// SQLite's own waiting is by chance: of two hundred processes some would be
// passed over again and again. The kernel's queue is first come, first served.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "history.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	got := make(chan error, 1)
	go func() { got <- wait(f) }()
	select {
	case err := <-got:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock: %w", err)
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		// Its turn comes all the same, and is passed on at once.
		go func() {
			<-got
			f.Close()
		}()
		return nil, fmt.Errorf("lock: %w", context.Cause(ctx))
	}
}

// locked calls f in its turn.
func (s *Store) locked(ctx context.Context, f func(context.Context) error) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return f(ctx)
}

func wait(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}
