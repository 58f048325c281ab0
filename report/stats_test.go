package report_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/outlast-build/outlast/advise"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

// someDays are the sums of two days of builds.
func someDays() []stats.Day {
	r := rand.New(rand.NewPCG(3, 4))
	days := make([]stats.Day, 2)
	for n := range days {
		days[n].Day = runs.Start.Truncate(24*time.Hour).AddDate(0, 0, n)
		for i := range 60 {
			days[n].Add(runs.Synthetic(r, days[n].Day.Add(time.Duration(i)*time.Minute)))
		}
	}
	return days
}

func TestNumbersGolden(t *testing.T) {
	days := someDays()
	n := report.Numbers{Summary: stats.Of(days), Advice: advise.Of(advise.Input{Tally: stats.Sum(days)})}
	for _, format := range report.NumberFormats() {
		var b bytes.Buffer
		if err := n.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/numbers."+format, b.String())
	}
	if err := n.Write(new(bytes.Buffer), "xml"); err == nil {
		t.Error("a format that is not known gave no error")
	}
}

func TestNumbersShowHostileNamesAsText(t *testing.T) {
	const hostile = "<script>|`\x1b[31m\n## evil\u202e"
	var day stats.Day
	for range advise.MinBuilds * 3 {
		day.Add(record.Run{Outcome: record.Outcome(hostile), Strategy: hostile, Needs: []record.Need{{Kind: "image", Ref: hostile}},
			Services: []record.Service{{Endpoint: hostile, Serves: hostile, Asked: 9, Failed: map[fault.Kind]int{fault.Kind(hostile): 1, fault.Outage: 8}}},
			Attempts: []record.Attempt{{Kind: fault.Outage, Swallowed: "[1/2] RUN " + hostile, Caches: []string{hostile}}, {Caches: []string{hostile}}}})
	}
	days := []stats.Day{day}
	n := report.Numbers{Summary: stats.Of(days), Advice: advise.Result{Builds: 60, Needed: 20, Advice: []advise.Advice{{Title: hostile, Why: hostile, Change: hostile}}}}
	var text, md bytes.Buffer
	if err := errors.Join(n.Write(&text, "text"), report.WriteAdvice(&text, n.Advice), n.Write(&md, "md")); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String()+md.String(), "\x1b\u202e") || strings.Contains(text.String(), "\n## evil") {
		t.Errorf("got %s", text.String())
	}
	page := rendered(t, md.String())
	if strings.Contains(page, "<script") || strings.Contains(page, "evil</h2>") {
		t.Errorf("got %s", page)
	}
}
