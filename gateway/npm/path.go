package npm

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A request is what a path asks for.
type request struct {
	kind kind
	name string // of the package: left-pad, @types/node
	rest string // of a release: a version or a tag; of an archive: its version
}

// A kind is what can be asked of a registry.
type kind int

const (
	wholeDocument kind = iota // everything about a package
	oneRelease                // one version of it
	distTags                  // its tags
	archive                   // a tarball
)

// maxPath bounds a path. Names have up to 214 characters, versions up to 256.
const maxPath = 1024

// The forms of names and versions. Old names have capitals and more signs than
// new ones may have; none of them can leave its place in a path.
var (
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9_~!'()*-][A-Za-z0-9._~!'()*-]{0,213}$`)
	scopeForm   = regexp.MustCompile(`^@[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,212}$`)
	versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]{0,255}$`)
)

// parse reads the path of a registry, which is as it stood in the request line:
// a scope's slash may be escaped or not.
func parse(escaped string) (request, error) {
	bad := fmt.Errorf("%.200q is no path of a registry", escaped)
	if len(escaped) > maxPath {
		return request{}, bad
	}
	var parts []string
	for one := range strings.SplitSeq(escaped, "/") {
		plain, err := url.PathUnescape(one)
		if err != nil {
			return request{}, bad
		}
		if scope, name, ok := strings.Cut(plain, "/"); ok && len(parts) == 0 && strings.HasPrefix(plain, "@") {
			parts = append(parts, scope, name)
			continue
		}
		parts = append(parts, plain)
	}
	var r request
	switch {
	case len(parts) == 4 && parts[0] == "-" && parts[1] == "package" && parts[3] == "dist-tags":
		r, parts = request{kind: distTags}, parts[2:3]
	case len(parts) == 5 && parts[0] == "-" && parts[1] == "package" && parts[4] == "dist-tags":
		r, parts = request{kind: distTags}, parts[2:4]
	}
	if scope, name, ok := strings.Cut(parts[0], "/"); ok && scope != "" && scope[0] == '@' { // -/package/@scope%2fname/dist-tags
		parts = append([]string{scope, name}, parts[1:]...)
	}
	base := parts[0]
	r.name, parts = parts[0], parts[1:]
	if strings.HasPrefix(base, "@") {
		if len(parts) == 0 || !scopeForm.MatchString(base) {
			return request{}, bad
		}
		base, r.name, parts = parts[0], base+"/"+parts[0], parts[1:]
	}
	if !nameForm.MatchString(base) || len(r.name) > 214 || base == "-" && len(parts) > 0 {
		return request{}, bad
	}
	return r, r.read(base, parts, bad)
}

// read reads what follows the name, whose part without the scope is base.
func (r *request) read(base string, parts []string, bad error) error {
	switch {
	case len(parts) == 0:
		return nil
	case r.kind == distTags:
		return bad
	case len(parts) == 1 && versionForm.MatchString(parts[0]):
		r.kind, r.rest = oneRelease, parts[0]
		return nil
	case len(parts) >= 2 && parts[0] == "-":
		// Some registries repeat the scope in the name of the file.
		file := strings.Join(parts[1:], "/")
		file = strings.TrimPrefix(file, strings.TrimSuffix(r.name, base))
		version, ok := strings.CutPrefix(file, base+"-")
		version, isArchive := strings.CutSuffix(version, ".tgz")
		if !ok || !isArchive || !versionForm.MatchString(version) {
			return bad
		}
		r.kind, r.rest = archive, version
		return nil
	}
	return bad
}

// scope returns the scope of a name, with its @, or "".
func scope(name string) string {
	s, _, ok := strings.Cut(name, "/")
	if !ok {
		return ""
	}
	return s
}

// escape writes a name as clients do: the slash of a scope is escaped.
func escape(name string) string { return strings.ReplaceAll(name, "/", "%2f") }

// archivePath returns the path of an archive, as registries name it.
func archivePath(name, version string) string {
	base := name[strings.Index(name, "/")+1:]
	return name + "/-/" + base + "-" + version + ".tgz"
}
