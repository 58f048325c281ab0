package report

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// The measures of a picture, in its own units: pixels where it is shown at its
// full width.
const (
	svgWidth = 960
	svgNames = 330 // where the bars begin
	svgBars  = 430 // how wide they may be
	svgLane  = 24
	svgTop   = 30
	svgText  = 46 // letters that fit in front of the bars
)

// A picture is a timeline in numbers, for the template.
type picture struct {
	ID, Title, Desc string
	Height          int
	Ticks           []tick
	Lanes           []drawn
}

type tick struct {
	X    string
	Text string
}

type drawn struct {
	Y, Text, Bar int // of the lane, of its text, of its bars
	Name, Full   string
	Note, Class  string
	Bars         []rect
}

type rect struct{ X, W, Class string }

func pixels(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

// picture draws the timeline.
func (t timeline) picture(id, title string) picture {
	p := picture{ID: id, Title: title, Desc: t.tells(), Height: svgTop + svgLane*len(t.lanes) + 8}
	at := func(d time.Duration) float64 { return svgNames + svgBars*float64(d)/float64(t.span) }
	for d, step := time.Duration(0), pace(t.span); d <= t.span; d += step {
		p.Ticks = append(p.Ticks, tick{pixels(at(d)), d.String()})
	}
	for i, l := range t.lanes {
		y := svgTop + svgLane*i
		w := drawn{Y: y, Text: y + 16, Bar: y + 6, Name: clip(Visible(l.name), svgText), Full: Visible(l.name), Note: l.note, Class: "step " + string(l.tone)}
		if l.attempt {
			w.Class = "attempt " + string(l.tone)
		}
		for _, b := range l.bars {
			w.Bars = append(w.Bars, rect{pixels(at(b.from)), pixels(max(at(b.to)-at(b.from), 2)), string(b.kind)})
		}
		p.Lanes = append(p.Lanes, w)
	}
	return p
}

// paces are the distances of ticks that people count in.
var paces = []time.Duration{
	time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// pace is the distance at which at most seven ticks stand in a span.
func pace(span time.Duration) time.Duration {
	for _, p := range paces {
		if span/p <= 6 {
			return p
		}
	}
	return span/6 + 1
}

var pictureTemplate = template.Must(template.New("picture").Parse(
	`<svg class="timeline" viewBox="0 0 960 {{.Height}}" width="960" height="{{.Height}}" role="img" aria-labelledby="{{.ID}}-title {{.ID}}-desc">
<title id="{{.ID}}-title">{{.Title}}</title>
<desc id="{{.ID}}-desc">{{.Desc}}</desc>
{{$h := .Height}}{{range .Ticks}}<line class="grid" x1="{{.X}}" x2="{{.X}}" y1="22" y2="{{$h}}"/><text class="tick" x="{{.X}}" y="15" text-anchor="middle">{{.Text}}</text>
{{end}}{{range .Lanes}}<g class="{{.Class}}"><title>{{.Full}}{{with .Note}}: {{.}}{{end}}</title><text class="name" x="0" y="{{.Text}}">{{.Name}}</text>{{$y := .Bar}}{{range .Bars}}<rect class="{{.Class}}" x="{{.X}}" y="{{$y}}" width="{{.W}}" height="13" rx="2"/>{{end}}<text class="note" x="775" y="{{.Text}}">{{.Note}}</text></g>
{{end}}</svg>`))
