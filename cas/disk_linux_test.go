package cas_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/internal/testenv"
)

const ownMountsEnv = "OUTLAST_CAS_OWN_MOUNTS"

// ownMounts reports whether the test runs where it may mount file systems that
// nobody else sees. If not, it runs the test again in a process that may.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownMountsEnv) != "" {
		must(t, syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""))
		return true
	}
	testenv.Root(t)
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownMountsEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// smallDisk returns a folder on a disk of size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestDiskFull(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir := smallDisk(t, "256k")
	s := open(t, dir, 0)
	kept := put(t, s, noise(1, 1000))
	data := noise(2, 1<<20)
	d := digest.FromBytes(data)
	t.Run("a write says that it is the disk, and is remembered", func(t *testing.T) {
		w := create(t, s)
		var have int
		var err error
		for err == nil && have < len(data) {
			var n int
			n, err = w.Write(data[have:min(have+10_000, len(data))])
			have += n
		}
		if fault.Of(err) != fault.Resource || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v, want a resource error", err)
		}
		must(t, os.Remove(s.Path(kept))) // now there is room for a little
		if _, err := w.Write(data[have : have+10]); fault.Of(err) != fault.Resource {
			t.Errorf("a write after it: got %v, want the same again", err)
		}
		for _, d := range []digest.Digest{d, digest.FromBytes(data[:have])} {
			if err := w.Commit(d); fault.Of(err) != fault.Resource {
				t.Errorf("commit: got %v, want a resource error", err)
			}
		}
		if got := files(t, dir, "blobs"); len(got) > 0 {
			t.Errorf("stored: %q", got)
		}
		// What was had can be read, and nothing beyond.
		must(t, w.Verify(digest.FromBytes(data[:have])))
		c, err := w.File()
		must(t, err)
		defer c.Close()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data[:have]) {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, have)
		}
		must(t, w.Close())
	})
	t.Run("what fits is taken afterwards", func(t *testing.T) {
		d := put(t, s, data[:1000])
		if _, err := read(s, d); err != nil {
			t.Error(err)
		}
	})
	t.Run("put", func(t *testing.T) {
		if err := s.Put(d, bytes.NewReader(data)); fault.Of(err) != fault.Resource {
			t.Errorf("got %v, want a resource error", err)
		}
	})
	t.Run("names", func(t *testing.T) {
		must(t, s.SetName("name", aName))
		must(t, os.WriteFile(filepath.Join(dir, "filler"), nil, 0o600))
		f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_WRONLY, 0)
		must(t, err)
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		other := aName
		other.Size++
		if err := s.SetName("name", other); fault.Of(err) != fault.Resource {
			t.Errorf("got %v, want a resource error", err)
		}
		if got, err := s.Name("name"); err != nil || got.Size != aName.Size {
			t.Errorf("got %+v, %v; want it as it was", got, err)
		}
		must(t, os.Remove(f.Name()))
	})
	if left := files(t, dir, "spool"); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
}

func TestReadOnlyStore(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir := smallDisk(t, "1m")
	s := open(t, dir, 1<<20)
	data := noise(1, 1000)
	d, bad := put(t, s, data), put(t, s, noise(2, 1000))
	must(t, s.SetName("name", aName), os.Truncate(s.Path(bad), 10), s.Close())
	must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	s = open(t, dir, 1<<20)
	for range 2 {
		if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if _, err := s.Get(bad); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("damaged content that cannot be set aside: got %v, want a miss", err)
		}
	}
	if _, err := s.Name("name"); err != nil {
		t.Error(err)
	}
	for what, do := range map[string]func() error{
		"Create":  func() error { _, err := s.Create(); return err },
		"Put":     func() error { return s.Put(d, bytes.NewReader(data)) },
		"SetName": func() error { return s.SetName("name", aName) },
		"Remove":  func() error { return s.Remove("name") },
	} {
		if err := do(); fault.Of(err) != fault.Resource || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("%s: got %v, want a resource error that says read-only", what, err)
		}
	}
	if _, err := cas.Open(filepath.Join(dir, "new"), 0); fault.Of(err) != fault.Config {
		t.Errorf("a new store: got %v, want an error about the settings", err)
	}
}

func TestStoreOfSomebodyElse(t *testing.T) {
	if !ownMounts(t) { // for a process whose rights may be given up
		return
	}
	dir := smallDisk(t, "1m")
	closed, readable := filepath.Join(dir, "closed"), filepath.Join(dir, "readable")
	data := noise(1, 1000)
	var d digest.Digest
	for _, dir := range []string{closed, readable} {
		s := open(t, dir, 0)
		d = put(t, s, data)
	}
	err := filepath.WalkDir(readable, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	must(t, err, os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755))
	const nobody = 65534
	must(t, syscall.Setresgid(nobody, nobody, -1), syscall.Setresuid(nobody, nobody, 0))
	defer func() { must(t, syscall.Setresuid(0, 0, 0)) }()

	if _, err := cas.Open(closed, 0); fault.Of(err) != fault.Config || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("one that must not be read: got %v, want an error about permission", err)
	}
	s := open(t, readable, 0)
	if got, err := read(s, d); err != nil || !bytes.Equal(got, data) {
		t.Errorf("one that may be read: got %d bytes, %v", len(got), err)
	}
	if _, err := s.Create(); fault.Of(err) != fault.Resource {
		t.Errorf("create: got %v, want a resource error", err)
	}
}
