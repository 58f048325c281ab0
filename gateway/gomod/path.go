package gomod

import (
	"fmt"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// maxPath bounds a path of the protocol. The go command takes import paths of
// any length; file systems do not.
const maxPath = 1024

// A kind is one of the files that a proxy has of a module.
type kind struct {
	name  string
	media string
	small bool
	check func(request, []byte) error // of what moves
}

var (
	listKind   = &kind{name: "list", media: "text/plain; charset=UTF-8", small: true, check: checkList}
	latestKind = &kind{name: "latest", media: "application/json", small: true, check: checkInfo}
	infoKind   = &kind{name: "info", media: "application/json", small: true, check: checkInfo}
	modKind    = &kind{name: "mod", media: "text/plain; charset=UTF-8", small: true}
	zipKind    = &kind{name: "zip", media: "application/zip"}
)

// kinds are the files that a proxy has of one version.
var kinds = map[string]*kind{"info": infoKind, "mod": modKind, "zip": zipKind}

// A request is what a path of the protocol asks for.
type request struct {
	path    string // as it came, with escapes for capitals: github.com/!azure/x/@v/v1.0.0.zip
	module  string // github.com/Azure/x
	version string // v1.0.0, or a branch or the like; empty for list and latest
	kind    *kind
}

// moves reports whether the answer may be another one tomorrow: all but the
// files of a version that is written out.
func (q request) moves() bool { return !canonical(q.version) }

// canonical reports whether v is a version that names one state of a module for
// all time.
func canonical(v string) bool { return v != "" && module.CanonicalVersion(v) == v }

// parse reads a path of the protocol (go help goproxy).
func parse(path string) (request, error) {
	q := request{path: path}
	escaped, file, ok := strings.Cut(path, "/@")
	if !ok {
		return q, fmt.Errorf("%.200q is no path of the protocol", path)
	}
	var err error
	if q.module, err = module.UnescapePath(escaped); err != nil {
		return q, err
	}
	switch file {
	case "latest":
		q.kind = latestKind
		return q, nil
	case "v/list":
		q.kind = listKind
		return q, nil
	}
	name, ok := strings.CutPrefix(file, "v/")
	dot := strings.LastIndex(name, ".")
	if !ok || dot < 0 || kinds[name[dot+1:]] == nil {
		return q, fmt.Errorf("%.200q is no path of the protocol", path)
	}
	q.kind = kinds[name[dot+1:]]
	if q.version, err = module.UnescapeVersion(name[:dot]); err != nil {
		return q, err
	}
	switch {
	case canonical(q.version):
		err = module.Check(q.module, q.version)
	case q.kind != infoKind:
		err = fmt.Errorf("%s@%s: only a version that is written out has a %s", q.module, q.version, q.kind.name)
	case semver.IsValid(q.version) && semver.Build(q.version) != "":
		err = fmt.Errorf("%s@%s: versions have no build", q.module, q.version)
	}
	return q, err
}
