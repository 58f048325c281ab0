// Command outages runs the tables of outages, each row with stock docker buildx
// build and with outlast build, and writes what they came to for people who
// decide whether Outlast is of use to them. make outages runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/trial"
)

func main() {
	if err := testenv.IsolateWithOutside(); err != nil {
		fmt.Fprintln(os.Stderr, "outages:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	testenv.CloseOutside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "outages:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	out     string
	results string
	missing bool
	rows    *regexp.Regexp
	workers int
	cut     time.Duration // of stock
	limit   time.Duration // of Outlast
	only    string
	logs    bool
	list    bool
}

func readFlags() (options, error) {
	var o options
	flag.StringVar(&o.out, "o", "", "write the table to this `file` (default: standard output)")
	flag.StringVar(&o.results, "results", "", "keep what each row came to in this `file`, and write the page from all that it holds: so the table can be run in pieces")
	flag.BoolVar(&o.missing, "missing", false, "run only rows that the file of -results does not hold")
	rows := flag.String("rows", "", "run only the rows whose names match this `expression`; -list shows the names")
	flag.IntVar(&o.workers, "workers", 5, "rows at once; most of their time is waiting")
	flag.DurationVar(&o.cut, "cut", 30*time.Second, "cut stock off after this, and call it hanging")
	flag.DurationVar(&o.limit, "limit", time.Minute, "the same for outlast")
	flag.StringVar(&o.only, "only", "", "run only `outlast` or only stock")
	flag.BoolVar(&o.logs, "logs", false, "print how each build by outlast went, and the logs of those that went wrong or took over 10 s")
	flag.BoolVar(&o.list, "list", false, "list the rows and run none")
	flag.Parse()
	var err error
	o.rows, err = regexp.Compile(*rows)
	return o, err
}

func run(ctx context.Context) error {
	o, err := readFlags()
	if err != nil {
		return err
	}
	jobs := chosen(o.rows)
	if o.list {
		for _, j := range jobs {
			fmt.Println(j.entry().Name)
		}
		return nil
	}
	book, err := openResults(o.results)
	if err != nil {
		return err
	}
	defer book.Close()
	if o.missing {
		jobs = book.missing(jobs)
	}
	began := time.Now()
	if err := play(ctx, o, book, jobs); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d in %v\n", len(jobs), time.Since(began).Round(time.Second))
	p := newPaper(o)
	book.fill(p)
	if err := p.output(o.out); err != nil {
		return err
	}
	return p.verdict()
}

// play runs jobs on a bench of their own.
func play(ctx context.Context, o options, book *results, jobs []job) error {
	if len(jobs) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "ol")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := trial.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer b.Close()
	return runAll(ctx, b, o, book, jobs)
}

// anything matches every name.
var anything = regexp.MustCompile("")

// chosen lists the stories, rows and errands whose names match.
func chosen(names *regexp.Regexp) []job {
	var all []job
	add := func(j job) {
		if names.MatchString(j.entry().Name) {
			all = append(all, j)
		}
	}
	for _, s := range trial.Stories() {
		add(&tale{Story: s})
	}
	for _, e := range trial.Errands() {
		add(&trip{Errand: e})
	}
	for _, r := range append([]trial.Row{trial.Well()}, trial.Rows()...) {
		add(&line{Row: r})
	}
	return all
}
