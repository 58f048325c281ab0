package cas_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

var aName = cas.Name{
	Digest:    digest.FromString("content"),
	MediaType: "application/vnd.oci.image.manifest.v1+json",
	Size:      7,
	At:        time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC),
	Note:      map[string]string{"etag": `"<&>"`, "é": "line\nline"},
}

func TestNamesComeBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	names := []string{
		"", "docker.io/library/alpine:3", "../../etc/passwd", "/", ".", "a\x00b", "with\nlines\r\n", `"quoted"`, `\`,
		"\xff\xfe not UTF-8", "héllo", "\u2028", strings.Repeat("x", cas.MaxName), strings.Repeat("x", cas.MaxName-1),
	}
	for i, name := range names {
		if _, err := s.Name(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%.20q before: got %v, want fs.ErrNotExist", name, err)
		}
		n := aName
		n.Size = int64(i)
		must(t, s.SetName(name, aName), s.SetName(name, n)) // the second replaces the first
	}
	s = open(t, dir, 0)
	for i, name := range names {
		want := aName
		want.Size = int64(i)
		got, err := s.Name(name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%.20q: %v, want -, got +:\n%s", name, err, diff)
		}
	}
	got, err := s.Names("")
	if err != nil || len(got) != len(names) {
		t.Errorf("got %d names, %v; want %d", len(got), err, len(names))
	}
	got, err = s.Names("docker.io/")
	if diff := cmp.Diff([]string{"docker.io/library/alpine:3"}, got); diff != "" || err != nil {
		t.Errorf("with a prefix: %v, want -, got +:\n%s", err, diff)
	}
	for _, name := range names {
		must(t, s.Remove(name), s.Remove(name))
		if _, err := s.Name(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%.20q removed: got %v, want fs.ErrNotExist", name, err)
		}
	}
	if left := files(t, dir, "spool"); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
}

func TestNamesWithoutAnythingStored(t *testing.T) {
	if got, err := open(t, t.TempDir(), 0).Names(""); err != nil || len(got) > 0 {
		t.Errorf("got %q, %v; want none", got, err)
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	with := func(change func(n *cas.Name)) cas.Name {
		n := aName
		change(&n)
		return n
	}
	for _, tt := range []struct {
		name, key string
		n         cas.Name
	}{
		{"a name that is too long", strings.Repeat("x", cas.MaxName+1), aName},
		{"no digest", "k", with(func(n *cas.Name) { n.Digest = "" })},
		{"a digest that is none", "k", with(func(n *cas.Name) { n.Digest = "sha256:../../x" })},
		{"a negative size", "k", with(func(n *cas.Name) { n.Size = -1 })},
		{"a record that is too long", "k", with(func(n *cas.Name) { n.MediaType = strings.Repeat("x", cas.MaxRecord) })},
		{"a media type that is not UTF-8", "k", with(func(n *cas.Name) { n.MediaType = "\xff" })},
		{"a note that is not UTF-8", "k", with(func(n *cas.Name) { n.Note = map[string]string{"a": "\xff"} })},
		{"a year that JSON has not", "k", with(func(n *cas.Name) { n.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.SetName(tt.key, tt.n); err == nil || len(err.Error()) > 1000 {
				t.Errorf("got %v, want a short error", err)
			}
			if _, err := s.Name(tt.key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist", err)
			}
		})
	}
}

// recordOf returns where the only name of the store in dir stands.
func recordOf(t testing.TB, dir string) string {
	t.Helper()
	paths := files(t, dir, "names")
	if len(paths) != 1 {
		t.Fatalf("got %q, want one record", paths)
	}
	return paths[0]
}

func TestGarbageIsNoName(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, path string, record []byte)
	}{
		{"empty", func(t *testing.T, path string, _ []byte) { must(t, os.WriteFile(path, nil, 0o600)) }},
		{"torn", func(t *testing.T, path string, r []byte) { must(t, os.WriteFile(path, r[:len(r)-9], 0o600)) }},
		{"torn, and zeros in the rest", func(t *testing.T, path string, r []byte) {
			must(t, os.WriteFile(path, append(r[:60:60], make([]byte, len(r)-60)...), 0o600))
		}},
		{"a byte flipped in the digest", func(t *testing.T, path string, r []byte) {
			must(t, os.WriteFile(path, bytes.Replace(r, []byte(aName.Digest.Encoded()[:8]), []byte("00000000"), 1), 0o600))
		}},
		{"something after it", func(t *testing.T, path string, r []byte) { must(t, os.WriteFile(path, append(r, ' '), 0o600)) }},
		{"plain JSON", func(t *testing.T, path string, _ []byte) { must(t, os.WriteFile(path, []byte("{}"), 0o600)) }},
		{"endless", func(t *testing.T, path string, _ []byte) { must(t, os.Truncate(path, 1<<40)) }},
		{"a directory", func(t *testing.T, path string, _ []byte) { must(t, os.Remove(path), os.MkdirAll(path+"/x", 0o700)) }},
		{"a link", func(t *testing.T, path string, r []byte) {
			must(t, os.Remove(path), os.WriteFile(path+"-target", r, 0o600), os.Symlink(path+"-target", path))
		}},
		{"the record of another name", func(t *testing.T, path string, _ []byte) {
			dir := t.TempDir()
			must(t, open(t, dir, 0).SetName("another", aName), os.Rename(recordOf(t, dir), path))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, 0)
			must(t, s.SetName("name", aName))
			path := recordOf(t, dir)
			record, err := os.ReadFile(path)
			must(t, err)
			tt.do(t, path, record)
			if got, err := s.Name("name"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %+v, %v; want fs.ErrNotExist", got, err)
			}
			if got, err := s.Names(""); err != nil || len(got) > 0 {
				t.Errorf("got names %q, %v; want none", got, err)
			}
			must(t, s.SetName("name", aName))
			if _, err := s.Name("name"); err != nil {
				t.Errorf("set again: %v", err)
			}
		})
	}
}

// A reader sees the one or the other, never a mixture and never nothing.
func TestNamesAreReplacedAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	names := []cas.Name{aName, {Digest: digest.FromString("other"), At: aName.At}}
	must(t, s.SetName("name", names[0]))
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := s.Name("name")
				if err != nil || !cmp.Equal(got, names[0]) && !cmp.Equal(got, names[1]) {
					t.Errorf("got %+v, %v", got, err)
					return
				}
			}
		})
	}
	for i := range 50 {
		must(t, s.SetName("name", names[i%2]))
	}
	close(done)
	wg.Wait()
}

// Whatever a record's file holds is either a miss or exactly what SetName
// writes.
func FuzzRecord(f *testing.F) {
	dir := f.TempDir()
	s := open(f, dir, 0)
	must(f, s.SetName("name", aName))
	path := recordOf(f, dir)
	good, err := os.ReadFile(path)
	must(f, err)
	head, rest, _ := bytes.Cut(good, []byte("\n"))
	for _, seal := range []bool{true, false} {
		f.Add(good, seal)
		f.Add(good[:len(good)/2], seal)
		f.Add(rest, seal)
		f.Add(bytes.ReplaceAll(rest, []byte("{"), []byte("{ ")), seal)
		f.Add(bytes.ToUpper(rest), seal)
		f.Add([]byte("\"name\"\n{}\n"), seal)
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal { // with the checksum of a record, so that the rest is looked at
			data = fmt.Appendf(nil, "%s%x\n%s", head[:len(head)-64], sha256.Sum256(data), data)
		}
		must(t, os.WriteFile(path, data, 0o600))
		n, err := s.Name("name")
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("got %v, want a miss", err)
			}
			return
		}
		must(t, s.SetName("name", n))
		again, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(again, data) {
			t.Errorf("read %q, which SetName writes as %q", data, again)
		}
	})
}

func TestChangedTellsOfNames(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	at, err := s.Changed()
	if err != nil || !at.IsZero() {
		t.Errorf("got %v, %v, want the zero time", at, err)
	}
	var last time.Time
	for _, do := range []func() error{
		func() error { return s.SetName("a", cas.Name{Digest: digest.FromString("a")}) },
		func() error { return s.SetName("a", cas.Name{Digest: digest.FromString("b")}) },
		func() error { return s.Remove("a") },
	} {
		time.Sleep(20 * time.Millisecond) // the disk's clock ticks
		if err := do(); err != nil {
			t.Fatal(err)
		}
		at, err := s.Changed()
		if err != nil || !at.After(last) {
			t.Errorf("got %v, %v, want later than %v", at, err, last)
		}
		last = at
	}
}
