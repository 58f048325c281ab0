package report_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
)

var update = flag.Bool("update", false, "write golden files")

func TestEveryFormat(t *testing.T) {
	advice := []report.Advice{{Title: "mirror.example.com serves spoiled bytes", Why: "2 of 14 requests in 1 run", Change: "registries:\n  docker.io:\n    mirrors: [{url: https://mirror2.example.com}]"}}
	for name, p := range map[string]report.Page{
		"outage":  {Run: runs.Outage(), Advice: advice},
		"broken":  {Run: runs.Broken()},
		"nothing": {Run: record.Run{Outcome: record.BadUsage, Error: "Dockerfile:1: no such instruction", Started: runs.Start, Ended: runs.Start}},
	} {
		for _, f := range report.Formats() {
			t.Run(name+" as "+f.Name, func(t *testing.T) {
				var b strings.Builder
				if err := f.Write(&b, p); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("testdata", name+f.Endings[0]), b.String())
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (write it with -update):\n%s", path, diff)
	}
}
