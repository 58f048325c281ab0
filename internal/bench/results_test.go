package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What was measured before stays on the page, and the last measure counts.
func TestMeasuresInParts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	for _, s := range []section{
		{"warm", "1, 1, 1", []row{{What: "a warm blob", Result: "0.50×", Aim: "0.9×", Short: true}}},
		{"cached", "2, 2, 2", []row{{What: "a cached build", Result: "+90 ms"}}},
		{"warm", "3, 3, 3", []row{{What: "a warm blob", Result: "0.95×"}}},
	} {
		b, err := readResults(file)
		if err != nil {
			t.Fatal(err)
		}
		b[s.Name] = s
		if err := b.write(file); err != nil {
			t.Fatal(err)
		}
	}
	b, err := readResults(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(page(b.sections()))
	cached, warm := strings.Index(got, "| a cached build |"), strings.Index(got, "| a warm blob |")
	if cached < 0 || warm < cached {
		t.Errorf("got rows at %d and %d, want both, in the order of the items", cached, warm)
	}
	if strings.Contains(got, "0.50×") || !strings.Contains(got, "0.95×") || !strings.Contains(got, "a load of 3, 3, 3") {
		t.Errorf("got the page\n%s\nwant the last measure of warm", got)
	}
}
