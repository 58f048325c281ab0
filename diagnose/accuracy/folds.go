package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"github.com/outlast-build/outlast/diagnose"
)

const folds = 5

const foldsMean = `
Five folds, by line. The table is written by hand, so that nothing is trained:
each fold is read without the patterns that decide on lines of this fold and of
no other, as if its lines had never been seen. What falls from the figures above
rests on patterns that fit a few lines; what stays is how tools speak.
`

// splitting measures each fold without the patterns that only its lines need.
func splitting(w io.Writer, examples []example) error {
	seen, err := deciders(examples)
	if err != nil {
		return err
	}
	var all tally
	fmt.Fprint(w, foldsMean, "\n")
	for f := range folds {
		dropped := make(map[string]bool)
		for name, in := range seen {
			if in == 1<<f {
				dropped[name] = true
			}
		}
		var t tally
		for _, e := range examples {
			if fold(e.ID) != f {
				continue
			}
			d, err := diagnose.ReadWith(strings.NewReader(e.Text), func(p diagnose.Pattern) bool { return !dropped[p.Name] })
			if err != nil {
				return err
			}
			t.add(e, d)
			all.add(e, d)
		}
		fmt.Fprintf(w, "  fold %d: %3d outputs, %2d patterns dropped; retryable%s; user_error%s; service %.3f\n",
			f+1, t.n, len(dropped), t.retryable, t.user, rate(t.service, t.n))
	}
	fmt.Fprintln(w)
	all.print(w)
	return nil
}

// deciders returns of each pattern the folds in which it decided on a line, a
// bit for each.
func deciders(examples []example) (map[string]int, error) {
	seen := make(map[string]int)
	for _, e := range examples {
		d, err := diagnose.Read(strings.NewReader(e.Text))
		if err != nil {
			return nil, err
		}
		seen[d.Pattern] |= 1 << fold(e.ID)
	}
	return seen, nil
}

func fold(id string) int {
	h := fnv.New32a()
	io.WriteString(h, id)
	return int(h.Sum32() % folds)
}
