// Command bench measures what outlast costs and gains: against stock buildx
// on the same BuildKit, and against a plain file server. All of it runs on this
// machine's loopback network, in turns, so that the ratios hold where the
// times do not. It judges nothing: it prints the numbers beside the aims and
// ends with 0 where it could measure. It is no part of the product.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes.
const (
	measured = 0
	failed   = 1
	usage    = 2
)

// An item is one question that the benchmarks answer.
type item struct {
	name, what string
	measure    func(context.Context, *world) ([]row, error)
}

var items = []item{
	{"cached", "a build that is wholly cached", measureCached},
	{"pull", "a cold pull, all sources well", measurePull},
	{"blackhole", "a cold pull, the first mirror black-holed", measureBlackhole},
	{"warm", "warm blobs from the gateway", measureWarm},
	{"memory", "the gateway's memory", measureMemory},
	{"go", "Go modules", measurePackages(newGo)},
	{"apt", "Debian packages, and what Debian has to cache them", measurePackages(newApt)},
	{"npm", "npm packages", measurePackages(newNPM)},
}

func names() []string {
	var all []string
	for _, i := range items {
		all = append(all, i.name)
	}
	return all
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("o", "", "write the page to this `file`")
	results := flags.String("results", "", "keep what was measured in this `file`, and have all that it holds on the page: so parts can be measured anew")
	only := flags.String("only", strings.Join(names(), ","), "what to measure, a `list` with commas; an empty one writes the page alone")
	files := flags.String("serve-files", "", "serve this `folder` and nothing else: what the gateway is compared with")
	if err := flags.Parse(args); err != nil {
		return usage
	}
	chosen := strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			fmt.Fprintf(stderr, "bench: there is no %q to measure: choose from %s\n", name, strings.Join(names(), ", "))
			return usage
		}
	}
	// Children get a signal when the thread ends that started them: keep it.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if *files != "" {
		return code(serveFiles(ctx, *files, stdout), stderr)
	}
	return code(bench(ctx, chosen, *out, *results, stdout), stderr)
}

func code(err error, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return failed
	}
	return measured
}

// bench measures what was chosen, prints it as it comes, and writes the page
// where out names a file, with what the file of results holds.
func bench(ctx context.Context, chosen []string, out, results string, stdout io.Writer) error {
	known, err := readResults(results)
	if err != nil {
		return err
	}
	if len(chosen) > 0 {
		if err := measure(ctx, chosen, known, results, stdout); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	return os.WriteFile(out, page(known.sections()), 0o644)
}

// measure measures what was chosen, and enters it in known.
func measure(ctx context.Context, chosen []string, known book, results string, stdout io.Writer) error {
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	for _, i := range items {
		if !slices.Contains(chosen, i.name) {
			continue
		}
		fmt.Fprintf(stdout, "%s: %s\n", i.name, i.what)
		rows, err := i.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("measure %s: %w", i.what, err)
		}
		for _, r := range rows {
			fmt.Fprintf(stdout, "  %-58s %10s  %10s  %-12s aim %s\n", r.What, r.Base, r.Ours, r.Result, r.Aim)
		}
		known[i.name] = section{i.name, load(), rows}
		if err := known.write(results); err != nil {
			return err
		}
	}
	return nil
}
