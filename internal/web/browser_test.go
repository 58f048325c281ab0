package web_test

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/runs"
	"github.com/outlast-build/outlast/internal/web"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

var screenshots = flag.String("screenshots", "", "write pictures of the pages into this folder")

// A browser is one headless Chromium, and what it complained of.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	requests []string
	wrong    []string
}

// newBrowser starts Chromium, which reaches this machine alone.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Env("TMPDIR="+testenv.TempDir(t)), // it leaves its socket behind
		chromedp.ExecPath(testenv.Tool(t, "chromium")), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("disable-lcd-text", true), chromedp.Flag("hide-scrollbars", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			b.wrong = append(b.wrong, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			b.wrong = append(b.wrong, fmt.Sprintf("console.%s", e.Type))
		case *log.EventEntryAdded:
			b.wrong = append(b.wrong, e.Entry.Text+" "+e.Entry.URL)
		}
	})
	if err := chromedp.Run(ctx, network.Enable(), runtime.Enable(), log.Enable()); err != nil {
		t.Fatal(err)
	}
	return b
}

// open goes to an address and returns what was asked for on the way there, and
// what was complained of.
func (b *browser) open(t *testing.T, address string) (requests, wrong []string) {
	t.Helper()
	b.mu.Lock()
	b.requests, b.wrong = nil, nil
	b.mu.Unlock()
	if err := chromedp.Run(b.ctx, chromedp.Navigate(address), chromedp.WaitReady("main")); err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests), slices.Clone(b.wrong)
}

// eval evaluates an expression in the page.
func (b *browser) eval(t *testing.T, expression string, out any) {
	t.Helper()
	if err := chromedp.Run(b.ctx, chromedp.Evaluate(expression, out)); err != nil {
		t.Fatalf("evaluate %s: %v", expression, err)
	}
}

func (b *browser) run(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func phone() chromedp.Action { return chromedp.EmulateViewport(375, 800) }
func desk() chromedp.Action  { return chromedp.EmulateViewport(1100, 800) }
func scheme(dark bool) chromedp.Action {
	value := "light"
	if dark {
		value = "dark"
	}
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}})
}

// shown is a dashboard on a machine where a build runs.
func shown(t *testing.T) *httptest.Server {
	t.Helper()
	all := runs.Many(200, now)
	s := site(t, all...)
	s.Running = func() []record.Run { return []record.Run{runs.Running(now)} }
	s.Card = func() (health.Scorecard, time.Time) {
		c := runs.Outage().Card
		c.Taken = now.Add(-3 * time.Minute)
		return c, now.Add(2 * time.Minute)
	}
	s.Advice = func(stats.Tally) ([]report.Advice, string) {
		return []report.Advice{{Title: "mirror.example.com serves spoiled bytes", Why: "2 of 14 requests in each of 10 runs", Change: "registries:\n  docker.io:\n    mirrors: [{url: https://mirror2.example.com}]"}}, ""
	}
	server := httptest.NewServer(web.Guard{}.Protect(s.Handler()))
	t.Cleanup(server.Close)
	return server
}

// The properties of a page that are looked for, as a page itself tells them.
const (
	width     = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	landmarks = `["header", "nav", "main", "main h1", "a.skip", "html[lang]", "head title"].filter(s => document.querySelectorAll(s).length !== 1)`
	tables    = `Array.from(document.querySelectorAll("table")).filter(t => !t.caption || !t.querySelector("th[scope]")).length`
	labels    = `Array.from(document.querySelectorAll("input, select, svg[role=img]")).filter(e => !(e.labels && e.labels.length) && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")).length`
	ids       = `(() => { const all = Array.from(document.querySelectorAll("[id]")).map(e => e.id); return all.filter((x, i) => all.indexOf(x) !== i) })()`
	// contrast is the least contrast of the texts with what is behind them, by WCAG 2.
	contrast = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1] };
	const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c } return [255, 255, 255, 1] };
	let least = 21, of = "";
	for (const e of document.querySelectorAll("main *, header *, footer *")) {
		if (!Array.from(e.childNodes).some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
		const style = getComputedStyle(e), svg = e.ownerSVGElement;
		const a = lum(parse(svg ? style.fill : style.color).slice(0, 3)), b = lum(behind(svg ? svg.parentElement : e).slice(0, 3));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < least) { least = ratio; of = e.outerHTML.slice(0, 80) }
	}
	return { least, of };
})()`
)

// One browser does for all: to start it takes longer than to look at a page.
func TestInABrowser(t *testing.T) {
	b, server := newBrowser(t), shown(t)
	t.Run("every page", func(t *testing.T) { tryPages(t, b, server.URL) })
	t.Run("by the keyboard", func(t *testing.T) { tryKeyboard(t, b, server.URL) })
	t.Run("a report on the disk", func(t *testing.T) { tryReport(t, b) })
	t.Run("a build that ends", func(t *testing.T) { tryLive(t, b) })
}

func tryPages(t *testing.T, b *browser, address string) {
	for _, path := range paths {
		b.run(t, desk(), scheme(false))
		requests, wrong := b.open(t, address+path)
		for _, r := range requests {
			if !strings.HasPrefix(r, address+"/") {
				t.Errorf("%s: asks for %s", path, r)
			}
		}
		if len(wrong) > 0 {
			t.Errorf("%s: the browser complains: %q", path, wrong)
		}
		var missing []string
		var n int
		if b.eval(t, landmarks, &missing); len(missing) > 0 {
			t.Errorf("%s: not exactly one of %q", path, missing)
		}
		if b.eval(t, tables, &n); n > 0 {
			t.Errorf("%s: %d tables without a caption or heads", path, n)
		}
		if b.eval(t, labels, &n); n > 0 {
			t.Errorf("%s: %d controls or pictures without a name", path, n)
		}
		if b.eval(t, ids, &missing); len(missing) > 0 {
			t.Errorf("%s: ids stand twice: %q", path, missing)
		}
		var paper [2]string
		for i, dark := range []bool{false, true} {
			b.run(t, scheme(dark))
			var c struct {
				Least float64
				Of    string
			}
			if b.eval(t, contrast, &c); c.Least < 4.5 {
				t.Errorf("%s: contrast of %.2f, dark: %t: %s", path, c.Least, dark, c.Of)
			}
			b.eval(t, `getComputedStyle(document.body).backgroundColor`, &paper[i])
		}
		if paper[0] == paper[1] {
			t.Errorf("%s: light and dark are both %s", path, paper[0])
		}
		b.run(t, phone())
		if b.eval(t, width, &n); n > 0 {
			t.Errorf("%s: on a phone it is %d pixels too wide", path, n)
		}
	}
}

// By the keyboard alone: the first stop skips to the content, and every link
// and control can be reached.
func tryKeyboard(t *testing.T, b *browser, address string) {
	b.run(t, desk())
	b.open(t, address+"/builds")
	var want int
	b.eval(t, `document.querySelectorAll("a[href], input, select, button, [tabindex='0']").length`, &want)
	const here = `(() => { const e = document.activeElement; if (!e.dataset.n) e.dataset.n = ++window.stops || (window.stops = 1); return [e.className, e.dataset.n, getComputedStyle(e).outlineStyle].join(" ") })()`
	stops := make(map[string]bool)
	first := ""
	for range want + 2 {
		var at string
		b.run(t, chromedp.KeyEvent("\t"), chromedp.Evaluate(here, &at))
		if first == "" {
			first = at
		}
		stops[at] = true
	}
	if !strings.HasPrefix(first, "skip ") || !strings.HasSuffix(first, "solid") {
		t.Errorf("the first stop is %q, want the link that skips, outlined", first)
	}
	if len(stops) < want {
		t.Errorf("got %d stops of the keyboard, want %d", len(stops), want)
	}
}

// A page with what runs goes on by itself, and without a script it is whole.
func tryLive(t *testing.T, b *browser) {
	var mu sync.Mutex
	running := []record.Run{runs.Running(now)}
	s := site(t, runs.Many(20, now)...)
	s.Running = func() []record.Run { mu.Lock(); defer mu.Unlock(); return running }
	server := httptest.NewServer(web.Guard{}.Protect(s.Handler()))
	defer server.Close()
	b.open(t, server.URL+"/")
	b.run(t, chromedp.WaitVisible("article .steps"))
	mu.Lock()
	running = nil
	mu.Unlock()
	b.run(t, chromedp.WaitNotPresent("article .steps"))
	b.run(t, emulation.SetScriptExecutionDisabled(true))
	if _, wrong := b.open(t, server.URL+"/builds/RUN00000019"); len(wrong) > 0 {
		t.Errorf("without scripts: %q", wrong)
	}
}

// A report that lies on the disk asks nobody for anything.
func tryReport(t *testing.T, b *browser) {
	f, err := report.FormatOf("report.html")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(file, report.Page{Run: runs.Outage()}); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	address := (&url.URL{Scheme: "file", Path: path}).String()
	requests, wrong := b.open(t, address)
	if len(requests) != 1 || requests[0] != address || len(wrong) > 0 {
		t.Errorf("got requests %q and complaints %q, want the file alone", requests, wrong)
	}
	var n int
	b.run(t, phone())
	if b.eval(t, width, &n); n > 0 {
		t.Errorf("on a phone it is %d pixels too wide", n)
	}
	var color string
	b.eval(t, `getComputedStyle(document.querySelector("rect.failed")).fill`, &color)
	if color == "rgb(0, 0, 0)" {
		t.Error("the style sheet is not in force")
	}
}

// shot writes a picture of what is shown, where pictures are asked for.
func shot(t *testing.T, b *browser, name string, view chromedp.Action, height int64) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	var data []byte
	b.run(t, view, scheme(strings.HasSuffix(name, "dark")), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		w := 1100.0
		if strings.HasSuffix(name, "phone") {
			w = 375
		}
		data, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).WithCaptureBeyondViewport(true).
			WithClip(&page.Viewport{Width: w, Height: float64(height), Scale: 1}).Do(ctx)
		return err
	}))
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// With -screenshots DIR it makes the pictures of the documentation.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("make screenshots asks for them")
	}
	b, server := newBrowser(t), shown(t)
	for _, s := range []struct {
		name, path string
		view       chromedp.Action
		height     int64
	}{
		{"now", "/", desk(), 1000}, {"now-dark", "/", desk(), 1000}, {"now-phone", "/", phone(), 1100}, {"builds", "/builds", desk(), 760},
		{"build", "/builds/RUN00000184", desk(), 1200}, {"services", "/services", desk(), 760}, {"strategies", "/strategies", desk(), 520},
	} {
		b.run(t, s.view)
		b.open(t, server.URL+s.path)
		shot(t, b, s.name, s.view, s.height)
	}
}
