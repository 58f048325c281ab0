package cas_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
)

// open opens a store in dir for as long as the test runs.
func open(t testing.TB, dir string, limit int64) *cas.Store {
	t.Helper()
	s, err := cas.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// put stores data and returns its digest.
func put(t testing.TB, s *cas.Store, data []byte) digest.Digest {
	t.Helper()
	d := digest.FromBytes(data)
	if err := s.Put(d, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return d
}

// read returns what Get gives for d.
func read(s *cas.Store, d digest.Digest) ([]byte, error) {
	c, err := s.Get(d)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	data, err := io.ReadAll(c)
	if err == nil && int64(len(data)) != c.Size {
		err = fmt.Errorf("got %d bytes, Size says %d", len(data), c.Size)
	}
	return data, err
}

// create returns a writer that is closed with the test.
func create(t testing.TB, s *cas.Store) *cas.Writer {
	t.Helper()
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// noise returns n bytes that are the same for the same seed.
func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	r.Read(data)
	return data
}

// files lists the files in a folder of the store.
func files(t testing.TB, dir, folder string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestContentComesBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
	}{
		{"nothing", 0},
		{"one byte", 1},
		{"one buffer", 1 << 20},
		{"several buffers and some", 3<<20 + 17},
	} {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
			t.Run(tt.name+" by "+alg.String(), func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir, 0)
				data := noise(1, tt.size)
				d := alg.FromBytes(data)
				if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("before: got %v, want fs.ErrNotExist", err)
				}
				if err := s.Put(d, bytes.NewReader(data)); err != nil {
					t.Fatal(err)
				}
				for who, s := range map[string]*cas.Store{"same store": s, "next process": open(t, dir, 0)} {
					for range 2 {
						if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
							t.Errorf("%s: got %d bytes, error %v; want %d bytes", who, len(got), err, len(data))
						}
					}
					if size, err := s.Stat(d); err != nil || size != int64(tt.size) {
						t.Errorf("%s: stat got %d, %v; want %d", who, size, err, tt.size)
					}
				}
				if data, err := os.ReadFile(s.Path(d)); err != nil || len(data) != tt.size {
					t.Errorf("path: got %d bytes, %v; want %d", len(data), err, tt.size)
				}
				if left := files(t, dir, "spool"); len(left) > 0 {
					t.Errorf("left in the spool: %q", left)
				}
			})
		}
	}
}

func TestDigestsThatAreNone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "store"), 0)
	hex := strings.Repeat("0", 64)
	if err := os.WriteFile(filepath.Join(dir, "outside"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []digest.Digest{
		"", ":", "sha256", "sha256:", "sha256:../../x", "sha256:../../../outside", "../sha256:" + digest.Digest(hex),
		digest.Digest("sha256:" + hex[:63]), digest.Digest("sha256:" + hex + "0"), digest.Digest("sha256:" + hex + "\n"),
		digest.Digest("sha256:" + strings.Repeat("A", 64)), digest.Digest("sha256:" + hex[:62] + "/."),
		digest.Digest("sha256:" + hex[:63] + "\x00"), digest.Digest("sha512:" + hex), digest.Digest("md5:" + hex[:32]),
		digest.Digest("sha1:" + hex[:40]), digest.Digest("SHA256:" + hex), digest.Digest("sha256:" + strings.Repeat("0", 1<<20)),
	} {
		name := fmt.Sprintf("%.30q", string(d))
		fails := func(what string, err error) {
			t.Helper()
			if err == nil || errors.Is(err, fs.ErrNotExist) || len(err.Error()) > 500 {
				t.Errorf("%s of %s: got %.600v, want a short error that is no miss", what, name, err)
			}
		}
		_, err := s.Get(d)
		fails("Get", err)
		_, err = s.Stat(d)
		fails("Stat", err)
		fails("Put", s.Put(d, strings.NewReader("x")))
		fails("SetName", s.SetName("x", cas.Name{Digest: d}))
		w := create(t, s)
		fails("Commit", w.Commit(d))
		fails("Verify", w.Verify(d))
		if got := s.Path(d); got != "" {
			t.Errorf("Path of %s: got %q, want none", name, got)
		}
		w.Close()
	}
	if got := files(t, dir, ""); len(got) != 1 {
		t.Errorf("got files %q, want none but that outside", got)
	}
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	s := open(t, dir, 1<<20)
	d := put(t, s, []byte("private"))
	if err := s.SetName("private", cas.Name{Digest: d}); err != nil {
		t.Fatal(err)
	}
	create(t, s)
	if err := s.Trim(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: got %v, want nothing for others", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	loop := filepath.Join(dir, "loop")
	inside := filepath.Join(dir, "inside")
	for _, err := range []error{
		os.WriteFile(file, nil, 0o600), os.Symlink(loop, loop),
		os.Mkdir(inside, 0o700), os.WriteFile(filepath.Join(inside, "blobs"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, dir string
		limit     int64
		want      string
	}{
		{"no directory", "", 0, `directory ""`},
		{"a negative limit", dir, -1, "limit -1"},
		{"a file", file, 0, "not a directory"},
		{"below a file", filepath.Join(file, "store"), 0, "not a directory"},
		{"a symbolic link to itself", loop, 0, "file exists"},
		{"a file where a folder belongs", inside, 0, "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := cas.Open(tt.dir, tt.limit)
			if err == nil || fault.Of(err) != fault.Config || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v (%v), want %q", err, fault.Of(err), tt.want)
			}
		})
	}
}

func TestClosedStore(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	d := put(t, s, []byte("x"))
	c, err := s.Get(d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := create(t, s)
	s.Close()
	for what, do := range map[string]func() error{
		"Get":     func() error { _, err := s.Get(d); return err },
		"Stat":    func() error { _, err := s.Stat(d); return err },
		"Create":  func() error { _, err := s.Create(); return err },
		"Put":     func() error { return s.Put(d, strings.NewReader("x")) },
		"Commit":  func() error { return w.Commit(d) },
		"Name":    func() error { _, err := s.Name("x"); return err },
		"Names":   func() error { _, err := s.Names(""); return err },
		"SetName": func() error { return s.SetName("x", cas.Name{Digest: d}) },
		"Remove":  func() error { return s.Remove("x") },
		"Usage":   func() error { _, err := s.Usage(); return err },
		"Trim":    func() error { return s.Trim() },
	} {
		if err := do(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: got %v, want fs.ErrClosed", what, err)
		}
	}
	if data, err := io.ReadAll(c); err != nil || string(data) != "x" {
		t.Errorf("content opened before: got %q, %v", data, err)
	}
}

// The store's folder vanishes while it is open, as when a user clears caches.
func TestFolderDeletedWhileOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir, 1<<30)
	d := put(t, s, []byte("before"))
	lost := create(t, s)
	if _, err := lost.Write([]byte("spooled")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want a miss", err)
	}
	if err := lost.Commit(digest.FromString("spooled")); fault.Of(err) != fault.Resource {
		t.Errorf("commit of a lost spool: got %v, want a resource error", err)
	}
	c, err := lost.File()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if data, err := io.ReadAll(c); err != nil || string(data) != "spooled" {
		t.Errorf("a lost spool reads as %q, %v", data, err)
	}
	after := put(t, s, []byte("after"))
	if _, err := read(s, after); err != nil {
		t.Error(err)
	}
	if err := s.SetName("after", cas.Name{Digest: after}); err != nil {
		t.Error(err)
	}
}
