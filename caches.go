package outlast

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/plan"
)

// A shelf holds the local cache of one attempt. The zero value is empty.
type shelf struct{ view *buildcache.View }

// close removes what is left.
func (s *shelf) close() {
	if s.view != nil {
		_ = s.view.Close() // swept up by a later build
	}
}

// caches lists the external caches that the settings name and the builder can
// use.
func (b *build) caches(ctx context.Context) []plan.Cache {
	var all []plan.Cache
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

// cacheFlags are the flags for the caches of a plan. A cache that cannot be
// used is said and left out: none ever fails a build.
func (b *build) cacheFlags(ctx context.Context, p plan.Plan, s *shelf) []string {
	if b.args().Call() != "" {
		return nil
	}
	var all []string
	for _, c := range p.Caches {
		switch {
		case c == plan.Local:
			all = append(all, b.localCache(ctx, s)...)
		case c == plan.Registry && p.Road == plan.Gateway:
			host, rest, _ := strings.Cut(b.Settings.Cache.Registry, "/")
			all = append(all, "--cache-from=type=registry,ref="+b.mirror.prefix(host)+"/"+rest)
		}
	}
	return all
}

func (b *build) localCache(ctx context.Context, s *shelf) []string {
	dir := b.Settings.Cache.Local
	view, err := buildcache.NewView(ctx, dir, buildcache.Options{})
	if err != nil {
		b.note(fmt.Sprintf("the cache in %s is not used: %v", dir, err))
		return nil
	}
	s.view = view
	if n := len(view.Flaws); n > 0 {
		b.note(fmt.Sprintf("the cache in %s is damaged in %d places, which are left out; outlast cache verify names them", dir, n))
	}
	to := "--cache-to=" + attribute("type=local,mode=max,ignore-error=true,dest=", view.Dir)
	if view.Entries == 0 {
		return []string{to}
	}
	return []string{"--cache-from=" + attribute("type=local,src=", view.Dir), to}
}

// lenient makes the export of a cache one that cannot fail a finished image,
// unless the user says whether it may.
func lenient(to string) string {
	fields, err := csv.NewReader(strings.NewReader(to)).Read()
	if err != nil || slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "ignore-error=") || f == "type=inline" }) {
		return to
	}
	if len(fields) == 1 && !strings.Contains(to, "=") {
		to = "type=registry,ref=" + to
	}
	return to + ",ignore-error=true"
}

// tellUnwritten says which caches a build that succeeded could not write.
func (b *build) tellUnwritten(r engine.Result) {
	for _, s := range r.Steps {
		if s.Error != "" && exportsCache(s.Name) {
			b.note(fmt.Sprintf("the image was made, the cache was not written: %s: %s", s.Name, s.Error))
		}
	}
}

// attribute quotes a path in a list of attributes, which buildx reads as CSV.
func attribute(before, path string) string {
	name := before[strings.LastIndex(before, ",")+1:]
	if !strings.ContainsAny(path, `,"`) {
		return before + path
	}
	return before[:len(before)-len(name)] + `"` + name + strings.ReplaceAll(path, `"`, `""`) + `"`
}

// keepCache puts the cache that an attempt wrote in the place of the one
// before.
func (b *build) keepCache(ctx context.Context, s *shelf) {
	if s.view == nil {
		return
	}
	if err := s.view.Keep(ctx); err != nil {
		b.note(fmt.Sprintf("the cache in %s stays as it was: %v", b.Settings.Cache.Local, err))
	}
}

// usesCaches reports whether the user named caches.
func (b *build) usesCaches() bool {
	return slices.ContainsFunc([]string{"cache-from", "cache-to"}, b.args().Has)
}
