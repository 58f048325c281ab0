package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
	digest "github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/engine"
)

// maxKept bounds the text that is kept until the display ends, in bytes: what
// buildx says in the end is a few kB.
const maxKept = 256 << 10

// A display draws a build with BuildKit's own display, as buildx does. What
// Outlast did about a failure stands in it as a small step that is done. Text
// that is no status comes before the display begins or after it ended, in its
// order. Methods may be called at once from many places.
type display struct {
	w     io.Writer
	mode  progressui.DisplayMode
	color bool
	debug bool // warnings are shown in full

	mu      sync.Mutex
	stage   *stage // nil while nothing is drawn
	heads   []progressui.DisplayOpt
	kept    []string
	size    int
	failed  bool      // the engine's last words on the build have come
	told    bool      // they were shown
	latest  time.Time // by the engine's clock
	notes   int
	closed  bool
	already map[string]bool // notes that were shown
}

// newDisplay prepares a display of the mode that the user named: auto, plain,
// tty, quiet, none or rawjson.
func newDisplay(w io.Writer, mode string, color, debug bool) (*display, error) {
	if mode == "none" {
		mode = string(progressui.QuietMode)
	}
	d := &display{w: w, mode: progressui.DisplayMode(mode), color: color, debug: debug, already: make(map[string]bool)}
	if _, err := progressui.NewDisplay(w, d.mode); err != nil {
		return nil, &usageError{err: fmt.Errorf("--progress %s: %w", mode, err),
			hint: "allowed: auto, plain, tty, quiet, none, rawjson; tty needs a terminal"}
	}
	return d, nil
}

// silent reports whether the user asked for no words on how it goes, or for
// JSON alone.
func (d *display) silent() bool {
	return d.quiet() || d.mode == progressui.RawJSONMode
}

// quiet reports whether the user asked for no words on how it goes.
func (d *display) quiet() bool { return d.mode == progressui.QuietMode }

// toldError reports whether the engine itself said how the build failed.
func (d *display) toldError() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told
}

// builder names the builder at the head of what is drawn from then on, as
// buildx does.
func (d *display) builder(name, driver string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heads = []progressui.DisplayOpt{progressui.WithDesc(
		fmt.Sprintf("building with %q instance using %s driver", name, driver), driver+":"+name)}
}

// event shows a piece of news from the engine.
func (d *display) event(e engine.Event) {
	if e.Status != nil {
		d.status(e.Status)
		return
	}
	if text, ok := strings.CutPrefix(e.Line, "outlast: "); ok {
		d.note(text)
		return
	}
	d.line(e.Line)
}

func (d *display) status(s *client.SolveStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	// buildx speaks its last words when its display has ended: a status after
	// them is of another attempt.
	if d.failed {
		d.endLocked(d.mode != progressui.QuietMode)
	}
	for _, v := range s.Vertexes {
		if v == nil {
			continue
		}
		for _, t := range []*time.Time{v.Started, v.Completed} {
			if t != nil && t.After(d.latest) {
				d.latest = *t
			}
		}
	}
	d.stageLocked().show(s)
}

func (d *display) line(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if strings.HasPrefix(text, "ERROR: ") {
		d.failed = true
	}
	if d.stage == nil && !d.failed {
		fmt.Fprintln(d.w, text)
		return
	}
	if d.size += len(text); d.size <= maxKept {
		d.kept = append(d.kept, text)
	}
}

// note shows what was done about a failure, each text once.
func (d *display) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.already[text] || d.mode == progressui.QuietMode {
		return
	}
	d.already[text] = true
	if d.stage == nil && d.mode != progressui.RawJSONMode {
		speaker{w: d.w, color: d.color}.plain(text)
		return
	}
	d.notes++
	// The engine's clock may be another than ours, and steps that end at once
	// have no order.
	if d.latest.IsZero() {
		d.latest = time.Now()
	}
	d.latest = d.latest.Add(time.Nanosecond)
	at := d.latest
	d.stageLocked().show(&client.SolveStatus{Vertexes: []*client.Vertex{{
		Digest:    digest.FromString(fmt.Sprintf("outlast %d %s", d.notes, text)),
		Name:      "[outlast] " + clean(text),
		Started:   &at,
		Completed: &at,
	}}})
}

// close ends the display and shows what was kept for its end.
func (d *display) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.endLocked(true)
		d.closed = true
	}
}

func (d *display) stageLocked() *stage {
	if d.stage == nil {
		d.stage = newStage(d.w, d.mode, d.heads)
	}
	return d.stage
}

func (d *display) endLocked(show bool) {
	if d.stage != nil {
		warnings := d.stage.end()
		if !d.silent() {
			printWarnings(d.w, warnings, d.color, d.debug)
		}
		d.stage = nil
	}
	if show {
		for _, line := range d.kept {
			fmt.Fprintln(d.w, line)
		}
	}
	d.told = show && d.failed
	d.kept, d.size, d.failed = nil, 0, false
}

// A stage is one run of BuildKit's display.
type stage struct {
	statuses chan *client.SolveStatus
	done     chan struct{}
	warnings []client.VertexWarning
}

func newStage(w io.Writer, mode progressui.DisplayMode, heads []progressui.DisplayOpt) *stage {
	s := &stage{statuses: make(chan *client.SolveStatus), done: make(chan struct{})}
	go s.run(w, mode, heads)
	return s
}

// run draws until there is no more. A display that gives up costs its
// pictures, never the build: what is sent on is dropped.
func (s *stage) run(w io.Writer, mode progressui.DisplayMode, heads []progressui.DisplayOpt) {
	defer close(s.done)
	defer func() {
		if why := recover(); why != nil {
			speaker{w: w}.warning(fmt.Sprintf("the display failed, the build goes on: %v", why))
		}
		for range s.statuses {
		}
	}()
	drawn, err := progressui.NewDisplay(w, mode, heads...)
	if err != nil {
		return // newDisplay has tried the same
	}
	s.warnings, _ = drawn.UpdateFrom(context.Background(), s.statuses)
}

func (s *stage) show(status *client.SolveStatus) { s.statuses <- status }

func (s *stage) end() []client.VertexWarning {
	close(s.statuses)
	<-s.done
	return s.warnings
}
