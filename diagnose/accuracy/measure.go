package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/outlast-build/outlast/diagnose"
)

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

func (b binary) String() string {
	return fmt.Sprintf("%9.3f %9.3f", rate(b.right, b.right+b.wrong), rate(b.right, b.right+b.missed))
}

func rate(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// judgements counts the three judgements of one reader.
type judgements struct {
	retryable, user, fallback binary
	useless                   int // retries of what is the user's own
}

func (j *judgements) add(e example, retryable, user, fallback bool) {
	j.retryable.add(e.Retryable, retryable)
	j.user.add(e.UserError, user)
	j.fallback.add(e.FallbackHelps, fallback)
	if e.UserError && retryable {
		j.useless++
	}
}

type tally struct {
	judgements
	naive                         judgements
	n, service, kind, host, hosts int
	spoken, heard                 int // hosts that the text spells out, and of those the right ones
	unknown                       int
}

// usual are the words that a simple retry loop looks for.
var usual = regexp.MustCompile(`(?i)time.?out|timed out|connection (?:reset|refused|closed|aborted)|reset by peer|\b50[0234]\b|service unavailable|bad gateway|\bEOF\b|temporary failure|no such host|could not resolve|too many requests|rate limit|TLS handshake|network is unreachable|ECONN|EAI_AGAIN`)

func (t *tally) add(e example, d diagnose.Diagnosis) {
	t.n++
	t.judgements.add(e, d.Retryable, d.UserError, d.FallbackHelps)
	words := usual.MatchString(e.Text)
	t.naive.add(e, words, !words, words)
	count(&t.service, e.Service == d.Service)
	count(&t.kind, class(d.Kind) == e.Class)
	count(&t.unknown, d.Pattern == "")
	if e.Host != "" {
		right := sameHost(e.Host, d.Endpoint)
		t.hosts++
		count(&t.host, right)
		if strings.Contains(strings.ToLower(e.Text), strings.ToLower(e.Host)) {
			t.spoken++
			count(&t.heard, right)
		}
	}
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

// measure prints each miss, and then the figures.
func measure(w io.Writer, examples []example, misses bool) error {
	var t tally
	for _, e := range examples {
		d, err := diagnose.Read(strings.NewReader(e.Text))
		if err != nil {
			return err
		}
		t.add(e, d)
		if why := wrong(e, d); misses && len(why) > 0 {
			fmt.Fprintf(w, "%s  %s\n    %s line %d: %s\n", e.ID, strings.Join(why, "; "), d.Pattern, d.Evidence.Line, d.Evidence.Text)
		}
	}
	if misses {
		fmt.Fprintln(w)
	}
	t.print(w)
	return nil
}

func (t *tally) print(w io.Writer) {
	fmt.Fprintf(w, "%-36s %19s   %19s\n", fmt.Sprintf("%d outputs", t.n), "diagnose", "naive, by words")
	fmt.Fprintf(w, "%-36s %9s %9s   %9s %9s\n", "", "precision", "recall", "precision", "recall")
	for _, row := range []struct {
		name      string
		got, base binary
	}{
		{"retryable", t.retryable, t.naive.retryable},
		{"user_error", t.user, t.naive.user},
		{"fallback_helps", t.fallback, t.naive.fallback},
	} {
		fmt.Fprintf(w, "%-36s %s   %s\n", row.name, row.got, row.base)
	}
	fmt.Fprintf(w, "%-36s %9d %9s   %9d\n", "useless retries of user errors", t.useless, "", t.naive.useless)
	fmt.Fprintf(w, "%-36s %9.3f\n", "service right", rate(t.service, t.n))
	fmt.Fprintf(w, "%-36s %9.3f\n", "kind right", rate(t.kind, t.n))
	fmt.Fprintf(w, "%-36s %9.3f\n", fmt.Sprintf("host right, of %d with one", t.hosts), rate(t.host, t.hosts))
	fmt.Fprintf(w, "%-36s %9.3f\n", fmt.Sprintf("host right, of %d in the text", t.spoken), rate(t.heard, t.spoken))
	fmt.Fprintf(w, "%-36s %9d\n", "not known", t.unknown)
}
