package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/health"
)

// sent is what all of them sent.
func sent(ups ...*faultnet.Transport) int64 {
	synctest.Wait() // what was read may not be in the log yet
	var n int64
	for _, up := range ups {
		n += up.Log().Sent()
	}
	return n
}

// A source dies at any byte: the next goes on, and no byte is sent twice.
func TestSpoolDiesAtAnyByte(t *testing.T) {
	want := content(3000)
	for _, how := range []func(int64) faultnet.Fault{faultnet.CutAfter, faultnet.ResetAfter, faultnet.HangAfter} {
		for at := int64(0); at < int64(len(want)); at += 1 + at/20 {
			f := how(at)
			t.Run(f.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					a, b := w.add(blob(want), row(f)), w.add(blob(want))
					_, m, err := w.spool(want)
					if err != nil {
						t.Fatal(err)
					}
					if got := sent(a, b); got != int64(len(want)) || m.twice != 0 {
						t.Errorf("%d bytes were sent and %d written twice, want %d and none: %v %v", got, m.twice, len(want), a.Log(), b.Log())
					}
				})
			})
		}
	}
}

// Two to four sources that all break off at some byte, again and again: the
// right bytes arrive, and none twice.
func TestSpoolThroughManyDeaths(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chance := rand.New(rand.NewPCG(seed, 1))
				want := content(200_000 + chance.IntN(900_000))
				w := newWorld(t)
				w.fetch.Budget = &fetch.Budget{Wait: time.Minute}
				var ups []*faultnet.Transport
				for range 2 + chance.IntN(3) {
					script := make(faultnet.Script, 2)
					for i := range script {
						n := int64(chance.IntN(300_000))
						f := [](func(int64) faultnet.Fault){faultnet.CutAfter, faultnet.ResetAfter}[chance.IntN(2)](n)
						script[i] = faultnet.Row{On: faultnet.Nth(i + 1), Fault: f}
					}
					ups = append(ups, w.add(blob(want), script...))
				}
				_, m, err := w.spool(want)
				if err != nil {
					t.Fatal(err)
				}
				if got := sent(ups...); got != int64(len(want)) || m.twice != 0 || w.took() != got {
					t.Errorf("%d bytes were sent, %d reported and %d written twice, want %d and none", got, w.took(), m.twice, len(want))
				}
			})
		})
	}
}

// However well a source did before, what it breaks off goes on at the next.
func TestSpoolAfterAnOldFriendBrokeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(500_000)
		w := newWorld(t)
		a, b := w.add(blob(want)), w.add(blob(want))
		for range 30 {
			w.spool(want)
		}
		a.Play(faultnet.Always(faultnet.CutAfter(100_000)))
		if _, _, err := w.spool(want); err != nil {
			t.Fatal(err)
		}
		if len(a.Log()) != 1 || sent(b) != 400_000 {
			t.Errorf("got %v and %v, want the second to go on", a.Log(), b.Log())
		}
	})
}

// A single source that breaks every transfer still gets there.
func TestSpoolFromOneThatAlwaysBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(1_000_000)
		w := newWorld(t)
		a := w.add(blob(want), row(faultnet.CutAfter(70_000)))
		if _, _, err := w.spool(want); err != nil {
			t.Fatal(err)
		}
		if got := sent(a); got != int64(len(want)) {
			t.Errorf("%d bytes were sent, want %d", got, len(want))
		}
	})
}

func TestSpoolPastA(t *testing.T) {
	want := content(100_000)
	for _, row := range []struct {
		name  string
		fault faultnet.Fault
		kind  fault.Kind
	}{
		{"page", faultnet.OKHTML(), fault.HTML},
		{"page with 400", faultnet.StatusHTML(400, ""), fault.HTML},
		{"503", faultnet.Status(503), fault.Outage},
		{"404", faultnet.Status(404), fault.NotFound},
		{"429", faultnet.TooMany(time.Minute), fault.RateLimited},
		{"refusal", faultnet.Refuse(), fault.Connection},
		{"hang", faultnet.Hang(), fault.Canceled},
		{"wrong byte", faultnet.WrongByteAt(5000), fault.Corrupt},
		{"length that is too small", faultnet.WrongLength(-10), fault.Corrupt},
		{"close at 0", faultnet.CloseAt0(), fault.Truncated},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(blob(want), faultnet.Row{Fault: row.fault})
				w.add(blob(want))
				got, _, err := w.spool(want)
				if err != nil {
					t.Fatal(err)
				}
				if got.Endpoint != "b.example" && row.kind != fault.Truncated {
					t.Errorf("got an answer of %s, want b.example's", got.Endpoint)
				}
				kinds := w.kinds()
				if !slices.Contains(kinds, "a.example "+string(row.kind)) || kinds[len(kinds)-1] != "b.example ok" {
					t.Errorf("got tries %q, want a's to be %s and b's the last", kinds, row.kind)
				}
			})
		})
	}
}

// The same with a size that is known before.
func TestSpoolPastAWrongLength(t *testing.T) {
	want := content(100_000)
	for _, by := range []int64{-10, 10} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a := w.add(blob(want), row(faultnet.WrongLength(by)))
			w.add(blob(want))
			if _, _, err := w.spool(want, func(a *fetch.Ask) { a.Size = int64(len(want)) }); err != nil {
				t.Fatal(err)
			}
			if wantKinds(t, w, "a.example corrupt", "b.example ok"); !strings.Contains(w.tries[0].Err.Error(), "wrong length") {
				t.Errorf("got %v, want a wrong length", w.tries[0].Err)
			}
			if got := len(a.Log()); got != 1 {
				t.Errorf("got %d requests, want one", got)
			}
		})
	}
}

// A length that is too large, of content whose size is not known: the bytes
// are what counts.
func TestSpoolPastALengthThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(100_000)
		w := newWorld(t)
		w.add(blob(want), row(faultnet.WrongLength(10)))
		w.add(blob(want))
		if _, m, err := w.spool(want); err != nil || m.twice != 0 {
			t.Fatal(err, m.twice)
		}
	})
}

// noRange serves b whole, whatever was asked.
func noRange(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b)
	})
}

func TestSpoolWhereRangesAreIgnored(t *testing.T) {
	want := content(200_000)
	t.Run("by one of two that are left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a := w.add(blob(want), row(faultnet.CutAfter(50_000)))
			b := w.add(noRange(want))
			c := w.add(blob(want))
			if _, m, err := w.spool(want); err != nil || m.twice != 0 {
				t.Fatal(err, m.twice)
			}
			if sent(a) != 50_000 || sent(c) != 150_000 {
				t.Errorf("got %v, %v, %v; want the third to go on", a.Log(), b.Log(), c.Log())
			}
			wantKinds(t, w, "a.example truncated", "c.example ok")
		})
	})
	t.Run("by the only one that is left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.add(blob(want), row(faultnet.CutAfter(50_000)))
			w.add(noRange(want))
			w.fetch.Budget = &fetch.Budget{Wait: -1}
			_, m, err := w.spool(want)
			if err != nil {
				t.Fatal(err)
			}
			if m.twice != 0 {
				t.Errorf("%d bytes were written twice, want what was had to be left alone", m.twice)
			}
		})
	})
}

// broken answers ranges wrongly.
func TestSpoolChecksContentRange(t *testing.T) {
	want := content(200_000)
	for _, row := range []struct{ name, rng string }{
		{"another offset", "bytes 40000-199999/200000"},
		{"another part of that length", "bytes 40000-189999/200000"},
		{"another unit", "octets 50000-199999/200000"},
		{"another length", "bytes 50000-100000/200000"},
		{"no range", ""},
		{"nonsense", "bytes x-y/z"},
		{"beyond the end", "bytes 50000-199999/1000"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(blob(want), faultnet.Row{Fault: faultnet.CutAfter(50_000)})
				w.add(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header()["Content-Range"] = []string{row.rng}
					w.Header().Set("Content-Length", "150000")
					w.WriteHeader(http.StatusPartialContent)
					w.Write(want[50_000:])
				}))
				w.add(blob(want))
				if _, _, err := w.spool(want); err != nil {
					t.Fatal(err)
				}
				got := w.kinds()[1]
				if got != "b.example rejected" {
					t.Errorf("got %q for Content-Range %q, want it rejected", got, row.rng)
				}
			})
		})
	}
}

// chunked serves b without a length, in pieces, and may leave off before its end.
func chunked(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(b)))
			return
		}
		for part := range slices.Chunk(b, 10_000) {
			w.Write(part)
			w.(http.Flusher).Flush()
		}
	})
}

func TestSpoolOfUnknownLength(t *testing.T) {
	want := content(100_000)
	abort := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunked(want).ServeHTTP(w, r)
		panic(http.ErrAbortHandler)
	})
	for _, row := range []struct {
		name  string
		first http.Handler
		fault faultnet.Fault
		kinds []string
	}{
		{"all is well", chunked(want), faultnet.Fault{}, []string{"a.example ok"}},
		{"it breaks off", chunked(want), faultnet.CutAfter(33_333), []string{"a.example truncated", "b.example ok"}},
		{"it breaks off before its end is told", abort, faultnet.Fault{}, []string{"a.example truncated", "b.example ok"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(row.first, faultnet.Row{Fault: row.fault})
				w.add(chunked(want))
				if _, m, err := w.spool(want); err != nil || m.twice > 0 {
					t.Fatal(err, m.twice)
				}
				wantKinds(t, w, row.kinds...)
				if got := w.took(); got != int64(len(want)) {
					t.Errorf("%d bytes were taken over, want %d", got, len(want))
				}
			})
		})
	}
}

func TestSpoolOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add(blob(nil))
		if _, _, err := w.spool(nil); err != nil {
			t.Error(err)
		}
	})
}

func TestSpoolBounds(t *testing.T) {
	want := content(500_000)
	for _, row := range []struct {
		name string
		h    http.Handler
		most int
	}{
		{"the length is told", blob(want), 0},
		{"the length is not told", chunked(want), 200_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.fetch.Largest = 200_000
				w.add(row.h)
				_, m, err := w.spool(want)
				if fault.Of(err) != fault.TooLarge || len(m.data) > row.most {
					t.Errorf("got %d bytes, %v; want at most %d and kind %s", len(m.data), err, row.most, fault.TooLarge)
				}
			})
		})
	}
	t.Run("a body that never ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.add(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := w.Write(want); err != nil {
						return
					}
				}
			}))
			_, m, err := w.spool(want, func(a *fetch.Ask) { a.Size = int64(len(want)) })
			if err != nil || len(m.data) != len(want) {
				t.Errorf("got %d bytes, %v; want what was asked for and no more", len(m.data), err)
			}
		})
	})
}

// A sink that fails is not the source's fault.
func TestSpoolIntoAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(100_000)
		w := newWorld(t)
		a := w.add(blob(want))
		ask := w.ask()
		ask.Digest = digestOf(string(want))
		_, err := w.fetch.Spool(t.Context(), ask, &memory{fail: syscall.ENOSPC})
		if fault.Of(err) != fault.Resource || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v, want kind %s", err, fault.Resource)
		}
		if len(a.Log()) != 1 || len(w.kinds()) != 0 {
			t.Errorf("got requests %v and tries %q, want one and nobody blamed", a.Log(), w.kinds())
		}
	})
}

func TestSpoolAsksTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(100_000)
		w := newWorld(t)
		w.add(blob(want))
		w.add(blob(want))
		got, _, err := w.spool(want, func(a *fetch.Ask) {
			a.Check = func(got fetch.Answer) error {
				if got.Endpoint == "a.example" {
					return fmt.Errorf("size %d", got.Size)
				}
				return nil
			}
		})
		if err != nil || got.Endpoint != "b.example" {
			t.Errorf("got %s's answer, %v; want b.example's", got.Endpoint, err)
		}
	})
}

// paced serves b at so many bytes a second.
type paced struct {
	b    []byte
	rate int
}

func (p paced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(slowly{w, p.rate}, r, "", time.Time{}, &onlyRead{bytes.NewReader(p.b)})
}

type slowly struct {
	http.ResponseWriter
	rate int
}

func (s slowly) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(s.rate))
	return s.ResponseWriter.Write(p)
}

type onlyRead struct{ io.ReadSeeker }

func TestSpoolInPartsAtOnce(t *testing.T) {
	const mib = 1 << 20
	want := content(12 * mib)
	for _, row := range []struct {
		name    string
		rates   []int // bytes a second and connection
		faults  map[int]faultnet.Script
		within  time.Duration
		senders int // at least so many of them
	}{
		{"one source", []int{3 * mib}, nil, 1500 * time.Millisecond, 1},
		{"two sources", []int{3 * mib, 3 * mib}, nil, 1500 * time.Millisecond, 2},
		{"one of them far slower", []int{3 * mib, mib / 3}, nil, 2200 * time.Millisecond, 1},
		{"the first far slower", []int{mib / 3, 3 * mib}, nil, 2200 * time.Millisecond, 2},
		{"the second is silent", []int{3 * mib, 3 * mib}, map[int]faultnet.Script{1: {row(faultnet.Hang())}}, 2 * time.Second, 1},
		{"the second is out", []int{3 * mib, 3 * mib}, map[int]faultnet.Script{1: {row(faultnet.Status(503))}}, 1500 * time.Millisecond, 1},
		{"the second breaks off", []int{3 * mib, 3 * mib}, map[int]faultnet.Script{1: {row(faultnet.CutAfter(mib))}}, 2 * time.Second, 2},
		{"the second falls silent", []int{3 * mib, 3 * mib}, map[int]faultnet.Script{1: {row(faultnet.HangAfter(mib))}}, 3 * time.Second, 2},
		{"one source takes one connection at a time", []int{3 * mib}, map[int]faultnet.Script{0: {{On: faultnet.From(2), Fault: faultnet.TooMany(time.Minute)}}}, 4500 * time.Millisecond, 1},
		{"one source takes one connection at a time, and lets others hang", []int{3 * mib}, map[int]faultnet.Script{0: {{On: faultnet.From(2), Fault: faultnet.Hang()}}}, 4500 * time.Millisecond, 1},
		{"one source lets request 2 hang", []int{3 * mib}, map[int]faultnet.Script{0: {{On: faultnet.Nth(2), Fault: faultnet.Hang()}}}, 2500 * time.Millisecond, 1},
		{"one source lets request 3 hang", []int{3 * mib}, map[int]faultnet.Script{0: {{On: faultnet.Nth(3), Fault: faultnet.Hang()}}}, 2500 * time.Millisecond, 1},
		{"one source lets request 4 hang", []int{3 * mib}, map[int]faultnet.Script{0: {{On: faultnet.Nth(4), Fault: faultnet.Hang()}}}, 2500 * time.Millisecond, 1},
		{"one source without ranges", []int{3 * mib}, map[int]faultnet.Script{0: {row(faultnet.NoRange())}}, 4500 * time.Millisecond, 1},
		{"one source that lies about ranges", []int{3 * mib}, map[int]faultnet.Script{0: {{On: faultnet.From(2), Fault: faultnet.NoRange()}}}, 4500 * time.Millisecond, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var ups []*faultnet.Transport
				for i, rate := range row.rates {
					ups = append(ups, w.add(paced{want, rate}, row.faults[i]...))
				}
				start := time.Now()
				_, m, err := w.spool(want)
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(start)
				if took > row.within {
					t.Errorf("took %v, want at most %v", took, row.within)
				}
				if m.twice != 0 || w.took() != int64(len(want)) {
					t.Errorf("%d bytes were written twice and %d taken over, want none and %d", m.twice, w.took(), len(want))
				}
				n := 0
				for i, up := range ups {
					if up.Log().Sent() > 0 {
						n++
					}
					if t.Failed() {
						t.Log(w.names[i], up.Log())
					}
				}
				if n < row.senders {
					t.Errorf("%d of them sent any of it, want %d", n, row.senders)
				}
			})
		})
	}
}

// Whatever happens to the others: with one healthy source it succeeds, and no
// byte is written twice.
func TestSpoolInPartsThroughAnything(t *testing.T) {
	const mib = 1 << 20
	want := content(9 * mib)
	// Each source meets each fault at each of its requests, before two others.
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chance := rand.New(rand.NewPCG(seed, 2))
				w := newWorld(t)
				n := 2 + chance.IntN(3)
				healthy := chance.IntN(n)
				for i := range n {
					var script faultnet.Script
					for k := range 6 {
						which := (int(seed) + 3*i + k*(1+2*int(seed/10))) % 10
						at := int64(chance.IntN(3 * mib))
						f := []faultnet.Fault{{}, faultnet.CutAfter(at), faultnet.ResetAfter(at), faultnet.HangAfter(at), faultnet.Hang(),
							faultnet.Status(503), faultnet.Refuse(), faultnet.NoRange(), faultnet.OKHTML(), faultnet.Slow(time.Second)}[which]
						script = append(script, faultnet.Row{On: faultnet.Nth(k + 1), Fault: f})
					}
					if i == healthy {
						script = nil
					}
					w.add(paced{want, mib * (1 + chance.IntN(4))}, script...)
				}
				start := time.Now()
				_, m, err := w.spool(want)
				if err != nil {
					t.Fatalf("%v; tries %q", err, w.kinds())
				}
				if took := time.Since(start); m.twice != 0 || took > 25*time.Second {
					t.Errorf("%d bytes were written twice, in %v; tries %q", m.twice, took, w.kinds())
				}
			})
		})
	}
}

// Who is known for something bad brings no parts beside others.
func TestSpoolInPartsFromTheGoodOnly(t *testing.T) {
	const mib = 1 << 20
	want := content(10 * mib)
	for _, kind := range []fault.Kind{fault.None, fault.Outage} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.fetch.Board = new(health.Board)
			w.add(paced{want, 3 * mib})
			b := w.add(paced{want, 3 * mib})
			w.fetch.Board.Record(health.Observation{Endpoint: "b.example", At: time.Now(), Kind: kind})
			if _, _, err := w.spool(want); err != nil {
				t.Fatal(err)
			}
			if got := len(b.Log()) > 0; got != (kind == fault.None) {
				t.Errorf("was one of kind %q asked for parts? got %t", kind, got)
			}
		})
	}
}

// What is quick, or small, is had by one request.
func TestSpoolByOneRequest(t *testing.T) {
	const mib = 1 << 20
	for _, row := range []struct {
		name string
		size int
		rate int
	}{
		{"large and quick", 10 * mib, 100 * mib},
		{"small and not quick", 4 * mib, 5 * mib},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want := content(row.size)
				w := newWorld(t)
				a, b := w.add(paced{want, row.rate}), w.add(paced{want, row.rate})
				if _, _, err := w.spool(want); err != nil {
					t.Fatal(err)
				}
				if len(a.Log()) != 1 || len(b.Log()) != 0 {
					t.Errorf("got %v and %v, want one request", a.Log(), b.Log())
				}
			})
		})
	}
}

// Small content that drips is taken over by a source that does not.
func TestSpoolTakesOverFromADrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(1 << 20)
		w := newWorld(t)
		a, b := w.add(paced{want, 10_000}), w.add(blob(want))
		start := time.Now()
		_, m, err := w.spool(want)
		if err != nil || m.twice != 0 {
			t.Fatal(err, m.twice)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v, want the drip to lose its part: %v %v", took, a.Log(), b.Log())
		}
		if got := w.kinds(); got[0] != "a.example canceled" {
			t.Errorf("got %q, want the drip to be given up", got)
		}
		w.forget()
		if got, _, err := w.spool(want); err != nil || got.Endpoint != "b.example" {
			t.Errorf("got %s's, %v; want the next request to go to b.example", got.Endpoint, err)
		}
	})
}

// Small content gets no second connection to a source that is slow.
func TestSpoolSmallFromOneSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(1 << 20)
		w := newWorld(t)
		a := w.add(paced{want, 200_000})
		if _, _, err := w.spool(want); err != nil {
			t.Fatal(err)
		}
		if got := len(a.Log()); got != 1 {
			t.Errorf("got %v, want one request", a.Log())
		}
	})
}

func TestSpoolOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(16 << 20)
		w := newWorld(t)
		w.fetch.Connections = 1
		a := w.add(paced{want, 4 << 20})
		b := w.add(paced{want, 4 << 20})
		if _, _, err := w.spool(want); err != nil {
			t.Fatal(err)
		}
		if len(a.Log())+len(b.Log()) != 1 {
			t.Errorf("got %v and %v, want one request", a.Log(), b.Log())
		}
	})
}
