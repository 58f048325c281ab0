package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// A Module is asked of a Go module proxy, the address of which is the
// Source's.
type Module struct {
	Upstream
	Path    string // golang.org/x/text
	Version string // v0.3.8; empty asks for the list of versions
}

// Ask gets what the proxy has of the module and reads it as the go command
// would.
func (m Module) Ask(ctx context.Context) (string, error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return "", &fault.Error{Kind: fault.Config, Err: err}
	}
	below, check, name := "/@v/list", isList, m.Path
	if m.Version != "" {
		version, err := module.EscapeVersion(m.Version)
		if err != nil {
			return "", &fault.Error{Kind: fault.Config, Err: err}
		}
		below, check, name = "/@v/"+version+".info", isInfo, m.Path+"@"+m.Version
	}
	m.Source.URL = strings.TrimRight(m.Source.URL, "/") + "/" + path + below
	if _, err := m.get(ctx, fetch.Ask{Name: name, Check: check}); err != nil {
		return "", err
	}
	return name, nil
}

func isList(a fetch.Answer) error {
	for line := range bytes.Lines(a.Body) {
		if v, _, _ := strings.Cut(strings.TrimSpace(string(line)), " "); v != "" && !semver.IsValid(v) {
			return &fault.Error{Kind: fault.Rejected, Err: fmt.Errorf("%.40q is no version", v)}
		}
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("the list of versions is empty")}
	}
	return nil
}

func isInfo(a fetch.Answer) error {
	var info struct{ Version string }
	if err := json.Unmarshal(a.Body, &info); err != nil || !semver.IsValid(info.Version) {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("the body tells of no version")}
	}
	return nil
}
