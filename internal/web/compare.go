package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/record"
)

// A comparison is two builds side by side.
type comparison struct {
	A, B  record.Run
	Facts []pair
	Steps []pair
}

// A pair is one thing of both; Differs where they are not the same.
type pair struct {
	Name, A, B string
	Differs    bool
}

func compared(a, b record.Run) comparison {
	c := comparison{A: a, B: b}
	for _, f := range []struct {
		name string
		of   func(record.Run) string
	}{
		{"outcome", func(r record.Run) string { return string(r.Outcome) }},
		{"took", func(r record.Run) string { return took(r.Took()) }},
		{"strategy", func(r record.Run) string { return r.Strategy }},
		{"score", scoreOf},
		{"attempts", func(r record.Run) string { return fmt.Sprint(len(r.Attempts)) }},
		{"image", func(r record.Run) string {
			if len(r.Images) == 0 {
				return "none"
			}
			return r.Images[0].Digest
		}},
		{"branch", func(r record.Run) string { return r.Context.Branch }},
		{"commit", func(r record.Run) string { return r.Context.Commit }},
		{"builder", func(r record.Run) string { return r.Builder }},
		{"outlast", func(r record.Run) string { return r.Version }},
		{"services that failed", func(r record.Run) string { return strings.Join(failing(r), ", ") }},
	} {
		c.Facts = append(c.Facts, pairOf(f.name, f.of(a), f.of(b)))
	}
	left, right := stepTimes(a), stepTimes(b)
	names := slices.Collect(maps.Keys(left))
	for name := range right {
		if _, ok := left[name]; !ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(x, y string) int {
		if d := max(right[y].took, left[y].took) - max(right[x].took, left[x].took); d != 0 {
			return int(d.Milliseconds())
		}
		return strings.Compare(x, y)
	})
	for _, name := range names[:min(len(names), 60)] {
		c.Steps = append(c.Steps, pairOf(name, left[name].text, right[name].text))
	}
	return c
}

func pairOf(name, a, b string) pair { return pair{name, a, b, a != b} }

func scoreOf(r record.Run) string {
	if len(r.Card.Categories) == 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", r.Card.Percent())
}

func failing(r record.Run) []string {
	var names []string
	for _, s := range r.Services {
		if s.Failures() > 0 || s.Silent() {
			names = append(names, s.Endpoint)
		}
	}
	return names
}

type stepTime struct {
	took time.Duration
	text string
}

// stepTimes are the steps of the last attempt by name.
func stepTimes(r record.Run) map[string]stepTime {
	all := make(map[string]stepTime)
	if len(r.Attempts) == 0 {
		return all
	}
	for _, s := range r.Attempts[len(r.Attempts)-1].Ran {
		t := stepTime{s.Took(), took(s.Took())}
		switch {
		case s.Error != "":
			t.text = "failed after " + t.text
		case s.Cached:
			t.text = "cached"
		}
		all[s.Name] = t
	}
	return all
}
