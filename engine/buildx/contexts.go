package buildx

import (
	"maps"
	"slices"
)

// contextFlags are the flags for build contexts, except for the names that the
// user has given a context of their own.
func contextFlags(add, user map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(add)) {
		if _, taken := user[name]; !taken {
			list = append(list, "--build-context="+name+"="+add[name])
		}
	}
	return list
}
