package buildx

import (
	"maps"
	"slices"

	"github.com/distribution/reference"
)

// contextFlags are the flags for build contexts, except for the references that
// the user has given a context of their own, in whichever form.
func contextFlags(add, user map[string]string) []string {
	taken := make(map[string]bool)
	for name := range user {
		taken[full(name)] = true
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(add)) {
		if !taken[full(name)] {
			list = append(list, "--build-context="+name+"="+add[name])
		}
	}
	return list
}

// full is the whole form of a reference, as BuildKit compares them. A name that
// is none stays what it is.
func full(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.TagNameOnly(ref).String()
}
