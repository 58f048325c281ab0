package web

import (
	"fmt"
	"strings"
	"time"

	units "github.com/docker/go-units"

	"github.com/outlast-build/outlast/record"
)

// tones say how a run ended; what is not listed is under way.
var tones = map[record.Outcome]string{record.Built: "good", record.Checked: "good", record.Failed: "bad", record.BadUsage: "bad",
	record.NoSource: "bad", record.NoEngine: "bad", record.Interrupted: "warn"}

func toneOf(o record.Outcome) string { return tones[o] }

// signOf stands before what has a tone: colours alone tell not everybody.
func signOf(tone string) string {
	return map[string]string{"good": "✓", "warn": "!", "bad": "✗"}[tone]
}

// titleOf names a run by what it built, or was for.
func titleOf(r record.Run) string {
	for _, i := range r.Images {
		if len(i.Tags) > 0 {
			return i.Tags[0]
		}
	}
	switch {
	case r.Is(record.KindCheck):
		return "a look at the services"
	case r.Context.Repo != "":
		return strings.Trim(r.Context.Repo+" "+r.Context.Branch, " ")
	}
	return "a build"
}

// ago says how long it is from t to now, as people do.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{365 * 24 * time.Hour, "year"}, {24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.of); n == 1 {
			return "1 " + u.name + " ago"
		} else if n > 1 {
			return fmt.Sprintf("%d %ss ago", n, u.name)
		}
	}
	return "just now"
}

func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }
