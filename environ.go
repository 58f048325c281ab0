package outlast

import (
	"os"
	"slices"
	"strings"
)

// lookupIn looks up a variable in an environment, the last of its name, as in
// os/exec; nil means the process's own.
func lookupIn(env []string, name string) (string, bool) {
	if env == nil {
		return os.LookupEnv(name)
	}
	for _, e := range slices.Backward(env) {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}
