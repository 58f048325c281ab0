// Command accuracy measures package diagnose on labelled outputs of failed
// builds: files of JSON objects, one a line, with id, text, service, class,
// host, retryable, fallback_helps and user_error.
//
//	go run ./diagnose/accuracy [-misses=false] [FILE]
//
// Without a FILE it measures that which the environment's OUTLAST_FAILURES
// names, or shared/failures/dev.jsonl beside the repository, and then the
// project's own sets in diagnose/testdata.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	variable = "OUTLAST_FAILURES"
	beside   = "../shared/failures/dev.jsonl"
)

// own are the project's sets.
var own = []string{"diagnose/testdata/heldout.jsonl", "diagnose/testdata/third.jsonl"}

func main() {
	misses := flag.Bool("misses", true, "print every miss")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: accuracy [-misses=false] [FILE]\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	files, err := files(flag.Args(), os.Getenv(variable))
	if err == nil {
		err = run(os.Stdout, files, *misses)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

// files are what to measure: what was named, or what is there.
func files(args []string, env string) ([]string, error) {
	switch {
	case len(args) > 1:
		return nil, errors.New("want one FILE")
	case len(args) == 1:
		return args, nil
	case env != "":
		return append([]string{env}, own...), nil
	}
	if _, err := os.Stat(beside); errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("There is no %s: measuring the project's own sets alone.\nGive a FILE, or set %s, to measure others.\n\n", beside, variable)
		return own, nil
	}
	return append([]string{beside}, own...), nil
}

func run(w io.Writer, files []string, misses bool) error {
	for i, path := range files {
		examples, err := load(path)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n\n", path)
		if err := measure(w, examples, misses); err != nil {
			return err
		}
		if err := splitting(w, examples); err != nil {
			return err
		}
	}
	return nil
}
