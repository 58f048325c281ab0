package cli

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
)

const warmLong = `Fill the local store with the images that a build needs, while all is well, so that
it can be built when nothing else can be had. What is there already is not
fetched again, and what was fetched when it is interrupted stays. Tags that
outlast.lock pins are fetched by their digest.

What RUN and ADD asked the gateway for in builds of this Dockerfile that succeeded here
is fetched too, and what a build in an outage would still miss is named.`

func (a *app) warmCommand() *cobra.Command {
	var f targetFlags
	var format string
	c := &cobra.Command{
		Use:   "warm [PATH]",
		Short: "Fetch what a build needs into the local store",
		Long: warmLong + "\n\n" + codesWith(map[int]string{ExitNoSource: "some of it could not be had"},
			ExitBuilt, ExitFailed, ExitUsage, ExitNoSource, ExitInterrupted),
		Example: `  outlast warm
  outlast warm --platform linux/amd64,linux/arm64 -f deploy/Dockerfile .`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			t, err := f.of(a, args)
			if err != nil {
				return err
			}
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			progress, done := a.counter("fetched")
			w, err := a.parts.Warm(ctx, t, progress)
			done()
			switch {
			case w.Images == nil && err != nil:
			case format == "json":
				err = errors.Join(err, a.printJSON(w))
			case !a.quiet:
				printWarming(a.stdout, w)
			}
			return err
		},
	}
	f.add(c)
	formatFlag(c, &format, "text", "json")
	return c
}

// maxMissing bounds how much of what is missing is named.
const maxMissing = 20

func printWarming(w io.Writer, r outlast.Warming) {
	for _, i := range r.Images {
		state := "whole"
		if i.Err != "" {
			state = "not whole"
		}
		fmt.Fprintf(w, "%s: %s, %s\n", clean(i.Ref), units.BytesSize(float64(i.Bytes)), state)
	}
	fmt.Fprintf(w, "%s fetched\n", units.BytesSize(float64(r.Fetched)))
	if p := r.Packages; p.Known > 0 {
		fmt.Fprintf(w, "%d of %d requests of earlier builds can be answered in an outage\n", p.Known-len(p.Missing), p.Known)
		for _, m := range p.Missing[:min(len(p.Missing), maxMissing)] {
			fmt.Fprintf(w, "missing: %s\n", clean(m))
		}
		return
	}
	for _, n := range r.Left {
		fmt.Fprintf(w, "line %d: %s: not known yet: the first build that succeeds here tells\n", n.Line, clean(n.Ref))
	}
}

// counter shows a number of bytes on a terminal while they grow; done takes it
// off again. It may be told from several places at once.
func (a *app) counter(word string) (tell func(int64), done func()) {
	if a.quiet || !terminal(a.stderr) {
		return nil, func() {}
	}
	var mu sync.Mutex
	var last time.Time
	return func(n int64) {
			mu.Lock()
			defer mu.Unlock()
			if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
				last = now
				fmt.Fprintf(a.stderr, "\r%s %s\x1b[K", word, units.BytesSize(float64(n)))
			}
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			if !last.IsZero() {
				fmt.Fprint(a.stderr, "\r\x1b[K")
			}
		}
}
