package outlast

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/plan"
)

// A carrier makes the caches of an attempt into flags. What Outlast carries
// itself (registries and folders) the builder is given in another shape; the
// rest it gets as it was named.
type carrier struct {
	*build
	plan  plan.Plan
	shelf *shelf
	flags []string
}

// named are the caches that the user named with a flag. What buildx refuses is
// handed on, for buildx to say so.
func (c *carrier) named(flag string) (all []buildx.CacheEntry) {
	if !c.plan.UsersCaches {
		return nil
	}
	for _, value := range c.args().All(flag) {
		entries, ok := buildx.ReadCaches(value)
		if !ok {
			c.flags = append(c.flags, "--"+flag+"="+value)
			continue
		}
		all = append(all, entries...)
	}
	return all
}

func (c *carrier) add(flag string, entries []buildx.CacheEntry) {
	for _, e := range entries {
		c.flags = append(c.flags, "--"+flag+"="+e.String())
	}
}

// read is what stands for an import.
func (c *carrier) read(ctx context.Context, e buildx.CacheEntry) []buildx.CacheEntry {
	switch ref, named := inFull(e.Attrs["ref"]); {
	case e.Type == "gha":
		return c.throughGHA(e.With("mode", ""), false)
	case e.Type == "registry" && named && c.plan.Road == plan.Gateway:
		if c.dropped[ref] {
			return nil
		}
		c.shelf.imports = append(c.shelf.imports, imported{tier: "registry", where: ref})
		host, rest, _ := strings.Cut(ref, "/")
		return []buildx.CacheEntry{e.With("ref", c.mirror.prefix(host)+"/"+rest).With("mode", "")}
	case e.Type == "local" && e.Attrs["src"] != "" && e.Attrs["digest"] == "":
		x, err := c.folder(ctx, c.shelf, e.Attrs["src"])
		if err != nil {
			c.note(fmt.Sprintf("the cache in %s is not used: %v", e.Attrs["src"], err))
			return nil
		}
		if c.dropped[x.dir] {
			return nil
		}
		c.importFolder(c.shelf, x)
		if x.view.Entries == 0 {
			return nil
		}
		return []buildx.CacheEntry{e.With("src", x.view.Dir).With("dest", "").With("mode", "")}
	}
	return []buildx.CacheEntry{e}
}

// write is what stands for an export.
func (c *carrier) write(ctx context.Context, e buildx.CacheEntry) []buildx.CacheEntry {
	strict, err := strconv.ParseBool(e.Attrs["ignore-error"])
	strict = err == nil && !strict // who says so wants no image without its cache
	switch {
	case e.Type == "inline":
		return []buildx.CacheEntry{e}
	case c.sealed(ctx):
		c.note(fmt.Sprintf("--cache-to of type %s is left out: this builder exports no cache (docker with its own image store)", e.Type))
		return nil
	case e.Type == "gha" && strict:
		return c.throughGHA(e, true)
	case e.Type == "gha":
		return c.throughGHA(e.With("ignore-error", "true"), true)
	case strict:
		return []buildx.CacheEntry{e}
	case e.Type == "registry" && c.sends(e):
		return c.writeRegistry(ctx, e)
	case e.Type == "local" && e.Attrs["dest"] != "":
		return c.writeFolder(ctx, e)
	}
	return []buildx.CacheEntry{e.With("ignore-error", "true")}
}

// sent are the attributes of a registry export that one into a folder has too.
var sent = []string{"ref", "mode", "oci-mediatypes", "image-manifest", "compression", "compression-level", "force-compression", "ignore-error"}

// sends reports whether Outlast sends this export: it knows the registry, and
// all that is asked for.
func (c *carrier) sends(e buildx.CacheEntry) bool {
	if _, ok := inFull(e.Attrs["ref"]); !ok || c.mirror == nil {
		return false
	}
	for name := range e.Attrs {
		if !slices.Contains(sent, name) {
			return false
		}
	}
	return true
}

func (c *carrier) writeRegistry(ctx context.Context, e buildx.CacheEntry) []buildx.CacheEntry {
	ref, _ := inFull(e.Attrs["ref"])
	x, made, err := c.staged(ctx, c.shelf, e)
	if err != nil {
		c.note(fmt.Sprintf("the cache is not sent to %s: %v", ref, err))
		return nil
	}
	if !slices.Contains(x.send, ref) {
		x.send = append(x.send, ref)
	}
	if !made {
		return nil
	}
	e.Type = "local"
	return []buildx.CacheEntry{e.With("ref", "").With("dest", x.view.Dir).With("ignore-error", "true")}
}

func (c *carrier) writeFolder(ctx context.Context, e buildx.CacheEntry) []buildx.CacheEntry {
	x, err := c.folder(ctx, c.shelf, e.Attrs["dest"])
	switch {
	case errors.Is(err, buildcache.ErrNoCache) && isFolder(c.absolute(e.Attrs["dest"])):
		// What is somebody's own folder gets a cache beside what is there, as
		// with buildx, and nothing that would be taken out of it again.
		return []buildx.CacheEntry{e.With("ignore-error", "true").With("src", "")}
	case err != nil:
		c.note(fmt.Sprintf("the cache in %s is not written: %v", e.Attrs["dest"], err))
		return nil
	}
	x.form = formOf(e.With("src", ""))
	return []buildx.CacheEntry{e.With("dest", x.view.Dir).With("src", "").With("ignore-error", "true")}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
