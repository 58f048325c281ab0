package fetch_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

const good = `{"schemaVersion":2,"config":{"digest":"sha256:1"}}`

func TestBytesComeFromTheNextSourceWhere(t *testing.T) {
	long := good + strings.Repeat(" ", 20)
	for _, row := range []struct {
		name   string
		fault  faultnet.Fault
		ask    func(*fetch.Ask)
		kind   fault.Kind
		within time.Duration
	}{
		{"the first refuses", faultnet.Refuse(), nil, fault.Connection, 0},
		{"the first drops SYN", faultnet.DropSYN(), nil, fault.Canceled, 250 * time.Millisecond},
		{"the first hangs", faultnet.Hang(), nil, fault.Canceled, 250 * time.Millisecond},
		{"the first hangs in the body", faultnet.HangAfter(7), nil, fault.Canceled, time.Second},
		{"the first drips", faultnet.Drip(20), nil, fault.Canceled, 2 * time.Second},
		{"the first resets", faultnet.Reset(), nil, fault.Connection, 0},
		{"the first resets in the body", faultnet.ResetAfter(7), nil, fault.Connection, 0},
		{"the first closes before any answer", faultnet.NoAnswer(), nil, fault.Connection, 0},
		{"the first ends too early", faultnet.CutAfter(7), nil, fault.Truncated, 0},
		{"the first sends a page", faultnet.OKHTML(), nil, fault.HTML, 0},
		{"the first sends a page as plain text", faultnet.OKHTMLAs("text/plain"), nil, fault.HTML, 0},
		{"the first sends a page as JSON", faultnet.OKHTMLAs("application/json"), nil, fault.HTML, 0},
		{"the first sends 400 with a page", faultnet.StatusHTML(400, ""), nil, fault.HTML, 0},
		{"the first sends 404 with a page", faultnet.StatusHTML(404, ""), nil, fault.HTML, 0},
		{"the first sends 404 with a page, as file servers do", faultnet.StatusHTML(404, ""),
			func(a *fetch.Ask) { a.PageIsNo = true }, fault.NotFound, 0},
		{"the first sends 403 with a page", faultnet.StatusHTML(403, ""), nil, fault.HTML, 0},
		{"the first sends 503 with a page", faultnet.StatusHTML(503, ""), nil, fault.Outage, 0},
		{"the first has none", faultnet.Status(404), nil, fault.NotFound, 0},
		{"the first wants a login", faultnet.Status(401), nil, fault.Auth, 0},
		{"the first takes nothing", faultnet.Status(400), nil, fault.Rejected, 0},
		{"the first says 204", faultnet.Status(204), nil, fault.Rejected, 0},
		{"the first is rate-limited", faultnet.TooMany(time.Hour), nil, fault.RateLimited, 0},
		{"the first has other bytes", faultnet.WrongByte(),
			func(a *fetch.Ask) { a.Digest = digest.FromString(long) }, fault.Corrupt, 0},
		{"the first has another length", faultnet.WrongLength(-5),
			func(a *fetch.Ask) { a.Size = int64(len(long)) }, fault.Corrupt, 0},
		{"the first has too much", faultnet.Fault{},
			func(a *fetch.Ask) { a.Limit = int64(len(long)) }, fault.TooLarge, 0},
		{"the caller does not like it", faultnet.Fault{},
			func(a *fetch.Ask) {
				a.Check = func(got fetch.Answer) error {
					if got.Endpoint == "a.example" {
						return errors.New("not what was asked for")
					}
					return nil
				}
			}, fault.Rejected, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				first := long
				if row.kind == fault.TooLarge {
					first += "!"
				}
				a := w.add(text(first), faultnet.Row{Fault: row.fault})
				b := w.add(text(long))
				ask := w.ask()
				if row.ask != nil {
					row.ask(&ask)
				}
				start := time.Now()
				got, err := w.fetch.Bytes(t.Context(), ask)
				if err != nil {
					t.Fatal(err)
				}
				if string(got.Body) != long || got.Endpoint != "b.example" || got.Size != int64(len(long)) {
					t.Errorf("got %q of size %d from %s, want %q from b.example", got.Body, got.Size, got.Endpoint, long)
				}
				if took := time.Since(start); took > row.within+time.Millisecond {
					t.Errorf("took %v, want at most %v", took, row.within)
				}
				wantKinds(t, w, "a.example "+kindName(row.kind), "b.example ok")
				if len(a.Log()) != 1 || len(b.Log()) != 1 {
					t.Errorf("got requests %v and %v, want one each", a.Log(), b.Log())
				}
			})
		})
	}
}

func TestHead(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault faultnet.Fault
		kind  fault.Kind
	}{
		{"the first is well", faultnet.Fault{}, fault.None},
		{"the first hangs", faultnet.Hang(), fault.Canceled},
		{"the first sends a page", faultnet.OKHTML(), fault.HTML},
		{"the first says 503", faultnet.Status(503), fault.Outage},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(text(good), faultnet.Row{Fault: row.fault})
				w.add(text(good))
				got, err := w.fetch.Head(t.Context(), w.ask())
				if err != nil || got.Size != int64(len(good)) || got.Body != nil {
					t.Errorf("got size %d, body %q, %v; want size %d", got.Size, got.Body, err, len(good))
				}
				if got := w.kinds()[0]; got != "a.example "+kindName(row.kind) {
					t.Errorf("got %s first, want %s", got, kindName(row.kind))
				}
			})
		})
	}
}

// A page is a failure only where none was asked for; and content that its
// digest proves may well look like one.
func TestPagesThatWereAskedFor(t *testing.T) {
	const page = "<!doctype html><title>an index</title>"
	for _, row := range []struct {
		name string
		ask  func(*fetch.Ask)
		kind fault.Kind
	}{
		{"a page where an API was asked", nil, fault.HTML},
		{"a page that was asked for", func(a *fetch.Ask) { a.HTML = true }, fault.None},
		{"a page that its digest proves", func(a *fetch.Ask) { a.Digest = digest.FromString(page) }, fault.None},
		{"a page that its digest does not prove", func(a *fetch.Ask) { a.Digest = digest.FromString(good) }, fault.HTML},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(text(page))
				ask := w.ask()
				ask.Budget = &fetch.Budget{Wait: -1}
				if row.ask != nil {
					row.ask(&ask)
				}
				got, err := w.fetch.Bytes(t.Context(), ask)
				if fault.Of(err) != row.kind || err == nil && string(got.Body) != page {
					t.Errorf("got %q, %v; want kind %q", got.Body, err, row.kind)
				}
				if ask.Digest == "" {
					return
				}
				m := new(memory)
				if _, err := w.fetch.Spool(t.Context(), ask, m); fault.Of(err) != row.kind || err == nil && string(m.data) != page {
					t.Errorf("spooled %q, %v; want kind %q", m.data, err, row.kind)
				}
			})
		})
	}
}

// Nothing larger than the limit is held, whether its length is told or not.
func TestBytesBound(t *testing.T) {
	for _, told := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			up := w.add(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if told {
					w.Header().Set("Content-Length", strconv.Itoa(len(good)*10_000))
				}
				for range 10_000 {
					io.WriteString(w, good)
				}
			}))
			ask := w.ask()
			ask.Limit = int64(len(good)) * 100
			_, err := w.fetch.Bytes(t.Context(), ask)
			if fault.Of(err) != fault.TooLarge || len(up.Log()) != 1 {
				t.Errorf("got %v after %d requests, want kind %s after one", err, len(up.Log()), fault.TooLarge)
			}
			if n := w.took(); told && n != 0 || n > ask.Limit+256<<10 {
				t.Errorf("took %d bytes, want none where the length is told, else a buffer more than %d", n, ask.Limit)
			}
		})
	}
}

// What breaks off is not kept, so it is no progress, however much it was.
func TestBytesThatAlwaysBreakOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.add(blob(content(500_000)), row(faultnet.CutAfter(400_000)))
		if _, err := w.fetch.Bytes(t.Context(), w.ask()); fault.Of(err) != fault.Truncated {
			t.Errorf("got %v, want kind %s", err, fault.Truncated)
		}
		if got := len(a.Log()); got != 3 {
			t.Errorf("asked %d times, want 3", got)
		}
	})
}

func TestNotModified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(good))
		}))
		ask := w.ask()
		ask.Header = http.Header{"If-None-Match": {`"1"`}}
		got, err := w.fetch.Bytes(t.Context(), ask)
		if err != nil || got.Status != http.StatusNotModified {
			t.Errorf("got status %d, %v; want 304", got.Status, err)
		}
	})
}

// What it comes down to when nobody had it.
func TestFailure(t *testing.T) {
	no, out := faultnet.Status(404), faultnet.Status(503)
	for _, row := range []struct {
		name   string
		faults []faultnet.Fault
		origin int // 0 is none
		digest bool
		kind   fault.Kind
		asked  []int // how often each
	}{
		{"everyone says no, and nobody is the origin", []faultnet.Fault{no, no}, 0, false, fault.NotFound, []int{1, 1}},
		{"one says no and the other nothing", []faultnet.Fault{no, out}, 0, false, fault.Outage, []int{1, 3}},
		{"the origin says no", []faultnet.Fault{out, no}, 2, false, fault.NotFound, []int{1, 1}},
		{"the origin says no before a mirror is asked", []faultnet.Fault{no, out}, 1, false, fault.NotFound, []int{1, 0}},
		{"the origin says no, but the digest may be had elsewhere", []faultnet.Fault{no, out}, 1, true, fault.NotFound, []int{1, 3}},
		{"a mirror says no and the origin nothing", []faultnet.Fault{no, out}, 2, false, fault.Outage, []int{1, 3}},
		{"a mirror says no and the origin refuses a login", []faultnet.Fault{no, faultnet.Status(403)}, 2, false, fault.Auth, []int{1, 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var ups []*faultnet.Transport
				for _, f := range row.faults {
					ups = append(ups, w.add(text(good), faultnet.Row{Fault: f}))
				}
				ask := w.ask()
				if row.origin > 0 {
					ask.Sources[row.origin-1].Origin = true
				}
				if row.digest {
					ask.Digest = digest.FromString(good)
				}
				_, err := w.fetch.Bytes(t.Context(), ask)
				f := asFailure(t, err)
				if f.Kind() != row.kind || fault.Of(err) != row.kind {
					t.Errorf("got kind %s (fault.Of: %s), want %s, of: %v", f.Kind(), fault.Of(err), row.kind, err)
				}
				for i, up := range ups {
					if got := len(up.Log()); got != row.asked[i] {
						t.Errorf("%s was asked %d times, want %d", w.names[i], got, row.asked[i])
					}
					if row.asked[i] > 0 && !strings.Contains(err.Error(), w.names[i]) {
						t.Errorf("got %q, want it to say what was wrong with %s", err, w.names[i])
					}
				}
			})
		})
	}
}

func TestAsksThatMakeNoSense(t *testing.T) {
	f := new(fetch.Fetcher)
	_, err := f.Bytes(t.Context(), fetch.Ask{Name: "it"})
	if got := asFailure(t, err); len(got.Tries) != 0 || err.Error() != "it: no source" {
		t.Errorf("got %v without a source", err)
	}
	if _, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Sources: []fetch.Source{{Endpoint: "a", URL: "a/b"}}}); fault.Of(err) != fault.Config {
		t.Errorf("got %v for a relative address, want kind %s", err, fault.Config)
	}
	if _, err := f.Bytes(t.Context(), fetch.Ask{Name: "it", Digest: "sha256:12"}); fault.Of(err) != fault.Rejected {
		t.Errorf("got %v for a digest that is none, want kind %s", err, fault.Rejected)
	}
	if _, err := f.Spool(t.Context(), fetch.Ask{Name: "it"}, new(memory)); fault.Of(err) != fault.Rejected {
		t.Errorf("got %v for spooling without a digest, want kind %s", err, fault.Rejected)
	}
}
