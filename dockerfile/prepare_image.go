package dockerfile

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// imageVerdict judges a RUN whose manager reads a file of its base image: that
// file must be known, and must still be the image's. What apk keeps of an index
// has its address in its name, so that it may keep none.
func (o PrepareOptions) imageVerdict(s *stage, c command, cmd *instructions.RunCommand, text string) verdict {
	image, ok := baseOf(s)
	switch {
	case !ok || !o.Lists[image]:
		return verdict{why: "which repositories the base image has is not known"}
	case covered(s, c):
		return verdict{why: "a file that was copied before may say which repositories there are"}
	case !keepsNoIndex(cmd, text):
		return verdict{why: "the index that it keeps has its repository's address in its name (--no-cache keeps none)"}
	}
	return verdict{image: image}
}

// covered reports whether something was copied over the folder of settings.
func covered(s *stage, c command) bool {
	for stage := s; stage != nil; stage = stage.base {
		for _, before := range stage.commands {
			if stage == s && before.line >= c.line {
				break
			}
			var dest string
			switch cmd := before.Command.(type) {
			case *instructions.CopyCommand:
				dest = cmd.DestPath
			case *instructions.AddCommand:
				dest = cmd.DestPath
			default:
				continue
			}
			if d := path.Clean(dest); d == "/" || d == "/etc" {
				return true
			}
		}
	}
	return false
}

var removesCache = regexp.MustCompile(`\brm\b[^&|;]*/var/cache/apk`)

// keepsNoIndex reports whether no call of apk in a RUN leaves an index behind.
func keepsNoIndex(cmd *instructions.RunCommand, text string) bool {
	if removesCache.MatchString(text) {
		return true
	}
	return !slices.ContainsFunc(runCalls(cmd), func(c call) bool {
		return strings.HasPrefix(c.name(), "apk") && !slices.Contains(c, "--no-cache") && !slices.Contains(c, "--no-network")
	})
}
