package buildx

import (
	"encoding/csv"
	"maps"
	"slices"
	"strings"
)

// A CacheEntry is a cache as a value of --cache-from or --cache-to names it.
type CacheEntry struct {
	Type  string            // registry, local, gha, inline, s3, azblob, …
	Attrs map[string]string // all but the type; names are in small letters
}

// ReadCaches reads a value of --cache-from or --cache-to as buildx does
// (ParseCacheEntry in its buildflags package): a list of attributes, or nothing
// but references of registries. ok is false for what buildx refuses, which is
// then left to buildx.
func ReadCaches(value string) (all []CacheEntry, ok bool) {
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return nil, false
	}
	if !strings.Contains(value, "=") {
		for _, ref := range fields {
			all = append(all, CacheEntry{"registry", map[string]string{"ref": ref}})
		}
		return all, true
	}
	e := CacheEntry{Attrs: make(map[string]string)}
	for _, f := range fields {
		name, v, has := strings.Cut(f, "=")
		if !has {
			return nil, false
		}
		if name = strings.ToLower(name); name == "type" {
			e.Type = v
			continue
		}
		e.Attrs[name] = v
	}
	return []CacheEntry{e}, e.Type != ""
}

// With returns e with an attribute set, or, where the value is empty, without
// it.
func (e CacheEntry) With(name, value string) CacheEntry {
	attrs := maps.Clone(e.Attrs)
	if attrs == nil {
		attrs = make(map[string]string)
	}
	delete(attrs, name)
	if value != "" {
		attrs[name] = value
	}
	return CacheEntry{e.Type, attrs}
}

// String is e as a value of --cache-from and --cache-to.
func (e CacheEntry) String() string {
	fields := []string{"type=" + e.Type}
	for _, name := range slices.Sorted(maps.Keys(e.Attrs)) {
		fields = append(fields, name+"="+e.Attrs[name])
	}
	for i, f := range fields {
		// A comma or a quote anywhere in a field has the field quoted.
		if strings.ContainsAny(f, ",\"\n") {
			fields[i] = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
	}
	return strings.Join(fields, ",")
}
