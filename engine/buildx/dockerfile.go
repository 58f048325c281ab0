package buildx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/outlast-build/outlast/engine"
)

// besideLimit bounds a Dockerfile and what lies beside it. BuildKit takes no
// Dockerfile over 16 MiB.
const besideLimit = 16 << 20

// companions are the files that go by a Dockerfile's name: BuildKit looks for
// the first before it looks for an ignore file in the context, and buildx
// enforces the second.
var companions = []string{".dockerignore", ".rego"}

// A stand is a Dockerfile in place of the user's.
type stand struct {
	flags []string
	shown []string // pairs for engine.NamesOf
}

// standIn puts the Dockerfile of the request, and what goes by its name, into a
// folder that holds nothing else: buildx looks round in it.
func standIn(req engine.Request, args Args, dir string) (stand, error) {
	if req.Dockerfile == "" && req.Text == nil {
		return stand{}, nil
	}
	users := usersFile(args, req.Dir)
	from, shown := users.path, users.shown
	if req.Dockerfile != "" {
		from, shown = within(req.Dir, req.Dockerfile), req.Dockerfile
	}
	text, err := req.Text, error(nil)
	if text == nil {
		text, err = readBounded(from, besideLimit)
	}
	if err != nil {
		return stand{}, err
	}
	folder := filepath.Join(dir, "dockerfile")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return stand{}, err
	}
	name := "Dockerfile"
	if from != "" {
		name = filepath.Base(from)
	}
	to := filepath.Join(folder, name)
	if err := os.WriteFile(to, text, 0o600); err != nil {
		return stand{}, err
	}
	for _, suffix := range companions {
		if err := copyFirst(to+suffix, suffix, from, users.path); err != nil {
			return stand{}, err
		}
	}
	s := stand{flags: []string{"--file=" + to}, shown: []string{to, shown}}
	for _, piece := range slices.Sorted(slices.Values(req.Added)) {
		s.shown = append(s.shown, piece, "")
	}
	return s, nil
}

// usersDockerfile is the Dockerfile that the arguments name: its path, empty
// where it comes by standard input, and what buildx calls it.
type usersDockerfile struct{ path, shown string }

func usersFile(args Args, dir string) usersDockerfile {
	file := args.File()
	switch file {
	case "-":
		return usersDockerfile{shown: "stdin"}
	case "":
		context, _ := args.Context()
		file = filepath.Join(context, "Dockerfile")
		// buildx takes the name in small letters where it is the only one.
		if small := filepath.Join(context, "dockerfile"); !exists(within(dir, file)) && exists(within(dir, small)) {
			return usersDockerfile{within(dir, small), file}
		}
	}
	return usersDockerfile{within(dir, file), file}
}

// copyFirst copies the first of the files that there is, each with the suffix.
func copyFirst(to, suffix string, from ...string) error {
	for _, path := range from {
		if path == "" {
			continue
		}
		data, err := readBounded(path+suffix, besideLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	}
	return nil
}
