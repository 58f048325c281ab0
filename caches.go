package outlast

import (
	"context"
	"fmt"
	"slices"

	"github.com/distribution/reference"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/plan"
)

// caches lists the external caches that the settings name and the builder can
// use.
func (b *build) caches(ctx context.Context) []plan.Cache {
	var all []plan.Cache
	if b.offersGHA() {
		all = append(all, plan.Actions)
	}
	if b.Settings.Cache.Local != "" {
		all = append(all, plan.Local)
	}
	if b.Settings.Cache.Registry != "" && b.mirror != nil && b.reaches() {
		all = append(all, plan.Registry)
	}
	if len(all) > 0 && b.sealed(ctx) {
		b.note("external caches are not used: this builder takes none (docker with its own image store)")
		return nil
	}
	return all
}

// cacheFlags are the flags for the caches of a plan, the user's among them. A
// cache that cannot be used is said and left out: none ever fails a build.
func (b *build) cacheFlags(ctx context.Context, p plan.Plan, s *shelf) []string {
	if b.args().Call() != "" {
		return nil
	}
	c := &carrier{build: b, plan: p, shelf: s}
	imports, exports := c.named("cache-from"), c.named("cache-to")
	for _, tier := range p.Caches {
		imports = append(imports, b.entriesOf(tier)...)
		if tier != plan.Registry || b.Settings.Cache.Write {
			exports = append(exports, b.entriesOf(tier)...)
		}
	}
	for _, e := range imports {
		c.add("cache-from", c.read(ctx, e))
	}
	// Folders first: what is sent to a registry may ride along with one.
	for _, folders := range []bool{true, false} {
		for _, e := range exports {
			if (e.Type == "local") == folders {
				c.add("cache-to", c.write(ctx, e))
			}
		}
	}
	return c.flags
}

// entriesOf are a tier of the settings as --cache-from and --cache-to would
// name it.
func (b *build) entriesOf(tier plan.Cache) []buildx.CacheEntry {
	switch dir, ref := b.Settings.Cache.Local, b.Settings.Cache.Registry; tier {
	case plan.Actions:
		return []buildx.CacheEntry{b.ownGHA()}
	case plan.Local:
		return []buildx.CacheEntry{{Type: "local", Attrs: map[string]string{"src": dir, "dest": dir, "mode": "max"}}}
	case plan.Registry:
		return []buildx.CacheEntry{{Type: "registry", Attrs: map[string]string{"ref": ref, "mode": "max"}}}
	}
	return nil
}

// tellUnwritten says which caches a build that succeeded could not write.
func (b *build) tellUnwritten(r engine.Result) {
	for _, s := range r.Steps {
		if s.Error != "" && exportsCache(s.Name) {
			b.note(fmt.Sprintf("the image was made, the cache was not written: %s: %s", s.Name, s.Error))
		}
	}
}

// usesCaches reports whether the user named caches.
func (b *build) usesCaches() bool {
	return slices.ContainsFunc([]string{"cache-from", "cache-to"}, b.args().Has)
}

// cacheRefs are the references of the registry caches that the settings and the
// user name, in full.
func (b *build) cacheRefs() []string {
	var refs []string
	if ref := b.Settings.Cache.Registry; ref != "" {
		refs = append(refs, ref)
	}
	for _, flag := range []string{"cache-from", "cache-to"} {
		for _, value := range b.args().All(flag) {
			entries, _ := buildx.ReadCaches(value)
			for _, e := range entries {
				if ref, ok := inFull(e.Attrs["ref"]); ok && e.Type == "registry" {
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs
}

// inFull returns a reference as docker reads it, with its registry and tag:
// docker.io/library/app:latest for app.
func inFull(ref string) (string, bool) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", false
	}
	return reference.TagNameOnly(named).String(), true
}
