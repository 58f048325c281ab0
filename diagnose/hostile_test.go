package diagnose

import (
	"fmt"
	"strings"
	"testing"
)

// hostile is n bytes of lines that all differ, each with as many as fit of the
// words that the table looks for: all its expressions are tried on them.
func hostile(n, width int) string {
	var words []string
	for _, e := range table() {
		words = append(words, e.need.some()...)
	}
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		line := fmt.Sprint("x", i)
		for j := i; len(line) < width; j++ {
			line += "_" + words[j%len(words)]
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// some are words that meet n.
func (n need) some() []string {
	if n.word != "" {
		return []string{n.word}
	}
	var words []string
	for _, m := range n.all {
		words = append(words, m.some()...)
	}
	if len(n.any) > 0 {
		words = append(words, n.any[0].some()...)
	}
	return words
}

// The work is counted, not timed: it must not grow with what a stranger writes
// into a log, and the end of the log must be read all the same.
func TestWorkOnHostileLogsIsBounded(t *testing.T) {
	if Raced {
		t.Skip("counts the work of one goroutine, which takes ten times as long with the race detector on: make unit runs it without")
	}
	const last = "E: Version '1' for 'x' was not found"
	for _, width := range []int{170, 1000} {
		t.Run(fmt.Sprint("lines of ", width), func(t *testing.T) {
			k := newKeeper()
			k.Write([]byte(hostile(1<<20, width) + last + "\n"))
			l := parse(k.lines())
			d := l.judge()
			if d.Pattern != "apt-version" {
				t.Errorf("got %+v, want the last line", d)
			}
			t.Logf("tried %d MB", l.tried>>20)
			if most := maxTried + maxLine*(len(l.table)+lookup); l.tried > most {
				t.Errorf("tried %d bytes, want at most %d", l.tried, most)
			}
		})
	}
}

// Ordinary logs, even those that speak of nothing but errors, stay far from
// the bound.
func TestWorkOnOrdinaryLogsIsSmall(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "#12 %d.5 src/mod%d.c:%d:7: warning: error code 503 of connection %d is not checked, timed out [-Wunused-result]\n", i, i, i, i)
	}
	k := newKeeper()
	k.Write([]byte(b.String()))
	l := parse(k.lines())
	l.judge()
	if t.Logf("tried %d KB", l.tried>>10); l.tried > maxTried/2 {
		t.Errorf("tried %d bytes, more than half of %d", l.tried, maxTried)
	}
}

func BenchmarkHostile(b *testing.B) {
	for _, width := range []int{170, 1000} {
		text := hostile(1<<20, width)
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			for b.Loop() {
				Read(strings.NewReader(text))
			}
		})
	}
}
