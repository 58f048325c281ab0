package buildcache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// A View is a folder of a build's own: it looks like a cache folder as it was at
// one moment, without anything that was not proved. What becomes of that folder
// afterwards does not touch the build, and the build may export into the view:
// Keep then puts it into the folder's place.
type View struct {
	Dir     string // what the build is given
	Entries int    // that are usable
	Flaws   []Flaw // what was left out

	of     string // the folder itself
	lock   *os.File
	linked bool // its blobs are the folder's own
}

// viewName marks folders of views beside the folder that they show.
func viewName(of string) string { return "." + filepath.Base(of) + ".outlast-" }

// NewView makes a view of the cache in dir, which need not exist: then the view
// is empty. It proves what the ledger of o does not know, until ctx ends; what
// is not proved by then is left out. The folder itself is not changed. The
// caller calls Keep or Close.
func NewView(ctx context.Context, dir string, o Options) (*View, error) {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		real, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, failed("view", dir, err)
	}
	if info, err := os.Stat(real); err == nil && !info.IsDir() {
		return nil, notCache(dir, ": it is no folder")
	}
	v := &View{of: real}
	if err := v.make(); err != nil {
		return nil, failed("view", dir, err)
	}
	if err := v.fill(ctx, o); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// make makes the folder of the view: beside the one that it shows, so that
// blobs can be linked and the folders exchanged, else where temporary files go.
func (v *View) make() error {
	parent := filepath.Dir(v.of)
	if err := os.MkdirAll(parent, 0o755); err == nil {
		if dir, lock, err := privateDir(parent, viewName(v.of)); err == nil {
			v.Dir, v.lock, v.linked = dir, lock, true
			return nil
		}
	}
	dir, lock, err := privateDir(os.TempDir(), "outlast-cache-")
	v.Dir, v.lock = dir, lock
	return err
}

// privateDir makes a folder whose lock says that its process lives, after it
// has removed those of processes that do not.
func privateDir(parent, prefix string) (string, *os.File, error) {
	// Nobody sweeps between the folder and its lock.
	gate, err := flock(context.Background(), parent, unix.O_DIRECTORY, unix.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer gate.Close()
	sweep(parent, prefix)
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", nil, err
	}
	lock, err := flock(context.Background(), dir, unix.O_DIRECTORY, unix.LOCK_SH)
	if err != nil {
		os.RemoveAll(dir)
	}
	return dir, lock, err
}

// sweep removes what killed processes left.
func sweep(parent, prefix string) {
	names, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for _, n := range names {
		dir := filepath.Join(parent, n.Name())
		if !n.IsDir() || !strings.HasPrefix(n.Name(), prefix) {
			continue
		}
		if lock, err := flock(now, dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.LOCK_EX); err == nil {
			_ = os.RemoveAll(dir)
			lock.Close()
		}
	}
}

// fill puts what is proved into the view.
func (v *View) fill(ctx context.Context, o Options) error {
	ours, err := lockFolder(ctx, v.of, unix.LOCK_SH) // nobody takes the folder away meanwhile
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ours.Close()
	if empty(ours) {
		return nil
	}
	o.partial = true
	s, err := look(ctx, v.of, o)
	if err != nil {
		return err
	}
	v.Flaws = s.flaws
	c, entries, err := s.repair()
	if err != nil {
		return err
	}
	l := readLedger(o.Ledger)
	for d := range kept(entries) {
		if _, ours := c.writes[d]; ours {
			continue
		}
		b := s.blobs[d]
		if err := v.link(b.path); err != nil {
			return failed("view", v.of, err)
		}
		// A link is a change of the file's inode, which the ledger would take
		// for one of its bytes.
		if now, ok, err := lookAt(filepath.Join(v.of, b.path)); err == nil && ok && l.proved(d, b.state) && sameBut(now, b.state) {
			l.known[d] = now
		}
	}
	l.write(s.blobs)
	index := c.index
	if index == nil {
		index = s.index
	}
	for _, e := range entries {
		if e.cache {
			v.Entries++
		}
	}
	own := &change{index: index, writes: maps.Clone(c.writes)}
	return failed("view", v.of, own.apply(v.Dir))
}

// sameBut reports whether nothing changed but the time of the inode.
func sameBut(a, b state) bool { a.Ctime = b.Ctime; return a == b }

// link makes a blob of the folder one of the view. Where no hard link can be
// had (another file system, somebody else's file), a symbolic one does for
// reading.
func (v *View) link(path string) error {
	to := filepath.Join(v.Dir, path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if v.linked {
		err := os.Link(filepath.Join(v.of, path), to)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return err
		}
		v.linked = false
	}
	return os.Symlink(filepath.Join(v.of, path), to)
}

func empty(dir *os.File) bool {
	names, err := dir.Readdirnames(1)
	return err != nil || len(names) == 0
}

// Keep puts the view, into which a build exported, into the place of the
// folder, in one step: a kill leaves the one or the other. The entries that the
// export did not replace stay; what nobody needs goes. The error says why it
// could not be done; then the folder is at worst what it was. The view is gone
// afterwards.
func (v *View) Keep(ctx context.Context) error {
	defer v.Close()
	if _, err := os.Stat(filepath.Join(v.Dir, ocispecs.ImageIndexFile)); err != nil {
		return nil // nothing was exported, and nothing was there
	}
	if _, err := trimFolder(v.Dir, Bounds{}, time.Now(), false, true); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := errors.ErrUnsupported
	if v.linked && alone(v.of) {
		err = v.exchange(ctx)
	}
	if err != nil {
		err = v.pour(ctx)
	}
	return failed("keep", v.of, err)
}

// layoutNames are what a cache folder has at its top.
var layoutNames = map[string]bool{"blobs": true, "ingest": true, ocispecs.ImageIndexFile: true, ocispecs.ImageLayoutFile: true,
	ocispecs.ImageIndexFile + ".lock": true, lockFile: true}

// alone reports whether a folder holds a cache and nothing else: what else is
// there is somebody's own, and must stay where it is.
func alone(dir string) bool {
	names, err := os.ReadDir(dir)
	return err != nil || !slices.ContainsFunc(names, func(n os.DirEntry) bool {
		return !layoutNames[n.Name()] && !strings.HasPrefix(n.Name(), "."+ocispecs.ImageIndexFile+".") // what a kill left of writeWhole
	})
}

// exchange puts the view into the folder's place, while nobody looks at what
// stands there. It fails where the folder is a mount point, and where the file
// system cannot exchange names.
func (v *View) exchange(ctx context.Context) error {
	there, err := lockFolder(ctx, v.of, unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Chmod(v.Dir, 0o755); err != nil {
			return err
		}
		// Another build may have made the folder just now: one that is not
		// empty is not renamed over.
		return os.Rename(v.Dir, v.of)
	}
	if err != nil {
		return err
	}
	defer there.Close()
	info, err := there.Stat()
	if err == nil {
		err = os.Chmod(v.Dir, info.Mode().Perm())
	}
	if err == nil {
		// What stood there has the view's name from now on, and goes with it.
		err = unix.Renameat2(unix.AT_FDCWD, v.Dir, unix.AT_FDCWD, v.of, unix.RENAME_EXCHANGE)
	}
	return err
}

// pour puts what was exported into the folder file by file, the index last.
func (v *View) pour(ctx context.Context) error {
	if err := os.MkdirAll(v.of, 0o755); err != nil {
		return err
	}
	release, err := acquire(ctx, v.of)
	if err != nil {
		return err
	}
	defer release()
	mine, err := readFolder(v.Dir)
	if err != nil {
		return err
	}
	for _, b := range mine.blobs {
		if err := place(filepath.Join(v.Dir, b.path), filepath.Join(v.of, b.path)); err != nil {
			return err
		}
	}
	for _, name := range []string{ocispecs.ImageLayoutFile, ocispecs.ImageIndexFile} {
		data, err := readBounded(v.Dir, name, maxIndex)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = writeWhole(filepath.Join(v.of, name), data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	_, err = trimFolder(v.of, Bounds{}, time.Now(), false, true)
	return err
}

// place copies a blob where there is none of that name.
func place(from, to string) error {
	if _, _, err := lookAt(to); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, _, err := openPlain(from)
	if err != nil {
		return err
	}
	defer source.Close()
	file, err := os.CreateTemp(filepath.Dir(to), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = io.Copy(file, source)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), to)
	}
	return err
}

// Close removes the view. It may be called again, and after Keep.
func (v *View) Close() error {
	if v.Dir == "" {
		return nil
	}
	err := os.RemoveAll(v.Dir)
	if v.lock != nil {
		v.lock.Close()
	}
	dir := v.Dir
	v.Dir = ""
	return failed("remove view", dir, err)
}
