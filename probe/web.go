package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// A Web is a service that is known by one of its addresses. The zero Want takes
// anything with a good status that is no page for people.
type Web struct {
	Upstream
	Want Want
}

// A Want says what an answer must be.
type Want int

// What may be wanted.
const (
	Anything    Want = iota // a package mirror's file, some API
	NPMPackage              // what npm reads before it installs a package
	PythonIndex             // what pip reads, in either form
	Page                    // anything with a good status, a page for people as well
)

// wants says how each is asked for and judged. An index of Python packages may
// be HTML, and then it has links.
var wants = map[Want]fetch.Ask{
	NPMPackage: {Header: http.Header{"Accept": {"application/vnd.npm.install-v1+json, application/json"}}, Check: isPackage},
	PythonIndex: {Header: http.Header{"Accept": {"application/vnd.pypi.simple.v1+json, text/html; q=0.1"}}, Check: isIndex,
		HTML: true},
	Page: {HTML: true},
}

// Ask gets it. Of what may be large, the beginning is enough.
func (w Web) Ask(ctx context.Context) (string, error) {
	ask := wants[w.Want]
	ask.Name = w.Source.URL
	got, err := w.get(ctx, ask)
	if (w.Want == Anything || w.Want == Page) && fault.Of(err) == fault.TooLarge {
		return "a large file", nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes", len(got.Body)), nil
}

func isPackage(a fetch.Answer) error {
	var p struct {
		Name     string                     `json:"name"`
		Versions map[string]json.RawMessage `json:"versions"`
	}
	if json.Unmarshal(a.Body, &p) != nil || p.Name == "" || len(p.Versions) == 0 {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("the body is no package of npm")}
	}
	return nil
}

func isIndex(a fetch.Answer) error {
	var index struct {
		Files []json.RawMessage `json:"files"`
	}
	if json.Unmarshal(a.Body, &index) == nil && len(index.Files) > 0 {
		return nil
	}
	if bytes.Contains(bytes.ToLower(a.Body), []byte("<a ")) && bytes.Contains(a.Body, []byte("#sha256=")) {
		return nil
	}
	kind := fault.Rejected
	if fault.IsHTML(a.Header.Get("Content-Type"), a.Body) {
		kind = fault.HTML
	}
	return &fault.Error{Kind: kind, Err: errors.New("the body is no index of a Python package")}
}
