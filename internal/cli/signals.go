package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// interrupts ends the context that it returns at the first signal to end, and
// closes kill at the second. The third meets the system's own answer. The
// caller calls stop when the work is done.
func interrupts(ctx context.Context) (_ context.Context, kill <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	wanted := []os.Signal{os.Interrupt, syscall.SIGTERM}
	// nohup asks to live on when the terminal goes.
	if !signal.Ignored(syscall.SIGHUP) {
		wanted = append(wanted, syscall.SIGHUP)
	}
	signal.Notify(signals, wanted...)
	killed, done := make(chan struct{}), make(chan struct{})
	go func() {
		for _, act := range []func(){func() { cancel(errInterrupted) }, func() { close(killed) }} {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
		signal.Stop(signals)
	}()
	return ctx, killed, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
