package outlast

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
)

// ReadNeeds completes o with what a build of path needs: a folder with a
// Dockerfile, or a Dockerfile. It is no error that there is nothing to need.
func (o SurveyOptions) ReadNeeds(path string) (SurveyOptions, error) {
	b := build{Options: Options{Env: o.Env}}
	args := []string{path}
	info, err := os.Stat(path)
	switch {
	case remote(path):
		return o, &fault.Error{Kind: fault.Config, Err: fmt.Errorf("%s: only a folder or a Dockerfile on this machine can be read", path)}
	case errors.Is(err, fs.ErrNotExist):
		return o, &fault.Error{Kind: fault.MissingFile, Err: fmt.Errorf("%s: no such file or folder", path)}
	case err == nil && !info.IsDir():
		args = []string{"--file", path, filepath.Dir(path)}
	}
	rec, err := readRecipe(buildx.ReadArgs(args), "", strings.NewReader(""), b.getenv)
	if err != nil {
		return o, err
	}
	o.Needs, o.Known = rec.needs, true
	return o, nil
}
