package cas_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
)

// must fails the test on any of the errors.
func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func writeAt(t testing.TB, w *cas.Writer, data []byte, off int64) {
	t.Helper()
	n, err := w.WriteAt(data, off)
	if err != nil || n != len(data) {
		t.Errorf("write %d bytes at %d: got %d, %v", len(data), off, n, err)
	}
}

func write(t testing.TB, w *cas.Writer, data []byte) {
	t.Helper()
	if n, err := w.Write(data); err != nil || n != len(data) {
		t.Errorf("write %d bytes: got %d, %v", len(data), n, err)
	}
}

// parallel writes data in ranges from several goroutines at once, each front to
// back in small steps, as a transfer from several sources does.
func parallel(t testing.TB, w *cas.Writer, data []byte, ranges, step int) {
	var wg sync.WaitGroup
	each := (len(data) + ranges - 1) / ranges
	for from := 0; from < len(data); from += each {
		wg.Go(func() {
			end := min(from+each, len(data))
			for off := from; off < end; off += step {
				writeAt(t, w, data[off:min(off+step, end)], int64(off))
			}
		})
	}
	wg.Wait()
}

// Whatever way the bytes came, the content is what is in the file.
func TestWaysToWrite(t *testing.T) {
	data := noise(2, 300_000)
	bad := bytes.Repeat([]byte{'x'}, len(data))
	for _, tt := range []struct {
		name  string
		write func(t *testing.T, w *cas.Writer)
	}{
		{"at once", func(t *testing.T, w *cas.Writer) { write(t, w, data) }},
		{"front to back", func(t *testing.T, w *cas.Writer) {
			for part := range bytes.SplitSeq(data, []byte{'a'}) {
				write(t, w, part)
				write(t, w, []byte{'a'})
			}
			must(t, w.Truncate(int64(len(data)))) // one 'a' too many
		}},
		{"back to front", func(t *testing.T, w *cas.Writer) {
			for off := len(data) - 1000; off >= 0; off -= 1000 {
				writeAt(t, w, data[off:off+1000], int64(off))
			}
		}},
		{"in ranges at once", func(t *testing.T, w *cas.Writer) { parallel(t, w, data, 7, 1111) }},
		{"in many ranges at once", func(t *testing.T, w *cas.Writer) { parallel(t, w, data, 200, 997) }},
		{"the first half sequentially, then a range", func(t *testing.T, w *cas.Writer) {
			write(t, w, data[:150_000])
			writeAt(t, w, data[150_000:], 150_000)
		}},
		{"spoiled, then mended in the middle", func(t *testing.T, w *cas.Writer) {
			write(t, w, data[:1000])
			write(t, w, bad[:1000])
			write(t, w, data[2000:])
			writeAt(t, w, data[1000:2000], 1000)
		}},
		{"spoiled beyond what is hashed, then mended", func(t *testing.T, w *cas.Writer) {
			writeAt(t, w, bad[:1000], 5000)
			writeAt(t, w, data[5000:], 5000)
			writeAt(t, w, data[:5000], 0)
		}},
		{"spoiled, then all again", func(t *testing.T, w *cas.Writer) {
			write(t, w, bad[:5000])
			must(t, w.Truncate(0))
			write(t, w, data)
		}},
		{"spoiled, verified in vain, then all again", func(t *testing.T, w *cas.Writer) {
			write(t, w, bad)
			if err := w.Verify(digest.FromBytes(data)); fault.Of(err) != fault.Corrupt {
				t.Errorf("got %v, want corrupt", err)
			}
			parallel(t, w, data, 3, 10_000)
		}},
		{"spoiled, then all again from the back", func(t *testing.T, w *cas.Writer) {
			write(t, w, bad)
			must(t, w.Truncate(0))
			writeAt(t, w, data[150_000:], 150_000)
			writeAt(t, w, data[:150_000], 0)
		}},
		{"too long, then cut", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			write(t, w, bad)
			must(t, w.Truncate(int64(len(data))))
		}},
		{"cut in the middle, then on", func(t *testing.T, w *cas.Writer) {
			write(t, w, data[:2000])
			write(t, w, bad)
			must(t, w.Truncate(2000))
			write(t, w, data[2000:])
		}},
		{"made long first", func(t *testing.T, w *cas.Writer) {
			must(t, w.Truncate(int64(len(data))))
			parallel(t, w, data, 4, 5000)
		}},
		{"with writes of nothing", func(t *testing.T, w *cas.Writer) {
			write(t, w, nil)
			writeAt(t, w, nil, 1<<40)
			write(t, w, data)
			write(t, w, nil)
		}},
	} {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			t.Run(tt.name+" by "+alg.String(), func(t *testing.T) {
				s := open(t, t.TempDir(), 0)
				w := create(t, s)
				tt.write(t, w)
				if w.Size() != int64(len(data)) {
					t.Errorf("got size %d, want %d", w.Size(), len(data))
				}
				back := make([]byte, len(data))
				if _, err := w.ReadAt(back, 0); err != nil || !bytes.Equal(back, data) {
					t.Errorf("read back: other bytes, or %v", err)
				}
				d := alg.FromBytes(data)
				must(t, w.Verify(d), w.Commit(d))
				if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
					t.Errorf("got %d bytes, %v; want what was written", len(got), err)
				}
			})
		}
	}
}

// The hash that was taken on the way must not vouch for bytes that are in the
// file no more.
func TestCommitRefusesOtherBytes(t *testing.T) {
	data := noise(3, 100_000)
	d := digest.FromBytes(data)
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, w *cas.Writer)
	}{
		{"a byte of the start was overwritten", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			writeAt(t, w, []byte{^data[0]}, 0)
		}},
		{"the last byte was overwritten", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			writeAt(t, w, []byte{^data[len(data)-1]}, int64(len(data)-1))
		}},
		{"verified, then overwritten", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			must(t, w.Verify(d))
			writeAt(t, w, []byte{^data[9]}, 9)
		}},
		{"verified, then cut", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			must(t, w.Verify(d), w.Truncate(int64(len(data)-1)))
		}},
		{"verified, then longer", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			must(t, w.Verify(d))
			write(t, w, []byte{0})
		}},
		{"cut and filled with a gap", func(t *testing.T, w *cas.Writer) {
			write(t, w, data)
			must(t, w.Truncate(10), w.Truncate(int64(len(data))))
		}},
		{"a range is missing", func(t *testing.T, w *cas.Writer) {
			write(t, w, data[:40_000])
			writeAt(t, w, data[50_000:], 50_000)
		}},
		{"nothing was written", func(*testing.T, *cas.Writer) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 0)
			w := create(t, s)
			tt.spoil(t, w)
			for _, err := range []error{w.Verify(d), w.Commit(d)} {
				if fault.Of(err) != fault.Corrupt {
					t.Errorf("got %v, want corrupt", err)
				}
			}
			if got := files(t, dir, "blobs"); len(got) > 0 {
				t.Errorf("stored: %q", got)
			}
			must(t, w.Truncate(int64(len(data))))
			writeAt(t, w, data, 0)
			must(t, w.Commit(d))
		})
	}
}

func TestWriterAfterItsEnd(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	committed, closed := create(t, s), create(t, s)
	d := digest.FromString("content")
	write(t, committed, []byte("content"))
	write(t, closed, []byte("other"))
	must(t, committed.Commit(d), closed.Close(), closed.Close())
	for name, w := range map[string]*cas.Writer{"committed": committed, "closed": closed} {
		for what, do := range map[string]func() error{
			"Write":    func() error { _, err := w.Write([]byte("x")); return err },
			"WriteAt":  func() error { _, err := w.WriteAt([]byte("x"), 0); return err },
			"Truncate": func() error { return w.Truncate(0) },
			"Commit":   func() error { return w.Commit(digest.FromString("other")) },
		} {
			if do() == nil {
				t.Errorf("%s: %s succeeds", name, what)
			}
		}
	}
	if _, err := closed.File(); err == nil {
		t.Error("closed: File succeeds")
	}
	must(t, committed.Close(), committed.Close())
	if got, err := read(s, d); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFileOfAWriter(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 5)
	d, large := digest.FromString("12345"), digest.FromString("123456")
	for _, tt := range []struct {
		name, want string
		do         func(t *testing.T, w *cas.Writer)
	}{
		{"before a commit", "12345", func(*testing.T, *cas.Writer) {}},
		{"after a commit", "12345", func(t *testing.T, w *cas.Writer) { must(t, w.Commit(d)) }},
		{"after a commit of what is stored", "12345", func(t *testing.T, w *cas.Writer) { must(t, w.Commit(d)) }},
		{"after a commit and an eviction", "12345", func(t *testing.T, w *cas.Writer) {
			must(t, w.Commit(d), os.Remove(s.Path(d)))
		}},
		{"larger than the limit", "123456", func(t *testing.T, w *cas.Writer) {
			write(t, w, []byte("6"))
			err := w.Commit(large)
			if fault.Of(err) != fault.Resource || !strings.Contains(err.Error(), "6 bytes") {
				t.Errorf("got %v, want a resource error that says the size", err)
			}
			if _, err := s.Get(large); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want nothing stored", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := create(t, s)
			write(t, w, []byte("12345"))
			tt.do(t, w)
			one, err := w.File()
			must(t, err)
			defer one.Close()
			two, err := w.File()
			must(t, err)
			defer two.Close()
			w.Close()
			for i, c := range []*cas.Content{one, two} {
				if got, err := io.ReadAll(c); err != nil || string(got) != tt.want || c.Size != int64(len(tt.want)) {
					t.Errorf("reader %d: got %q of %d, %v; want %q", i+1, got, c.Size, err, tt.want)
				}
			}
			if _, err := one.Write([]byte("x")); err == nil {
				t.Error("the file can be written")
			}
			if left := files(t, dir, "spool"); len(left) > 0 {
				t.Errorf("left in the spool: %q", left)
			}
		})
	}
	if err := s.Put(large, strings.NewReader("123456")); fault.Of(err) != fault.Resource {
		t.Errorf("put: got %v, want a resource error", err)
	}
	if err := s.Put(large, io.MultiReader(strings.NewReader("123456"), endless{})); fault.Of(err) != fault.Resource {
		t.Errorf("put without end: got %v, want a resource error", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestPutGivesTheReadersError(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	want := errors.New("connection lost")
	err := s.Put(digest.FromString("ab"), io.MultiReader(strings.NewReader("a"), failing{want}))
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Many hold the same content at once: all commits succeed, and none disturbs a
// reader.
func TestSameContentFromMany(t *testing.T) {
	dir := t.TempDir()
	stores := []*cas.Store{open(t, dir, 1<<30), open(t, dir, 1<<30)}
	data := noise(4, 200_000)
	d := digest.FromBytes(data)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			s := stores[i%2]
			if err := s.Put(d, bytes.NewReader(data)); err != nil {
				t.Error(err)
			}
			if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if got := files(t, dir, "quarantine"); len(got) > 0 {
		t.Errorf("set aside: %q", got)
	}
}

func TestDigestOfWhatWasWritten(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	for _, parts := range [][]string{{}, {"a"}, {"0123", "4567"}, {"abc", "def", "ghi"}} {
		w, err := s.Create()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var whole string
		for _, p := range parts { // the last first
			whole += p
		}
		off := len(whole)
		for i := range parts {
			p := parts[len(parts)-1-i]
			off -= len(p)
			if _, err := w.WriteAt([]byte(p), int64(off)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := w.Digest()
		if want := digest.FromString(whole); got != want || err != nil {
			t.Errorf("%q: got %s, %v, want %s", whole, got, err, want)
		}
		if err := w.Commit(got); err != nil {
			t.Errorf("%q: commit: %v", whole, err)
		}
	}
}
