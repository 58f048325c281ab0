// Command accuracy measures package diagnose on labelled outputs of failed
// builds: a file of JSON objects, one a line, with text, service, class,
// retryable, fallback_helps and user_error.
//
//	go run ./diagnose/accuracy [-misses=false] [-ids FILE] FILE
//
// It prints precision and recall of the three judgements, how often service
// and kind are right, the same for each of five folds of the lines, a naive
// baseline beside it, and every miss.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

func main() {
	misses := flag.Bool("misses", true, "print every miss")
	ids := flag.String("ids", "", "measure only the lines whose ids stand in this file")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: accuracy [-misses=false] [-ids FILE] FILE")
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Arg(0), *ids, *misses); err != nil {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

// example is a labelled output.
type example struct {
	ID            string `json:"id"`
	Text          string `json:"text"`
	Service       string `json:"service"`
	Class         string `json:"class"`
	Host          string `json:"host"`
	Retryable     bool   `json:"retryable"`
	FallbackHelps bool   `json:"fallback_helps"`
	UserError     bool   `json:"user_error"`
}

func run(w io.Writer, path, ids string, misses bool) error {
	examples, err := load(path, ids)
	if err != nil {
		return err
	}
	var all tally
	folds := make([]tally, 5)
	for _, e := range examples {
		d, err := diagnose.Read(strings.NewReader(e.Text))
		if err != nil {
			return err
		}
		all.add(e, d)
		folds[fold(e.ID)].add(e, d)
		if misses {
			printMiss(w, e, d)
		}
	}
	fmt.Fprintf(w, "%d outputs\n\n%-26s %9s %9s %9s %9s\n", len(examples), "", "precision", "recall", "naive p", "naive r")
	all.retryable.print(w, "retryable", &all.naive)
	all.user.print(w, "user_error", nil)
	all.fallback.print(w, "fallback_helps", nil)
	fmt.Fprintf(w, "%-26s %9.3f\n", "service right", rate(all.service, all.n))
	fmt.Fprintf(w, "%-26s %9.3f\n", "kind right", rate(all.kind, all.n))
	fmt.Fprintf(w, "%-26s %9.3f  (of %d with one)\n", "host right", rate(all.host, all.hosts), all.hosts)
	fmt.Fprintf(w, "%-26s %9d\n", "useless retries of user's errors", all.useless)
	fmt.Fprintf(w, "%-26s %9d\n", "not known", all.unknown)

	fmt.Fprintf(w, "\nfive folds by line (the rules are written by hand: folds show the spread)\n")
	for i, f := range folds {
		fmt.Fprintf(w, "  %d: %3d outputs  retryable %.3f/%.3f  user_error %.3f/%.3f  fallback_helps %.3f/%.3f  service %.3f  kind %.3f\n", i+1, f.n,
			f.retryable.precision(), f.retryable.recall(), f.user.precision(), f.user.recall(),
			f.fallback.precision(), f.fallback.recall(), rate(f.service, f.n), rate(f.kind, f.n))
	}
	return nil
}

func load(path, ids string) ([]example, error) {
	var keep map[string]bool
	if ids != "" {
		data, err := os.ReadFile(ids)
		if err != nil {
			return nil, err
		}
		keep = make(map[string]bool)
		for id := range strings.FieldsSeq(string(data)) {
			keep[id] = true
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var examples []example
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		var e example
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if keep == nil || keep[e.ID] {
			examples = append(examples, e)
		}
	}
	return examples, lines.Err()
}

func fold(id string) int {
	h := fnv.New32a()
	io.WriteString(h, id)
	return int(h.Sum32() % 5)
}

// binary counts a yes-or-no judgement.
type binary struct{ right, wrong, missed int }

func (b *binary) add(want, got bool) {
	switch {
	case want && got:
		b.right++
	case got:
		b.wrong++
	case want:
		b.missed++
	}
}

func (b binary) precision() float64 { return rate(b.right, b.right+b.wrong) }
func (b binary) recall() float64    { return rate(b.right, b.right+b.missed) }

func (b binary) print(w io.Writer, name string, naive *binary) {
	fmt.Fprintf(w, "%-26s %9.3f %9.3f", name, b.precision(), b.recall())
	if naive != nil {
		fmt.Fprintf(w, " %9.3f %9.3f", naive.precision(), naive.recall())
	}
	fmt.Fprintln(w)
}

func rate(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

type tally struct {
	n, service, kind, host, hosts, useless, unknown int
	retryable, fallback, user, naive                binary
}

// usual are the words that a simple retry loop looks for.
var usual = regexp.MustCompile(`(?i)timeout|timed out|connection (?:reset|refused)|50[0234]|service unavailable|bad gateway|EOF|temporary failure|no such host|too many requests|TLS handshake`)

func (t *tally) add(e example, d diagnose.Diagnosis) {
	t.n++
	t.retryable.add(e.Retryable, d.Retryable)
	t.fallback.add(e.FallbackHelps, d.FallbackHelps)
	t.user.add(e.UserError, d.UserError)
	t.naive.add(e.Retryable, usual.MatchString(e.Text))
	if e.Service == d.Service {
		t.service++
	}
	if class(d.Kind) == e.Class {
		t.kind++
	}
	if e.Host != "" {
		t.hosts++
		if sameHost(e.Host, d.Endpoint) {
			t.host++
		}
	}
	if e.UserError && d.Retryable {
		t.useless++
	}
	if d.Pattern == "" {
		t.unknown++
	}
}

// class is the word that labels use for a kind.
func class(k fault.Kind) string {
	switch k {
	case fault.RateLimited:
		return "rate-limit"
	case fault.Build:
		return "user-config"
	case fault.Truncated:
		return "connection"
	case fault.Rejected:
		return "outage"
	}
	return string(k)
}

// sameHost takes the names of Docker Hub for one.
func sameHost(a, b string) bool {
	hub := func(h string) bool {
		return h == "docker.io" || h == "registry-1.docker.io" || h == "index.docker.io"
	}
	return a == b || hub(a) && hub(b)
}

func printMiss(w io.Writer, e example, d diagnose.Diagnosis) {
	var wrong []string
	note := func(name string, want, got bool) {
		if want != got {
			wrong = append(wrong, fmt.Sprintf("%s %t, not %t", name, want, got))
		}
	}
	note("retryable", e.Retryable, d.Retryable)
	note("fallback_helps", e.FallbackHelps, d.FallbackHelps)
	note("user_error", e.UserError, d.UserError)
	if e.Service != d.Service {
		wrong = append(wrong, fmt.Sprintf("service %s, not %s", e.Service, d.Service))
	}
	if len(wrong) == 0 && e.Class == class(d.Kind) {
		return
	}
	if e.Class != class(d.Kind) {
		wrong = append(wrong, fmt.Sprintf("kind %s, not %s", e.Class, class(d.Kind)))
	}
	fmt.Fprintf(w, "%s  %s\n    %s line %d: %s\n", e.ID, strings.Join(wrong, "; "), d.Pattern, d.Evidence.Line, d.Evidence.Text)
}
