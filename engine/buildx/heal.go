package buildx

import (
	"regexp"

	"github.com/outlast-build/outlast/engine"
)

// poison is what a daemon says that has kept spoiled bytes of an earlier
// download, and goes on to say whatever the registries hold now.
var poison = regexp.MustCompile(`failed commit on ref "[^"]+": .*unexpected commit (digest|size)|unexpected commit digest sha256:[0-9a-f]{64}, expected sha256:`)

// poisoned reports whether the build failed by spoiled bytes.
func poisoned(r engine.Result) bool {
	if r.Failure != nil && poison.MatchString(r.Failure.Message) {
		return true
	}
	for _, s := range r.Steps {
		if s.Error != "" && poison.MatchString(s.Error) {
			return true
		}
	}
	return false
}
