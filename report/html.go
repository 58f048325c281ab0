package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Style is the one style sheet of reports and of the dashboard. It asks for
// nothing: no font, no picture, no other sheet.
//
//go:embed style.css
var Style string

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"sign": func(t tone) string { return signs[t] },
}).Parse(pageSource))

// Policy allows this style sheet and nothing else: a report that was opened
// from a file asks nobody for anything, whatever stands in it.
var policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", base64.StdEncoding.EncodeToString(hash(Style)))

func hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// writeHTML writes a report as one file that holds everything.
func writeHTML(w io.Writer, p Page) error {
	v := viewOf(page(p), "")
	return pageTemplate.ExecuteTemplate(w, "file", struct {
		view
		Style  template.CSS
		Policy string
	}{v, template.CSS(Style), policy})
}

// Body is the report as a part of a page that has Style: headings from the
// second level on, ids that begin with prefix.
func Body(p Page, prefix string) (template.HTML, error) {
	var b strings.Builder
	err := pageTemplate.ExecuteTemplate(&b, "body", viewOf(page(p), prefix))
	return template.HTML(b.String()), err
}

// A view is a doc for the template.
type view struct {
	Title, Lead string
	Tone        tone
	Sections    []viewSection
}

type viewSection struct {
	ID, Title string
	Blocks    []viewBlock
}

type viewBlock struct {
	Text    string
	Facts   []viewFact
	List    []string
	Code    []string
	Label   string
	Table   *viewTable
	Picture template.HTML
	Words   *viewTable // what Picture shows
}

type viewFact struct {
	Name, Value string
	Tone        tone
}

type viewTable struct {
	Label string
	Heads []viewHead
	Rows  [][]viewCell
	More  string
	Named bool // its columns have names
}

type viewHead struct {
	Name   string
	Number bool
}

type viewCell struct {
	Text         string
	Tone         tone
	Code, Number bool
}

func viewOf(d doc, prefix string) view {
	v := view{Title: Visible(d.title), Lead: Visible(d.lead), Tone: d.tone}
	for _, s := range d.sections {
		section := viewSection{ID: prefix + s.id, Title: s.title}
		for _, k := range s.blocks {
			section.Blocks = append(section.Blocks, k.view(section.ID))
		}
		v.Sections = append(v.Sections, section)
	}
	return v
}

func (k block) view(id string) viewBlock {
	b := viewBlock{Text: Visible(k.text), Label: Visible(k.label)}
	for _, f := range k.facts {
		b.Facts = append(b.Facts, viewFact{f.name, Visible(f.value), f.tone})
	}
	for _, l := range k.list {
		b.List = append(b.List, Visible(l))
	}
	for _, l := range k.code {
		b.Code = append(b.Code, Visible(l))
	}
	if k.table != nil {
		b.Table = k.table.view(b.Label)
	}
	if k.chart != nil {
		var svg strings.Builder
		if err := pictureTemplate.Execute(&svg, k.chart.picture(id, b.Label)); err == nil {
			b.Picture = template.HTML(svg.String()) // made by html/template
		}
		b.Words = k.chart.table().view(b.Label)
	}
	return b
}

func (t *table) view(label string) *viewTable {
	v := &viewTable{Label: label, More: t.more}
	for _, h := range t.heads {
		v.Heads = append(v.Heads, viewHead{h.name, h.number})
		v.Named = v.Named || h.name != ""
	}
	for _, r := range t.rows {
		var row []viewCell
		for i, c := range r {
			row = append(row, viewCell{Visible(c.text), c.tone, c.code, t.heads[i].number})
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}
