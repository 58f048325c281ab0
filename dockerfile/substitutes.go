package dockerfile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// A comment for Outlast, and the one thing it can say so far. Docker ignores
// both:
//
//	# outlast: or debian:13-slim, alpine:3.22
//	FROM gcr.io/distroless/static:nonroot
var (
	comment = regexp.MustCompile(`^\s*#\s*outlast:\s*(.*?)\s*$`)
	or      = regexp.MustCompile(`^or(?:\s+(.*))?$`)
)

// ErrComment is in the chain of the errors about comments for Outlast: Docker
// would build such a Dockerfile.
var ErrComment = errors.New("a comment for Outlast")

// A slip is a mistake in a comment for Outlast.
type slip struct{ error }

func (slip) Is(target error) bool { return target == ErrComment }

func (s slip) Unwrap() error { return s.error }

// substitutes reads the comments for Outlast: what may stand in for the image
// of the FROM at each line. Comments inside of instructions and here-documents
// are not looked at.
func substitutes(src []byte, f file) (map[int][]string, error) {
	found := make(map[int][]string)
	lines := strings.Split(string(src), "\n")
	free := 1 // the first line that belongs to no instruction yet
	for _, node := range append(f.AST.Children, nil) {
		next := len(lines) + 1
		if node != nil {
			next = node.StartLine
		}
		for l := free; l < min(next, len(lines)+1); l++ {
			m := comment.FindStringSubmatch(lines[l-1])
			if m == nil {
				continue
			}
			if node == nil || !strings.EqualFold(node.Value, "from") || !commentsOnly(lines[l:next-1]) {
				return nil, &Error{l, slip{errors.New(`"# outlast:" must stand directly above a FROM`)}}
			}
			if len(found[next]) > 0 {
				return nil, &Error{l, slip{errors.New(`one "# outlast: or …" is enough for a FROM`)}}
			}
			refs, err := substituteList(m[1])
			if err != nil {
				return nil, &Error{l, slip{err}}
			}
			found[next] = refs
		}
		if node != nil {
			free = max(free, lastLineOf(node)+1)
		}
	}
	return found, nil
}

func lastLineOf(n *parser.Node) int { return max(n.StartLine, n.EndLine, lastLine(n.Location())) }

// substituteList reads "or a, b, c".
func substituteList(text string) ([]string, error) {
	m := or.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf(`"# outlast: %s" is not known: write "# outlast: or IMAGE, IMAGE"`, text)
	}
	var refs []string
	for name := range strings.SplitSeq(m[1], ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			return nil, errors.New(`"# outlast: or" lacks an image: write "# outlast: or IMAGE, IMAGE"`)
		}
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, fmt.Errorf("substitute %q: %w", name, err)
		}
		refs = append(refs, reference.TagNameOnly(named).String())
	}
	return refs, nil
}

func commentsOnly(lines []string) bool {
	for _, l := range lines {
		if !strings.HasPrefix(strings.TrimSpace(l), "#") {
			return false
		}
	}
	return true
}
