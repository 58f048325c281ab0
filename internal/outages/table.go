package main

import (
	"bytes"
	"debug/buildinfo"
	_ "embed"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"text/template"
	"time"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/trial"
)

//go:embed page.tmpl
var page string

// sections are the parts of the table, one for each place.
var sections = []struct {
	place faultnet.Place
	title string
	about string
}{
	{trial.Service, "The connection", "Nothing gets as far as a request."},
	{faultnet.Tag, "The tag", "`HEAD` for the tag, which names the digest that all else follows from."},
	{faultnet.Manifest, "The manifest", "`GET` by digest: the index of platforms, then the manifest of this one."},
	{faultnet.Config, "The image's configuration", "A small blob."},
	{faultnet.Blob, "The layers", "Three blobs of one to two megabytes."},
	{faultnet.Token, "The token endpoint", "The failing registries ask for a token; the endpoint beside them that gives tokens fails. The registries themselves are well."},
}

// wheres are the columns of a section, and of the summary.
var wheres = []struct {
	where trial.Where
	title string
	well  string // who is well
}{
	{trial.Mirror, "first mirror", "second mirror, origin"},
	{trial.Origin, "origin", "both mirrors"},
	{trial.Both, "first mirror and origin", "second mirror"},
	{trial.Alone, "only registry, for a moment", "the registry itself, soon"},
}

// A tally counts what the rows of one kind came to.
type tally struct {
	Title                  string
	Well                   string
	Rows                   int
	Built, Failed, Hung    int // stock
	OBuilt, OFailed, OHung int // Outlast
	Longest                time.Duration
}

func (t *tally) add(l *line) { t.count(l.Stock, l.Outlast) }

func (t *tally) count(stock, outlast trial.Result) {
	t.Rows++
	count := func(r trial.Result, built, failed, hung *int) {
		switch r.Outcome {
		case trial.Built:
			*built++
		case trial.Failed:
			*failed++
		case trial.Hung:
			*hung++
		}
	}
	count(stock, &t.Built, &t.Failed, &t.Hung)
	count(outlast, &t.OBuilt, &t.OFailed, &t.OHung)
	t.Longest = max(t.Longest, outlast.Took)
}

// A paper is what the page is filled with.
type paper struct {
	Cut      time.Duration
	Well     *line
	Total    tally
	Tallies  []tally
	Sections []section
	No       []*line
	Tales    []*tale
	Trips    []*trip
	Workers  int
	Pieces   int // how many runs the table comes from
	Missing  int // rows and stories that it lacks
	Versions []string
	Bad      []*line // where Outlast did not do what it should
	half     bool    // Outlast was not run
}

// Journeys are the trips by manager.
func (p *paper) Journeys() []*journey { return journeys(p.Trips) }

// A section is the rows of one place.
type section struct {
	Title, About string
	Groups       []group
}

// A group is the rows with the same failing parties.
type group struct {
	Title, Well string
	Lines       []*line
}

func newPaper(o options) *paper {
	return &paper{Cut: o.cut, Total: tally{Title: "**all**"}, Versions: versions(), half: o.only == "stock"}
}

// fill puts lines in.
func (p *paper) fill(lines []*line) {
	tallies := make(map[trial.Where]*tally)
	for _, l := range lines {
		if !l.good() && !p.half {
			p.Bad = append(p.Bad, l)
		}
		switch {
		case l.well():
			p.Well = l
		case l.No:
			p.No = append(p.No, l)
		default:
			if tallies[l.Where] == nil {
				tallies[l.Where] = new(tally)
			}
			tallies[l.Where].add(l)
			p.Total.add(l)
		}
	}
	for _, w := range wheres {
		if t := tallies[w.where]; t != nil {
			t.Title, t.Well = w.title, w.well
			p.Tallies = append(p.Tallies, *t)
		}
	}
	for _, s := range sections {
		own := section{Title: s.title, About: s.about}
		for _, w := range wheres {
			g := group{Title: w.title, Well: w.well}
			for _, l := range lines {
				if l.Place == s.place && l.Where == w.where && !l.No && !l.well() {
					g.Lines = append(g.Lines, l)
				}
			}
			if g.Lines != nil {
				own.Groups = append(own.Groups, g)
			}
		}
		if own.Groups != nil {
			p.Sections = append(p.Sections, own)
		}
	}
}

func (p *paper) write(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{"cell": cell, "said": saidCell, "trip": tripCell, "tripSaid": tripSaid, "join": strings.Join}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

// cell is an outcome with its seconds.
func cell(r trial.Result) string {
	switch r.Outcome {
	case trial.Built:
		return fmt.Sprintf("built, %.1f s", r.Took.Seconds())
	case trial.Hung:
		return "**hangs**"
	case trial.Failed:
		return fmt.Sprintf("**fails**, %.1f s", r.Took.Seconds())
	}
	return "not run"
}

// saidCell is what Outlast said, in a cell of a table.
func saidCell(r trial.Result) string {
	return strings.ReplaceAll(strings.Join(r.Said, "; "), "|", `\|`)
}

// output writes the page to the file of the flag, or prints it.
func (p *paper) output(file string) error {
	var b bytes.Buffer
	if err := p.write(&b); err != nil {
		return err
	}
	if file == "" {
		_, err := os.Stdout.Write(b.Bytes())
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// verdict is an error where Outlast did not do what it should.
func (p *paper) verdict() error {
	var bad []string
	for _, l := range p.Bad {
		bad = append(bad, l.Row.String())
	}
	for _, t := range p.Tales {
		if t.Err != nil {
			bad = append(bad, t.name())
		}
	}
	for _, t := range p.Trips {
		if !t.good() && !p.half {
			bad = append(bad, t.Errand.String())
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("outlast did not do what it should:\n  %s", strings.Join(bad, "\n  "))
	}
	return nil
}

// versions names the tools that were run.
func versions() []string {
	var all []string
	for _, name := range []string{"buildkitd", "buildx"} {
		path, err := testenv.LookTool(name)
		if err != nil {
			continue
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			continue
		}
		for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
			if m.Path == "github.com/moby/buildkit" && name == "buildkitd" || m.Path == "github.com/docker/buildx" {
				all = append(all, name+" "+m.Version)
			}
		}
	}
	return all
}
