// Package web is the dashboard: pages made on this side from the records of
// runs, which need neither a script nor the internet. It reads and never
// changes anything, and shows whatever images, logs and services said as text.
package web

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/history"
	"github.com/outlast-build/outlast/internal/httpx"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

// A Source has the runs that are past. A *history.Store is one.
type Source interface {
	Runs(context.Context, history.Query) ([]record.Run, error)
	Get(ctx context.Context, id string) (record.Run, error)
	Days(ctx context.Context, since, until time.Time, repo string) ([]stats.Day, error)
}

// A Site makes the pages. Its fields are not changed once it serves.
type Site struct {
	History Source                                      // nil: nothing is kept, and the pages say so
	Running func() []record.Run                         // the builds under way; nil: none are known
	Card    func() (health.Scorecard, time.Time)        // the newest assessment, and when the next is due; nil: none is made
	Advice  func(stats.Tally) ([]report.Advice, string) // what to change, from the last days, or why nothing is said; nil: nobody says
	Now     func() time.Time                            // nil: time.Now
	Version string
}

// window is how many of the newest runs the pages look at one by one, however
// many there are: they are read in a tenth of a second.
const window = 200

// span is how far back the sums of the pages go, which the history keeps by
// day.
const span = 30 * 24 * time.Hour

//go:embed pages/*.html live.js icon.svg site.css
var files embed.FS

var funcs = template.FuncMap{
	"ago": ago, "took": took, "stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
	"percent": func(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }, "bytes": size,
	"tone": toneOf, "sign": signOf, "title": titleOf, "short": func(s string) string { return s[:min(len(s), 8)] },
	"share": shareOf, "ms": func(n int64) string { return took(time.Duration(n) * time.Millisecond) },
	"join": strings.Join, "of": func(m report.Mark) string { return marks[m] },
}

// marks are the tones of what a scorecard says.
var marks = map[report.Mark]string{report.Well: "good", report.Uneasy: "warn", report.Down: "bad", report.Unasked: "muted"}

var layout = template.Must(template.New("layout").Funcs(funcs).ParseFS(files, "pages/layout.html"))

// pages are the templates by their names, each with the layout around it.
var pages = func() map[string]*template.Template {
	all := make(map[string]*template.Template)
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern stands in the line above
	}
	for _, name := range names {
		page := strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".html")
		all[page] = template.Must(template.Must(layout.Clone()).ParseFS(files, name))
	}
	return all
}()

// A page is what the layout needs, and what the page itself shows.
type page struct {
	Name, Title string
	Nav         []link
	Site        *Site
	Now         time.Time
	Live        bool // it changes while it is looked at
	Data        any
}

type link struct {
	Name, Path string
	Here       bool
}

// nav are the pages that every page leads to.
var nav = []link{{Name: "Now", Path: "/"}, {Name: "Builds", Path: "/builds"}, {Name: "Services", Path: "/services"},
	{Name: "Caches", Path: "/caches"}, {Name: "Strategies", Path: "/strategies"}, {Name: "Recommendations", Path: "/advice"}}

// Handler returns the pages.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, f := range map[string]httpx.HandlerFunc{
		"GET /{$}": s.now, "GET /builds": s.builds, "GET /builds/{id}": s.build, "GET /compare": s.compare,
		"GET /services": s.services, "GET /caches": s.caches, "GET /strategies": s.strategies, "GET /advice": s.advice,
	} {
		mux.Handle(path, httpx.Handle(nil, s.named(f)))
	}
	for name, kind := range map[string]string{"live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		mux.Handle("GET /assets/"+name, asset(kind, must(fs.ReadFile(files, name))))
	}
	mux.Handle("GET /assets/style.css", asset("text/css; charset=utf-8", append([]byte(report.Style), must(fs.ReadFile(files, "site.css"))...)))
	mux.Handle("/", httpx.Handle(nil, s.named(func(http.ResponseWriter, *http.Request) error { return errNoPage })))
	return mux
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err) // the file is part of the program
	}
	return data
}

func asset(kind string, data []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(data) // who left needs no answer
	})
}

var errNoPage = errors.New("there is no such page")

// named makes an error of a page a page that says what is wrong.
func (s *Site) named(f httpx.HandlerFunc) httpx.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := f(w, r)
		if err == nil || r.Context().Err() != nil {
			return err
		}
		code, text := http.StatusInternalServerError, "The history could not be read: "+err.Error()
		if errors.Is(err, errNoPage) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, history.ErrAmbiguous) {
			code, text = http.StatusNotFound, err.Error()
		}
		w.WriteHeader(code)
		return s.show(w, r, "error", "Not here", text)
	}
}

// show writes a page.
func (s *Site) show(w http.ResponseWriter, r *http.Request, name, title string, data any) error {
	p := page{Name: name, Title: title, Site: s, Now: s.time(), Data: data}
	for _, l := range nav {
		l.Here = l.Path == r.URL.Path
		p.Nav = append(p.Nav, l)
	}
	_, p.Live = data.(nowPage)
	var b strings.Builder
	if err := pages[name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		return fmt.Errorf("show %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := io.WriteString(w, visible(b.String()))
	return err
}

// visible makes control characters of a whole page visible.
func visible(page string) string {
	lines := strings.Split(page, "\n")
	for i, l := range lines {
		lines[i] = report.Visible(l)
	}
	return strings.Join(lines, "\n")
}

func (s *Site) time() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// recent are the newest runs, builds and checks alike.
func (s *Site) recent(r *http.Request, q history.Query) ([]record.Run, error) {
	if s.History == nil {
		return nil, nil
	}
	q.Limit = cmp.Or(q.Limit, window)
	return s.History.Runs(r.Context(), q)
}

// month has the sums of the last days.
func (s *Site) month(r *http.Request) ([]stats.Day, error) {
	if s.History == nil {
		return nil, nil
	}
	return s.History.Days(r.Context(), s.time().Add(-span), s.time().Add(24*time.Hour), "")
}
