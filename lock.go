package outlast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway/oci"
	"github.com/outlast-build/outlast/internal/config"
)

// Target is a build to be looked at and not to be made: the arguments of
// `docker buildx build`, the context among them, as in Options.
type Target struct {
	Args     []string
	Dir      string
	Env      []string
	Stdin    io.Reader
	Settings config.Settings
	Note     func(string) // told what does not work and does no harm; nil: nobody is
	OnTry    func(fetch.Try)
}

// A LockMode says what Lock does with the file.
type LockMode string

// The modes.
const (
	LockAdd    LockMode = "add"    // lock what is not locked yet
	LockUpdate LockMode = "update" // lock everything anew
	LockCheck  LockMode = "check"  // change nothing
)

// A LockState says how an image stands to the lock.
type LockState string

// The states.
const (
	Kept    LockState = "locked"  // it is locked, and stays so
	Added   LockState = "added"   // it was not locked, and is now
	Updated LockState = "updated" // it was locked to another digest
	Moved   LockState = "moved"   // it is locked to another digest than its tag has now
	Open    LockState = "open"    // it is not locked
	Unsure  LockState = "unsure"  // nobody could say what its tag stands for now
	Unused  LockState = "unused"  // it is locked, and this build does not need it
)

// LockedImage is an image of a build, or of its lock.
type LockedImage struct {
	Ref    string        `json:"ref"`
	State  LockState     `json:"state"`
	Digest digest.Digest `json:"digest,omitempty"` // that the lock has in the end
	Other  digest.Digest `json:"other,omitempty"`  // before an update, or that the tag has now
	Line   int           `json:"line,omitempty"`   // in the Dockerfile
	Err    string        `json:"error,omitempty"`
}

// Locking is what Lock did, or found.
type Locking struct {
	File   string        `json:"file"`
	Wrote  bool          `json:"wrote"`
	Images []LockedImage `json:"images"`
}

// Complete reports whether all that the build needs is locked.
func (l Locking) Complete() bool {
	return !slices.ContainsFunc(l.Images, func(i LockedImage) bool { return i.State == Open })
}

// LockImages writes into outlast.lock, beside the Dockerfile, which digest each
// tag stands for that the build needs. Only an answer of just now, of the
// registry itself or of a mirror that the settings trust for tags, is locked.
// The error says what could not be locked; the rest is then written all the
// same.
func LockImages(ctx context.Context, t Target, mode LockMode) (Locking, error) {
	rec, err := t.recipe()
	if err != nil {
		return Locking{}, err
	}
	done := Locking{File: lockPath(rec.path)}
	if done.File == "" {
		return done, &fault.Error{Op: "lock", Kind: fault.Config, Err: errors.New("the Dockerfile is not a file on this machine: there is no place for " + LockName)}
	}
	lock, err := readLock(done.File)
	if err != nil {
		return done, err
	}
	images := rec.tagged()
	found, err := t.resolve(ctx, rec, images, func(im image) bool { _, ok := lock.Images[im.ref]; return !ok || mode != LockAdd })
	if err != nil {
		return done, err
	}
	next := Lock{Images: maps.Clone(lock.Images)}
	if next.Images == nil {
		next.Images = make(map[string]Locked)
	}
	for _, im := range images {
		was, locked := lock.Images[im.ref]
		entry := judgeLock(im.ref, was, locked, found[im.ref], mode)
		entry.Line = rec.line(im.ref)
		if entry.State == Added || entry.State == Updated {
			next.Images[im.ref] = merged(was, found[im.ref].resolved, entry.State)
		}
		done.Images = append(done.Images, entry)
	}
	for _, ref := range slices.Sorted(maps.Keys(lock.Images)) {
		if !slices.ContainsFunc(images, func(im image) bool { return im.ref == ref }) {
			done.Images = append(done.Images, LockedImage{Ref: ref, State: Unused, Digest: lock.Images[ref].Digest})
		}
	}
	if mode != LockCheck && string(next.Text()) != string(lock.Text()) {
		if err := writeLock(done.File, next); err != nil {
			return done, err
		}
		done.Wrote = true
	}
	if mode == LockCheck {
		return done, nil
	}
	return done, unlocked(found)
}

// judgeLock says how an image stands to the lock, by what is in it and by what
// its tag was found to stand for.
func judgeLock(ref string, was Locked, locked bool, now finding, mode LockMode) LockedImage {
	e := LockedImage{Ref: ref, Digest: was.Digest, State: Kept}
	if now.err != nil {
		e.Err = now.err.Error()
	}
	known := now.asked && now.err == nil
	switch {
	case !locked && known && mode != LockCheck:
		e.State, e.Digest = Added, now.resolved.Digest
	case !locked:
		e.State = Open
		if known {
			e.Other = now.resolved.Digest
		}
	case now.asked && !known:
		e.State = Unsure
	case known && now.resolved.Digest != was.Digest && mode == LockUpdate:
		e.State, e.Digest, e.Other = Updated, now.resolved.Digest, was.Digest
	case known && now.resolved.Digest != was.Digest:
		e.State, e.Other = Moved, now.resolved.Digest
	}
	return e
}

// merged adds platforms to what is locked already, as long as the digest stays.
func merged(was Locked, now oci.Resolved, state LockState) Locked {
	l := Locked{Digest: now.Digest, Platforms: maps.Clone(now.Platforms)}
	if state == Updated || was.Digest != now.Digest {
		return l
	}
	for p, d := range was.Platforms {
		if l.Platforms == nil {
			l.Platforms = make(map[string]digest.Digest)
		}
		if _, ok := l.Platforms[p]; !ok {
			l.Platforms[p] = d
		}
	}
	return l
}

// A finding is what a tag was found to stand for.
type finding struct {
	asked    bool
	resolved oci.Resolved
	err      error
}

// unlocked is the error for what could not be asked.
func unlocked(found map[string]finding) error {
	var all []error
	for _, ref := range slices.Sorted(maps.Keys(found)) {
		if err := found[ref].err; err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// tagged lists the needed images that have a tag and no digest, each once.
func (rec recipe) tagged() []image {
	var all []image
	for _, im := range rec.images() {
		i := slices.IndexFunc(all, func(other image) bool { return other.ref == im.ref })
		switch {
		case strings.Contains(im.ref, "@"):
		case i < 0:
			all = append(all, im)
		default:
			all[i].platforms = append(all[i].platforms, im.platforms...)
		}
	}
	return all
}

// line is the first in the Dockerfile that needs ref.
func (rec recipe) line(ref string) int {
	for _, n := range rec.needs {
		if n.Ref == ref {
			return n.Line
		}
	}
	return 0
}

// recipe reads the Dockerfile of t.
func (t Target) recipe() (recipe, error) {
	return readRecipe(buildx.ReadArgs(t.Args), t.Dir, t.Stdin, func(name string) (string, bool) { return lookupIn(t.Env, name) })
}

// gateway starts a gateway for the images of a recipe.
func (t Target) gateway(ctx context.Context, rec recipe) (*Gateway, error) {
	return NewGateway(ctx, GatewayOptions{Settings: t.Settings, Hosts: rec.registries(), Once: true, Warn: t.note, OnTry: t.OnTry})
}

func (t Target) note(line string) {
	if t.Note != nil {
		t.Note(line)
	}
}

// errStale is why an old answer is not locked.
type errStale struct {
	ref  string
	good time.Time
}

func (e *errStale) Error() string {
	return fmt.Sprintf("%s: nobody can say what it stands for now; the last answer is of %s", e.ref, e.good.UTC().Format("2006-01-02 15:04 MST"))
}

// resolve asks what the images stand for that ask picks.
func (t Target) resolve(ctx context.Context, rec recipe, images []image, ask func(image) bool) (map[string]finding, error) {
	found := make(map[string]finding)
	picked := slices.DeleteFunc(slices.Clone(images), func(im image) bool { return !ask(im) })
	if len(picked) == 0 {
		return found, nil
	}
	g, err := t.gateway(ctx, rec)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(8)
	for _, im := range picked {
		group.Go(func() error {
			f := finding{asked: true}
			f.resolved, f.err = g.images().Resolve(ctx, im.ref, im.platforms)
			if f.err == nil && !f.resolved.Stale.IsZero() {
				f.err = &errStale{im.ref, f.resolved.Stale}
			}
			mu.Lock()
			defer mu.Unlock()
			found[im.ref] = f
			return nil
		})
	}
	_ = group.Wait() // none returns one
	return found, context.Cause(ctx)
}

// images is what the gateway knows of whole images.
func (g *Gateway) images() oci.Images { return oci.Images{Protocol: g.protocol, Mirror: g.Mirror} }
