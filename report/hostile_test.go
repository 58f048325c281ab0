package report_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	unsafe "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"

	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
	"github.com/outlast-build/outlast/report"
)

// said returns a record in which every text is that one.
func said(text string) record.Run {
	r := runs.Outage()
	r.Error, r.Substitutes = text, map[string]string{text: text}
	fill(reflect.ValueOf(&r).Elem(), text)
	r.Outcome = record.Failed
	return r
}

func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() && v.Type() == reflect.TypeFor[string]() {
			v.SetString(text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				fill(v.Field(i), text)
			}
		}
	}
}

var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><svg onload=alert(1)>`, `</title></pre></table>]]>--><h1>`,
	"a | b | c\n| --- |\n# head", "```\n# out\n```", "``` ` `` `", `[x](javascript:alert(1)) ![y](http://example.com/z.png) <http://example.com>`,
	"https://example.com/a www.example.com mailto:a@example.com @somebody #12 $x$ ~~y~~ **z** __w__", "- x", "1. x", "    code", "\tcode", "&lt;b&gt; &amp; &#60;",
	"\x1b[31mred\x1b[0m\x07\x9b2J", "a\r\n::error file=x::y\n##[error]z", "::set-output name=digest::evil", "a\u202egnp.exe", "section_end:1:outlast\r\x1b[0K", "\\| \\` \\", "x`|`y", "=cmd()", "\x00\xff",
}

// tags counts the elements and the attributes that a report is made of.
func tags(t *testing.T, page string) map[string]int {
	t.Helper()
	count := make(map[string]int)
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return count
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			count[token.Data]++
			for _, a := range token.Attr {
				count[token.Data+" "+a.Key]++
			}
		}
	}
}

// hostileText wants of every format that the text is shown as text: the report
// has the same elements as one about a harmless text.
func hostileText(t *testing.T, text string) {
	t.Helper()
	page, quiet := report.Page{Run: said(text), Advice: []report.Advice{{Title: text, Why: text, Change: text}}}, report.Page{Run: said("word"), Advice: []report.Advice{{Title: "word", Why: "word", Change: "word"}}}
	for _, f := range report.Formats() {
		var b, q bytes.Buffer
		if err := f.Write(&b, page); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if err := f.Write(&q, quiet); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		if f.Name != "json" && strings.ContainsFunc(out, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x9b || r == 0x202e }) {
			t.Errorf("%s: %q: a control character stands in it", f.Name, text)
		}
		switch f.Name {
		case "html":
			same(t, f.Name, text, tags(t, q.String()), tags(t, out))
		case "markdown":
			same(t, f.Name, text, tags(t, rendered(t, q.String())), tags(t, rendered(t, out)))
		case "json":
			if err := json.Unmarshal(b.Bytes(), new(map[string]any)); err != nil {
				t.Errorf("json: %q: %v", text, err)
			}
		case "env":
			if got, want := strings.Count(out, "\n"), strings.Count(q.String(), "\n"); got != want {
				t.Errorf("env: %q: got %d lines, want %d:\n%s", text, got, want, out)
			}
		}
	}
}

// rendered is Markdown as GitHub reads it, before GitHub takes out what it
// does not allow.
func rendered(t *testing.T, markdown string) string {
	t.Helper()
	var b bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(unsafe.WithUnsafe())).Convert([]byte(markdown), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares the elements. A text of several lines makes several lines of
// code, but no element besides.
func same(t *testing.T, format, text string, want, got map[string]int) {
	t.Helper()
	for _, name := range []string{"code", "title"} {
		delete(want, name)
		delete(got, name)
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s: %q: got elements %v, want %v", format, text, got, want)
	}
}

// The seeds run with every test.
func FuzzHostileTextIsShownAsText(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.TrimSpace(text) != "" && len(text) < 1000 {
			hostileText(t, text)
		}
	})
}

func TestNoFormatHoldsASecret(t *testing.T) {
	const planted = "Hunter2Pl4nted9z"
	for _, text := range []string{"https://bob:" + planted + "@registry.example.com/v2/", "NPM_TOKEN=" + planted, "Authorization: Bearer " + planted, "said " + planted} {
		r := said(text).Redacted(redact.Of("PASSWORD=" + planted).Text)
		for _, f := range report.Formats() {
			var b bytes.Buffer
			if err := f.Write(&b, report.Page{Run: r}); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), planted) {
				t.Errorf("%s holds the secret of %q", f.Name, text)
			}
		}
	}
}
