package outlast

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
)

// Harden returns the text of a Dockerfile that withstands failing services by
// itself, and what of it could not be hardened. The images that outlast.lock
// beside the file has are pinned. The path of a text from elsewhere is "-".
func Harden(path string, src []byte) ([]byte, []dockerfile.Left, error) {
	l, err := readLock(lockPath(path))
	if err != nil {
		return nil, nil, err
	}
	o := dockerfile.HardenOptions{Pins: make(map[string]string)}
	if path != "-" {
		o.Name = filepath.Base(path)
	}
	for ref, locked := range l.Images {
		o.Pins[ref] = locked.Digest.String()
	}
	edits, left, err := dockerfile.Harden(src, o)
	var at *dockerfile.Error
	if errors.As(err, &at) && at.Line > 0 {
		return nil, nil, &fault.Error{Kind: fault.Build, Err: fmt.Errorf("%s:%d: %w", path, at.Line, at.Err)}
	}
	if err != nil {
		return nil, nil, &fault.Error{Kind: fault.Build, Err: fmt.Errorf("%s: %w", path, err)}
	}
	return dockerfile.Apply(src, edits), left, nil
}
