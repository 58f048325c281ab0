package diagnose_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/diagnose"
)

// dresses are what CI systems and terminals put around each line.
var dresses = map[string]func(i int, line string) string{
	"Windows line ends": func(_ int, l string) string { return l + "\r" },
	"GitHub's times":    func(i int, l string) string { return fmt.Sprintf("2026-01-02T03:04:%02d.1234567Z %s", i%60, l) },
	"gh run view --log": func(i int, l string) string {
		return fmt.Sprintf("build\tBuild image\t\ufeff2026-01-02T03:04:%02d.1234567Z %s", i%60, l)
	},
	"GitLab": func(i int, l string) string {
		if i == 0 {
			return "\x1b[0Ksection_start:1700000000:build\r\x1b[0K\x1b[0;m" + l + "\x1b[0;m"
		}
		return "\x1b[0;m" + l + "\x1b[0;m"
	},
	"Jenkins":       func(_ int, l string) string { return "[2026-01-02T03:04:05.678Z] " + l },
	"short times":   func(_ int, l string) string { return "03:04:05  " + l },
	"compose":       func(_ int, l string) string { return "web-1  | " + l },
	"colours":       func(_ int, l string) string { return "\x1b[31m" + l + "\x1b[39m" },
	"progress bars": func(_ int, l string) string { return "  10% [=>   ]\r  99% [====>]\r" + l },
	"two at once": func(i int, l string) string {
		return fmt.Sprintf("2026-01-02T03:04:%02d.1Z web-1  | \x1b[1m%s\x1b[0m\r", i%60, l)
	},
}

// The same failure has the same cause, whatever stands around its lines.
func TestOutputsInEveryDress(t *testing.T) {
	if diagnose.Raced {
		t.Skip("reads hundreds of outputs in one goroutine, which takes ten times as long with the race detector on: make unit runs it without")
	}
	for _, path := range []string{"testdata/heldout.jsonl", "testdata/third.jsonl"} {
		for n, e := range outputs(t, path) {
			want := essence(read(t, e.Text))
			for k, name := range slices.Sorted(maps.Keys(dresses)) {
				if (k+n)%5 > 0 {
					continue // two dresses each: all would take long
				}
				var b strings.Builder
				for i, line := range strings.Split(e.Text, "\n") {
					b.WriteString(dresses[name](i, line) + "\n")
				}
				if got := essence(read(t, b.String())); got != want {
					t.Errorf("%s in the dress of %s:\ngot  %+v\nwant %+v", e.ID, name, got, want)
				}
			}
		}
	}
}

// essence is what a dress must not change: all but how the evidence was cut.
func essence(d diagnose.Diagnosis) diagnose.Diagnosis {
	d.Evidence.Text = ""
	return d
}
