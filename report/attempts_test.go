package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
)

// The error of a command repeats all of it, which can be a page.
func TestAttemptsAreShort(t *testing.T) {
	now := time.Now()
	a := record.Attempt{Strategy: "optimal", Kind: fault.Build, Started: now, Ended: now.Add(time.Second),
		Cause: `process "/bin/sh -c ` + strings.Repeat("echo é && ", 200) + `false" did not complete successfully: exit code: 7`}
	for _, l := range report.Summary(record.Run{Outcome: record.Failed, Started: now, Ended: now, Attempts: []record.Attempt{a, a}})[1:] {
		if n := len([]rune(l)); n > 240 || !strings.HasSuffix(l, "exit code: 7") || !strings.Contains(l, `process "/bin/sh -c`) {
			t.Errorf("got %d characters, want both ends of the cause in 240: %s", n, l)
		}
	}
}
