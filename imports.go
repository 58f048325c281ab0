package outlast

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/record"
)

// An imported is a cache that an attempt may read through Outlast.
type imported struct {
	tier, where string
	blobs       []string // digests, of a folder
}

// worth adds to what the record says of a cache.
func (b *build) worth(tier, where string, u record.CacheUse) {
	u.Tier, u.Where = tier, where
	b.run.Use(u)
}

// importFolder takes down that an attempt may read a folder.
func (b *build) importFolder(s *shelf, x *box) {
	im := imported{tier: "local", where: x.dir}
	u := record.CacheUse{Asked: 1, Took: x.took}
	if c, err := buildcache.ContentOf(x.view.Dir, buildcache.DefaultTag); err == nil {
		for _, d := range c.Blobs {
			im.blobs = append(im.blobs, d.Digest.Encoded())
			u.Read += d.Size
		}
		u.Layers = len(c.Blobs) - 1
	}
	if x.view.Entries > 0 {
		u.Hit = 1
	}
	s.imports = append(s.imports, im)
	b.worth(im.tier, im.where, u)
}

// tellUnread says which registry caches were not read as they should have been,
// and takes down what those that were gave.
func (b *build) tellUnread(s *shelf) {
	for _, im := range s.imports {
		if im.tier != "registry" {
			continue
		}
		got := b.mirror.traffic(repository(im.where))
		u := record.CacheUse{Asked: 1, Layers: got.layers, Read: got.bytes}
		if got.named {
			u.Hit = 1
		}
		if f := b.mirror.lacks(repository(im.where)); f != nil && f.Kind() != fault.NotFound {
			u.Failed, u.Last = 1, f.Error()
			b.note(fmt.Sprintf("the cache %s was not read: %s %s", im.where, registryOf(im.where), f.Kind().Verb()))
		}
		b.worth(im.tier, im.where, u)
	}
}

// cacheRepos are the repositories of registry caches, but for those that the
// build needs images of.
func (b *build) cacheRepos() []string {
	var repos []string
	for _, ref := range b.cacheRefs() {
		repo := repository(ref)
		needed := slices.ContainsFunc(b.recipe.needs, func(n dockerfile.Need) bool { return n.Registry() && repository(n.Ref) == repo })
		if !needed {
			repos = append(repos, repo)
		}
	}
	return repos
}

// broke finds the caches that made an attempt fail: those that the gateway
// could not serve, or that hold what the engine says is bad. Where neither
// shows, but it is content that was bad and all base images could be had, it
// is any of them.
func (b *build) broke(s *shelf, r engine.Result, err error) []imported {
	text := failureText(r, err)
	if len(s.imports) == 0 || strings.Contains(text, "did not complete successfully") {
		return nil
	}
	var all []imported
	for _, im := range s.imports {
		bad := slices.ContainsFunc(im.blobs, func(d string) bool { return strings.Contains(text, d) })
		if im.tier == "registry" {
			f := b.mirror.lacks(repository(im.where))
			bad = f != nil && (f.Kind() != fault.NotFound || strings.Contains(f.Name, "@"))
		}
		if bad {
			all = append(all, im)
		}
	}
	if all == nil && badContent.MatchString(text) && (b.mirror == nil || len(b.mirror.missing(b.cacheRepos())) == 0) {
		return s.imports
	}
	return all
}

// badContent is what BuildKit says of a layer that it cannot read (copyWith in
// its contentutil package, containerd's content store).
var badContent = regexp.MustCompile(`short read: expected|unexpected commit digest|content sha256:\w+: not found|failed to (?:compute|load) cache key|lease "?\S+"?: not found`)

func failureText(r engine.Result, err error) string {
	lines := []string{err.Error()}
	for _, s := range r.Steps {
		if s.Error != "" {
			lines = append(lines, s.Error)
		}
	}
	return strings.Join(lines, "\n")
}

// drop leaves caches out of the rest of the build. It reports whether one of
// them was in it until now.
func (b *build) drop(all []imported, err error) bool {
	news := false
	for _, im := range all {
		if b.dropped[im.where] {
			continue
		}
		if b.dropped == nil {
			b.dropped = make(map[string]bool)
		}
		b.dropped[im.where], news = true, true
		b.note(fmt.Sprintf("the cache %s broke while it was read: it stays out of this build", im.where))
		b.worth(im.tier, im.where, record.CacheUse{Failed: 1, Last: err.Error()})
	}
	return news
}

// ofCache is the diagnosis of a cache that broke.
func ofCache(im imported, err error) diagnose.Diagnosis {
	return diagnose.Diagnosis{Kind: fault.CacheImport, Service: "registry-cache", Endpoint: endpointOf(im), Retryable: true, FallbackHelps: true, Confidence: 1,
		Evidence: diagnose.Evidence{Text: err.Error()}, Hint: fault.CacheImport.Hint()}
}

func endpointOf(im imported) string {
	if im.tier == "registry" {
		return registryOf(im.where)
	}
	return ""
}
