package fetch_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/health"
)

// liars are who was blamed, each once.
func (w *world) liars() []string {
	var all []string
	for _, t := range w.tries {
		if t.Kind == fault.Corrupt {
			all = append(all, t.Endpoint)
		}
	}
	slices.Sort(all)
	return all
}

// spoil returns b with the byte at each of these offsets changed.
func spoil(b []byte, at ...int) []byte {
	b = slices.Clone(b)
	for _, i := range at {
		b[i] ^= 0xff
	}
	return b
}

// Content that came from several, and does not match: exactly those who lied
// are named, and the right bytes arrive if anybody has them.
func TestWhoSpoiledIt(t *testing.T) {
	want := content(90_000)
	begin, middle, end := spoil(want, 10), spoil(want, 45_000), spoil(want, 89_000)
	cut := func(n int64) faultnet.Script { return faultnet.Script{first(faultnet.CutAfter(n))} }
	type up struct {
		has    []byte
		script faultnet.Script
	}
	for _, row := range []struct {
		name  string
		ups   []up
		liars []string
		fails bool
	}{
		{"one liar, alone, who gets a second chance", []up{{begin, nil}}, []string{"a.example", "a.example"}, true},
		{"one that lied once, alone", []up{{want, faultnet.Script{first(faultnet.WrongByte())}}}, []string{"a.example"}, false},
		{"the first lies", []up{{begin, nil}, {want, nil}}, []string{"a.example"}, false},
		{"everyone lies", []up{{begin, nil}, {middle, nil}, {end, nil}}, []string{"a.example", "a.example", "b.example", "b.example", "c.example", "c.example"}, true},
		{"two contribute, the first lied", []up{{begin, cut(30_000)}, {want, nil}}, []string{"a.example"}, false},
		{"two contribute, the second lied", []up{{want, cut(30_000)}, {end, nil}, {want, nil}}, []string{"b.example"}, false},
		{"two contribute, the second lied, and the first is the only other", []up{{want, cut(30_000)}, {end, nil}}, []string{"b.example"}, false},
		{"three contribute, the middle one lied", []up{{want, cut(30_000)}, {middle, cut(30_000)}, {want, nil}}, []string{"b.example"}, false},
		{"three contribute, two lied", []up{{begin, cut(30_000)}, {middle, cut(30_000)}, {want, nil}}, []string{"a.example", "b.example"}, false},
		{"a liar whose lies were not used is not known", []up{{end, cut(30_000)}, {want, nil}}, nil, false},
		{"a liar on one part is asked for all, and lies", []up{{spoil(want, 10, 89_000), cut(30_000)}, {want, cut(30_000)}, {middle, nil}},
			[]string{"a.example", "c.example"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for _, u := range row.ups {
					w.add(blob(u.has), u.script...)
				}
				_, _, err := w.spool(want)
				if failed := err != nil; failed != row.fails {
					t.Errorf("got %v, want a failure: %t", err, row.fails)
				}
				if err != nil && fault.Of(err) != fault.Corrupt {
					t.Errorf("got %v, want kind %s", err, fault.Corrupt)
				}
				if got := w.liars(); !slices.Equal(got, row.liars) {
					t.Errorf("blamed %q, want %q: %q", got, row.liars, w.kinds())
				}
			})
		})
	}
}

// After a spoiled copy those are asked first who had no part in it.
func TestTheUnsuspectedAreAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(90_000)
		w := newWorld(t)
		w.fetch.Board = new(health.Board)
		a := w.add(blob(want), first(faultnet.CutAfter(30_000)))
		b := w.add(blob(spoil(want, 89_000)))
		c := w.add(blob(want))
		for range 50 {
			w.fetch.Board.Record(health.Observation{Endpoint: "a.example", At: time.Now()})
		}
		if _, _, err := w.spool(want); err != nil {
			t.Fatal(err)
		}
		if len(a.Log()) != 1 || len(b.Log()) != 1 || len(c.Log()) != 1 {
			t.Errorf("got %v, %v and %v, want the third to bring it all", a.Log(), b.Log(), c.Log())
		}
	})
}

// A source that is silent had no part in a spoiled copy either, and is asked
// last all the same.
func TestTheSilentAreAskedAfterTheSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(90_000)
		w := newWorld(t)
		w.fetch.Board = new(health.Board)
		w.add(blob(spoil(want, 10)), first(faultnet.CutAfter(30_000)))
		w.add(blob(want))
		silent := w.add(blob(want), faultnet.Row{Fault: faultnet.Hang()})
		for range 50 {
			w.fetch.Board.Record(health.Observation{Endpoint: "a.example", At: time.Now()})
		}
		w.fetch.Board.Record(health.Observation{Endpoint: "c.example", At: time.Now(), Kind: fault.Timeout})
		began := time.Now()
		if _, _, err := w.spool(want); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second || len(silent.Log()) != 0 {
			t.Errorf("took %v with %v, want the silent one left alone", took, silent.Log())
		}
	})
}

// A liar among those who bring parts at once.
func TestALiarAmongParallelParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mib = 1 << 20
		want := content(16 * mib)
		w := newWorld(t)
		w.fetch.Board = new(health.Board)
		w.add(paced{want, 4 * mib})
		w.add(paced{spoil(want, 3*mib, 6*mib, 10*mib, 15*mib), 4 * mib})
		w.add(paced{want, 4 * mib})
		for range 50 {
			w.fetch.Board.Record(health.Observation{Endpoint: "b.example", At: time.Now()})
		}
		_, _, err := w.spool(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.liars(); !slices.Equal(got, []string{"b.example"}) {
			t.Errorf("blamed %q, want b.example alone", got)
		}
		w.forget()
		if _, _, err := w.spool(want); err != nil || strings.Contains(fmt.Sprint(w.kinds()), "b.example") {
			t.Errorf("got tries %q, %v; want the liar left out the next time", w.kinds(), err)
		}
	})
}

// Nor does a liar make up for a slow source.
func TestALiarBesideASlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(1 << 20)
		w := newWorld(t)
		w.fetch.Board = new(health.Board)
		w.add(nil)
		b := w.add(blob(want), first(faultnet.WrongByte()))
		for range 50 {
			w.fetch.Board.Record(health.Observation{Endpoint: "b.example", At: time.Now()})
		}
		w.spool(want)
		b.Play(nil)
		w.add(paced{want, 200_000})
		if _, _, err := w.spool(want, func(a *fetch.Ask) { a.Sources = a.Sources[1:] }); err != nil {
			t.Fatal(err)
		}
		if got := len(b.Log()); got != 0 {
			t.Errorf("got %v, want the liar left alone", b.Log())
		}
	})
}

// Who sends wrong bytes comes last for a while, however well it did before.
func TestALiarComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(1000)
		w := newWorld(t)
		a := w.add(blob(want))
		w.add(blob(want))
		for range 30 {
			w.spool(want)
		}
		a.Play(faultnet.Script{first(faultnet.WrongByte())})
		for range 10 {
			w.spool(want)
		}
		if got := len(a.Log()); got != 1 {
			t.Errorf("the liar was asked %d times, want once", got)
		}
		time.Sleep(time.Hour)
		w.spool(want)
		if got := len(a.Log()); got != 2 {
			t.Errorf("the liar was asked %d times in all, want once more an hour later", got)
		}
	})
}

// Sources that do not agree on the size, when nobody knows it.
func TestSizesThatDiffer(t *testing.T) {
	want := content(100_000)
	short, long := want[:60_000], append(slices.Clone(want), "and more"...)
	for _, row := range []struct {
		name string
		ups  []http.Handler
		cuts []int64
		err  bool
	}{
		{"the first is too short and breaks off", []http.Handler{blob(short), blob(want)}, []int64{30_000, -1}, false},
		{"the first is too long and breaks off", []http.Handler{blob(long), blob(want)}, []int64{30_000, -1}, false},
		{"the first is too long", []http.Handler{blob(long), blob(want)}, []int64{-1, -1}, false},
		{"the first is too short", []http.Handler{blob(short), blob(want)}, []int64{-1, -1}, false},
		{"the last is right", []http.Handler{blob(short), blob(long), blob(want)}, []int64{100, 100, -1}, false},
		{"none is right", []http.Handler{blob(short), blob(long)}, []int64{100, 100}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for i, h := range row.ups {
					up := w.add(h)
					if row.cuts[i] >= 0 {
						up.Script = faultnet.Script{first(faultnet.CutAfter(row.cuts[i]))}
					}
				}
				if _, _, err := w.spool(want); (err != nil) != row.err {
					t.Errorf("got %v, want a failure: %t; tries %q", err, row.err, w.kinds())
				}
			})
		})
	}
}
