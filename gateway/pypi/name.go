package pypi

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A request is what a path asks for.
type request struct {
	name string // of the project, in its normal form
	file string // empty for the project's index
	meta bool   // the metadata beside the file
}

// Forms of names and files. No file can leave its place in a path.
var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,212}[A-Za-z0-9])?$`)
	fileForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+!-]{0,250}$`)
	separator = regexp.MustCompile(`[-_.]+`)
)

// normal is the one form of all ways to write a name (PEP 503).
func normal(name string) string { return strings.ToLower(separator.ReplaceAllString(name, "-")) }

// parse reads an escaped path below Prefix.
func parse(escaped string) (request, error) {
	bad := fmt.Errorf("%.200q is no path of an index", escaped)
	if len(escaped) > 1024 {
		return request{}, bad
	}
	parts := strings.Split(strings.TrimSuffix(escaped, "/"), "/")
	for i := range parts {
		plain, err := url.PathUnescape(parts[i])
		if err != nil {
			return request{}, bad
		}
		parts[i] = plain
	}
	switch {
	case len(parts) == 2 && parts[0] == "simple" && nameForm.MatchString(parts[1]):
		return request{name: normal(parts[1])}, nil
	case len(parts) == 3 && parts[0] == "files" && nameForm.MatchString(parts[1]) && fileForm.MatchString(parts[2]):
		file, meta := strings.CutSuffix(parts[2], ".metadata")
		return request{name: normal(parts[1]), file: file, meta: meta}, nil
	}
	return request{}, bad
}

// filePath returns the path below Prefix of a file.
func filePath(name, file string) string { return "files/" + name + "/" + url.PathEscape(file) }
