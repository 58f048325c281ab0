package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/outlast-build/outlast/internal/testenv/trial"
)

// A trip is an errand with what it came to.
type trip struct {
	trial.Errand
	Stock, Outlast trial.Result
}

func (t *trip) entry() entry {
	return entry{Name: t.Errand.String(), Stock: t.Stock, Outlast: t.Outlast}
}

func (t *trip) run(ctx context.Context, b *trial.Bench, o options) error {
	var err error
	if o.only != "stock" {
		if t.Outlast, err = b.ErrandOutlast(ctx, t.Errand, o.limit); err != nil {
			return fmt.Errorf("%s: %w", t.Errand, err)
		}
		if o.logs {
			fmt.Fprintf(os.Stderr, "%-60s outlast %s %.1f s %s\n", t.Errand, t.Outlast.Outcome, t.Outlast.Took.Seconds(), t.Outlast.Noticed)
			if !t.good() || t.Outlast.Took > 10*time.Second {
				fmt.Fprintf(os.Stderr, "--- the log of this:\n%s---\n", t.Outlast.Log)
			}
		}
	}
	if o.only != "outlast" {
		if t.Stock, err = b.ErrandStock(ctx, t.Errand, o.cut); err != nil {
			return fmt.Errorf("%s: %w", t.Errand, err)
		}
		if o.logs {
			fmt.Fprintf(os.Stderr, "%-60s stock   %s %.1f s %s\n", t.Errand, t.Stock.Outcome, t.Stock.Took.Seconds(), t.Stock.Noticed)
		}
	}
	return nil
}

// good reports whether Outlast did what it should, and the package manager
// noticed nothing.
func (t *trip) good() bool { return t.Outlast.Outcome == trial.Built && t.Outlast.Noticed == "" }

// A journey is the errands of one manager, for people.
type journey struct {
	Manager    string
	About      string
	Calm       *trip
	First, All leg
	Lines      []stretch
}

// A leg counts what some errands came to.
type leg struct {
	tally
	Noticed int // built by Outlast, and the manager met a failure
}

func (l *leg) add(t *trip) {
	l.count(t.Stock, t.Outlast)
	if t.Outlast.Outcome == trial.Built && t.Outlast.Noticed != "" {
		l.Noticed++
	}
}

// A stretch is a mishap at one part, at the first source and at every source.
type stretch struct {
	Part       trial.Part
	Fault      string
	First, All *trip
}

// abouts say what each manager does, and how it is set up.
var abouts = map[string]string{
	"go": "`go mod download` of two modules, with a complete `go.sum`. Stock: `GOPROXY=first,second`. The index is `.info`, `.mod` and the " +
		"checksum database's answers, which is *sumdb* and can be reached through either source alone, the file the `.zip`; *half-updated*: `.info` is there, `.mod` and `.zip` are not yet.",
	"apt": "`apt-get update && apt-get install --download-only` of a package from the updates of a release. Stock: the first source in `sources.list`. The index is all below `dists/`, the file " +
		"the `.deb`; *wrong bytes* are in the list of packages; *half-updated*: `InRelease` is new, the lists of packages are those of before, and by their digests they are not there.",
	"npm": "`npm install` of a package that needs another, without a lock file. Stock: `npm_config_registry=first`. The index is a package's document, " +
		"the file its archive; *half-updated*: the document lists an archive that is not there.",
	"pip": "`pip install` of a package that needs another, from a small index made for this. Stock: `PIP_INDEX_URL=first`. The index is a project's page, " +
		"the file the wheel; *half-updated*: the page lists a wheel that is not there.",
}

// journeys puts the errands in the order of the page.
func journeys(trips []*trip) []*journey {
	var all []*journey
	for _, t := range trips {
		if len(all) == 0 || all[len(all)-1].Manager != t.Manager {
			all = append(all, &journey{Manager: t.Manager, About: abouts[t.Manager]})
		}
		all[len(all)-1].add(t)
	}
	return all
}

func (j *journey) add(t *trip) {
	if t.Calm() {
		j.Calm = t
		return
	}
	i := len(j.Lines) - 1
	if i < 0 || j.Lines[i].Part != t.Part || j.Lines[i].Fault != t.Fault {
		j.Lines = append(j.Lines, stretch{Part: t.Part, Fault: t.Fault})
		i++
	}
	if t.Where == trial.FirstSource {
		j.Lines[i].First = t
		j.First.add(t)
	} else {
		j.Lines[i].All = t
		j.All.add(t)
	}
}

// tripCell is an outcome with its seconds. Who is cut off may only be slow:
// package managers try again for minutes.
func tripCell(t *trip, by string) string {
	if t == nil {
		return "not run"
	}
	r := t.Outlast
	if by == "stock" {
		r = t.Stock
	}
	if r.Outcome == trial.Hung {
		return fmt.Sprintf("**not done** after %.0f s", r.Took.Truncate(time.Second).Seconds())
	}
	text := cell(r)
	if r.Outcome == trial.Built && r.Noticed != "" {
		text += ", noticed"
	}
	return text
}

// tripSaid is what Outlast said of an errand.
func tripSaid(t *trip) string {
	if t == nil {
		return ""
	}
	return strings.ReplaceAll(saidCell(t.Outlast), "\n", " ")
}
