// Command conductor-loop watches a folder of intents, hands each to a worker
// once, and says over HTTP whether it is well.
//
// It is a small but whole service: it is what the documentation, the demo and
// the end-to-end tests of Outlast build.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// What was built; the Dockerfile sets these with -ldflags.
var (
	service   = "conductor-loop"
	version   = "devel"
	buildDate = "unknown"
	vcsRef    = "unknown"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conductor-loop:", err)
		os.Exit(1)
	}
}

// run is the program: it returns when ctx ends and the last request is answered.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("conductor-loop", flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "address for /healthz and /version")
	dir := flags.String("intents", "/var/lib/conductor/intents", "folder to watch")
	every := flags.Duration("every", 2*time.Second, "time between two looks")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *show {
		_, err := fmt.Fprintln(stdout, versionLine())
		return err
	}

	log := slog.New(slog.NewJSONHandler(stdout, nil)).With("service", service)
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	loop := newLoop(os.DirFS(*dir), *every, func(name string, size int64) {
		log.Info("intent", "name", name, "bytes", size)
	})
	srv := &http.Server{Handler: handler(loop), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	log.Info("started", "version", version, "listen", ln.Addr().String())

	loop.run(ctx)

	log.Info("stopping")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(last); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func versionLine() string {
	return fmt.Sprintf("%s %s (%s, %s) %s %s/%s", service, version, vcsRef, buildDate, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
