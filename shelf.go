package outlast

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/record"
)

// A shelf holds the folders of caches that one attempt is given in place of
// the user's own. The zero value is empty.
type shelf struct {
	boxes   []*box
	imports []imported
}

// A box is a folder that an attempt reads a cache from, or exports one into.
type box struct {
	view *buildcache.View
	dir  string        // of the cache itself, whose place the view takes afterwards
	form string        // what the export is like; empty where there is none
	own  bool          // dir is Outlast's: it only saves exporting again what did not change
	temp string        // a folder around dir, for this attempt alone; empty where there is none
	send []string      // references that the export is sent to afterwards
	took time.Duration // to prove it
}

// close removes what is left.
func (s *shelf) close() {
	for _, x := range s.boxes {
		_ = x.view.Close() // swept up by a later build
		if x.temp != "" {
			_ = os.RemoveAll(x.temp)
		}
	}
}

// proving bounds the time that a build spends on proving a folder before it
// begins. What is not proved by then is left out this time, and what was is
// remembered.
const proving = 20 * time.Second

// folder gives the box of a folder, which need not exist.
func (b *build) folder(ctx context.Context, s *shelf, dir string) (*box, error) {
	dir = b.absolute(dir)
	if i := slices.IndexFunc(s.boxes, func(x *box) bool { return x.dir == dir }); i >= 0 {
		return s.boxes[i], nil
	}
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, proving)
	defer cancel()
	view, err := buildcache.NewView(within, dir, buildcache.Options{Ledger: buildcache.LedgerOf(b.Settings.Store.Path, dir)})
	if err != nil {
		return nil, err
	}
	x := &box{view: view, dir: dir, took: time.Since(began)}
	s.boxes = append(s.boxes, x)
	b.tellFlaws(x)
	return x, nil
}

// absolute returns a path that the user gave, from the build's folder on.
func (b *build) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	here, err := filepath.Abs(b.Dir)
	if err != nil {
		return path
	}
	return filepath.Join(here, path)
}

// tellFlaws says what was left out of a folder.
func (b *build) tellFlaws(x *box) {
	bad, unproved := 0, 0
	for _, f := range x.view.Flaws {
		switch {
		case f.What == buildcache.Unproved:
			unproved++
		case f.Harms():
			bad++
		}
	}
	if bad > 0 {
		b.note(fmt.Sprintf("the cache in %s is damaged in %d places, which are left out; outlast cache verify names them", x.dir, bad))
	}
	if unproved > 0 {
		b.note(fmt.Sprintf("%d blobs of the cache in %s are left out this time: there was no time to prove them within %s", unproved, x.dir, x.took.Round(time.Second)))
	}
}

// staged gives the box for an export that is sent to a registry: one of an
// equal form that is there already, or a folder in the store.
func (b *build) staged(ctx context.Context, s *shelf, e buildx.CacheEntry) (x *box, made bool, err error) {
	form := formOf(e)
	if i := slices.IndexFunc(s.boxes, func(x *box) bool { return x.form == form }); i >= 0 {
		return s.boxes[i], false, nil
	}
	dir, temp, err := b.stage(e.Attrs["ref"] + " " + form)
	if err != nil {
		return nil, false, err
	}
	x, err = b.folder(ctx, s, dir)
	if err != nil {
		return nil, false, err
	}
	x.own, x.form, x.temp = true, form, temp
	return x, true, nil
}

// formOf is what an export is like, wherever it goes.
func formOf(e buildx.CacheEntry) string {
	e.Type = "local"
	return e.With("ref", "").With("dest", "").With("tag", "").With("ignore-error", "true").String()
}

// stages is the folder of the store for exports that are sent on.
func (b *build) stages() string { return filepath.Join(b.Settings.Store.Path, "caches") }

// stage is the folder of one such export: below temp, which is not empty where
// there is no store.
func (b *build) stage(of string) (dir, temp string, err error) {
	if b.Settings.Store.Path == "" {
		temp, err = os.MkdirTemp("", "outlast-cache-")
		return filepath.Join(temp, "cache"), temp, err
	}
	name := sha256.Sum256([]byte(of))
	return filepath.Join(b.stages(), hex.EncodeToString(name[:8])), "", os.MkdirAll(b.stages(), 0o700)
}

// putAway puts what an attempt exported where it belongs, and returns the boxes
// whose contents are to be sent.
func (b *build) putAway(ctx context.Context, s *shelf) (send []*box) {
	for _, x := range s.boxes {
		if x.form == "" {
			continue
		}
		mendIndex(ctx, x.view.Dir)
		err := x.view.Keep(ctx)
		if !x.own {
			b.worth("local", x.dir, written(err))
		}
		if err != nil {
			if !x.own {
				b.note(fmt.Sprintf("the cache in %s stays as it was: %v", x.dir, err))
			}
			if len(x.send) > 0 {
				b.note(fmt.Sprintf("the image was made; its cache is not sent: %v", err))
			}
			continue
		}
		if len(x.send) > 0 {
			send = append(send, x)
		}
	}
	return send
}

func written(err error) record.CacheUse {
	if err != nil {
		return record.CacheUse{Failed: 1, Last: err.Error()}
	}
	return record.CacheUse{Written: 1}
}

// mendIndex makes an export known that its folder's index does not name. Of
// several exports of one build, BuildKit's client writes the manifest of the
// last into the index of each (cache.manifest in the solve of its client
// package), where it need not exist.
func mendIndex(ctx context.Context, dir string) {
	r, err := buildcache.Stat(dir)
	if err == nil && slices.ContainsFunc(r.Entries, func(e buildcache.Entry) bool { return !e.Usable }) {
		// What cannot be mended is found by whoever reads the folder next.
		_, _ = buildcache.RepairAll(ctx, dir, buildcache.Options{}, false)
	}
}

// How long an export that was sent is kept, and how much of the store all of
// them may take: they only save exporting again what did not change.
const (
	stagedFor   = 7 * 24 * time.Hour
	stagedShare = 4 // one part in so many of the store's size
)

// clearStages removes exports that were sent long ago and, while all that are
// left take too much, the oldest of them.
func (b *build) clearStages(now time.Time) {
	type folder struct {
		path string
		at   time.Time
		size int64
	}
	var all []folder
	var sum int64
	names, _ := os.ReadDir(b.stages())
	for _, n := range names {
		info, err := n.Info()
		if err != nil || !n.IsDir() || n.Name()[0] == '.' {
			continue // a view of another build, which sees to it itself
		}
		f := folder{path: filepath.Join(b.stages(), n.Name()), at: info.ModTime()}
		if r, err := buildcache.Stat(f.path); err == nil {
			f.size = r.Bytes
		}
		sum += f.size
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b folder) int { return a.at.Compare(b.at) })
	for _, f := range all {
		if now.Sub(f.at) <= stagedFor && sum <= b.Settings.Store.Size/stagedShare {
			continue
		}
		sum -= f.size
		_ = os.RemoveAll(f.path) // tried again by the next build
	}
}
