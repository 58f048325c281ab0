// Command demo shows an outage: real base images, served by registries on
// loopback that fail by script, built by stock buildx and then by outlast. It
// says what it does, cleans up after itself, and ends with 0 only where all
// went as it told. It is no part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/containerd/console"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes.
const (
	asTold      = 0
	otherwise   = 1 // something went otherwise than told
	usage       = 2
	interrupted = 130
)

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	full := flags.Bool("full", false, "show every line that the builds print")
	limit := flags.Duration("limit", 10*time.Second, "how long stock buildx may hang before it is cut")
	if err := flags.Parse(args); err != nil {
		return usage
	}
	// Children get a signal when the thread ends that started them: keep it.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A reader who goes away ends it too, in good order: by the failing write,
	// since the signal comes for each connection that a client has closed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	p := newPaper(ending{stdout, stop}, colored(stdout, os.Getenv))
	p.title("Outlast: an image built through an outage")
	began := time.Now()
	err := show(ctx, p, *full, *limit)
	var left *leftError
	switch {
	case err == nil:
		p.gap()
		p.text("Neither the Dockerfile nor buildkitd.toml was changed for outlast. All that ran here is stopped, and what it made is removed, but for the report and the history. It took %.0f s.", time.Since(began).Seconds())
		return asTold
	case errors.As(err, &left):
		fmt.Fprintf(stderr, "demo: %v\n", left)
		return otherwise
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "demo: interrupted; everything is stopped and removed")
		return interrupted
	}
	fmt.Fprintf(stderr, "demo: %v\n", err)
	return otherwise
}

// ending is a writer that calls end where nobody reads any more.
type ending struct {
	io.Writer
	end func()
}

func (e ending) Write(b []byte) (int, error) {
	n, err := e.Writer.Write(b)
	if err != nil {
		e.end()
	}
	return n, err
}

// colored reports whether colours may be written to w: a terminal that can,
// whose user did not say no (no-color.org).
func colored(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(console.File)
	if !ok || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return false
	}
	_, err := console.ConsoleFromFile(f)
	return err == nil
}
