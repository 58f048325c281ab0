package web

import (
	"fmt"
	"html/template"
	"strings"
)

// A cell is one time in a strip.
type cell struct {
	Tone  string // good, warn, bad, or empty: nobody asked
	Title string
	Path  string // where it leads
}

// chart makes a picture from a template, which html/template keeps harmless.
func chart(t *template.Template, data any) template.HTML {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return ""
	}
	return template.HTML(b.String())
}

var stripTemplate = template.Must(template.New("strip").Parse(
	`<svg class="strip" preserveAspectRatio="none" viewBox="0 0 {{.Width}} 22" width="{{.Width}}" height="22" role="img" aria-label="{{.Label}}">{{range .Cells}}<rect class="{{with .Tone}}{{.}}{{else}}none{{end}}" x="{{.X}}" y="1" width="4" height="20" rx="1"><title>{{.Title}}</title></rect>{{end}}</svg>`))

// strip draws what was seen over time, the oldest first.
func strip(label string, cells []cell) template.HTML {
	type placed struct {
		cell
		X int
	}
	var all []placed
	for i, c := range cells {
		all = append(all, placed{c, 6 * i})
	}
	return chart(stripTemplate, struct {
		Label string
		Width int
		Cells []placed
	}{label, max(6*len(cells)-2, 1), all})
}

var sparkTemplate = template.Must(template.New("spark").Parse(
	`<svg class="spark" viewBox="0 0 240 48" width="240" height="48" role="img" aria-label="{{.Label}}"><line class="grid" x1="0" x2="240" y1="44" y2="44"/>{{with .Points}}<polyline points="{{.}}"/>{{end}}{{range .Dots}}<circle cx="{{.X}}" cy="{{.Y}}" r="3"/>{{end}}</svg>`))

// spark draws values of 0 to 1 over time, the oldest first.
func spark(label string, values []float64) template.HTML {
	type dot struct{ X, Y string }
	var points []string
	var dots []dot
	for i, v := range values {
		x := 236.0
		if len(values) > 1 {
			x = 4 + 232*float64(i)/float64(len(values)-1)
		}
		p := dot{fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", 44-40*min(max(v, 0), 1))}
		points = append(points, p.X+","+p.Y)
		if i == len(values)-1 {
			dots = append(dots, p)
		}
	}
	return chart(sparkTemplate, struct {
		Label, Points string
		Dots          []dot
	}{label, strings.Join(points, " "), dots})
}

var barTemplate = template.Must(template.New("bar").Parse(
	`<svg class="share" viewBox="0 0 200 14" width="200" height="14" role="img" aria-label="{{.Label}}">{{range .Parts}}<rect class="{{.Tone}}" x="{{.X}}" y="1" width="{{.W}}" height="12"><title>{{.Title}}</title></rect>{{end}}</svg>`))

// A part is a share of a bar.
type part struct {
	Tone, Title string
	N           int
}

// share draws how parts make a whole.
func share(label string, parts ...part) template.HTML {
	type placed struct {
		part
		X, W string
	}
	all, x := 0, 0.0
	for _, p := range parts {
		all += p.N
	}
	var shown []placed
	for _, p := range parts {
		if p.N > 0 {
			w := 200 * float64(p.N) / float64(all)
			shown = append(shown, placed{p, fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", w)})
			x += w
		}
	}
	return chart(barTemplate, struct {
		Label string
		Parts []placed
	}{label, shown})
}

var ringTemplate = template.Must(template.New("ring").Parse(
	`<svg class="ring {{.Tone}}" viewBox="0 0 120 120" width="120" height="120" role="img" aria-label="{{.Label}}"><circle class="track" cx="60" cy="60" r="52"/><circle class="value" cx="60" cy="60" r="52" pathLength="100" stroke-dasharray="{{.Percent}} 100" transform="rotate(-90 60 60)"/><text x="60" y="69" text-anchor="middle">{{.Percent}}</text></svg>`))

// ring draws a score of 0 to 100.
func ring(percent int) template.HTML {
	return chart(ringTemplate, struct {
		Label, Tone string
		Percent     int
	}{fmt.Sprintf("%d of 100 points", percent), grade(percent), percent})
}

// grade is the tone of a score, by the thresholds of the strategies.
func grade(percent int) string {
	switch {
	case percent >= 80:
		return "good"
	case percent >= 60:
		return "warn"
	}
	return "bad"
}
