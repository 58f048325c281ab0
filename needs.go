package outlast

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/fault"
)

// maxDockerfile bounds a Dockerfile. BuildKit itself takes no more than 16 MiB.
const maxDockerfile = 16 << 20

// A recipe is what a build is made from, as far as it can be read here.
type recipe struct {
	path  string // for people; empty where the Dockerfile is not at hand
	needs []dockerfile.Need
	text  []byte // what the Dockerfile says; nil where it is not at hand
	stdin []byte // the same where it came by standard input; else nil
}

// readRecipe reads the Dockerfile of a build and lists what it needs. A
// Dockerfile that only the builder can see (in a remote context or an archive)
// leaves the needs unknown, which is no error.
func readRecipe(args buildx.Args, dir string, stdin io.Reader, getenv func(string) (string, bool)) (recipe, error) {
	at, ok := dockerfileOf(args, dir)
	if !ok {
		return recipe{}, nil
	}
	var src []byte
	var err error
	rec := recipe{path: at}
	if at == "-" {
		src, err = readAtMost(stdin, maxDockerfile)
		rec.stdin = src
	} else {
		src, err = readFile(at)
	}
	if err != nil {
		return rec, dockerfileError(at, err)
	}
	if len(bytes.TrimSpace(src)) == 0 {
		return rec, dockerfileError(at, errors.New("the file is empty"))
	}
	rec.text = src
	rec.needs, err = needsIn(src, args, getenv)
	if err != nil {
		return rec, dockerfileError(at, err)
	}
	return rec, nil
}

// resilientName ends the name of the Dockerfile that stands in for another
// while services fail: Dockerfile.resilient.
const resilientName = ".resilient"

// readResilient reads the Dockerfile that the user keeps beside the one at path
// for times of outages. Nil means that there is none.
func readResilient(path string, args buildx.Args, getenv func(string) (string, bool)) (*recipe, error) {
	if path == "" || path == "-" {
		return nil, nil
	}
	path += resilientName
	src, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	rec := recipe{path: path, text: src}
	if err == nil {
		rec.needs, err = needsIn(src, args, getenv)
	}
	if err != nil {
		return nil, dockerfileError(path, err)
	}
	return &rec, nil
}

func needsIn(src []byte, args buildx.Args, getenv func(string) (string, bool)) ([]dockerfile.Need, error) {
	return dockerfile.Needs(src, dockerfile.Options{
		Target: args.Target(), Args: args.BuildArgs(getenv), Platforms: args.Platforms(getenv),
		Contexts: slices.Sorted(maps.Keys(args.Contexts())),
	})
}

func dockerfileError(path string, err error) error {
	kind := fault.Dockerfile
	if errors.Is(err, fs.ErrNotExist) {
		kind = fault.MissingFile
	}
	if errors.Is(err, dockerfile.ErrComment) {
		kind = fault.Config
	}
	var line *dockerfile.Error
	if errors.As(err, &line) && line.Line > 0 {
		return &fault.Error{Kind: kind, Err: fmt.Errorf("%s:%d: %w", path, line.Line, line.Err)}
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &fault.Error{Kind: kind, Err: fmt.Errorf("%s: %w", path, err)}
}

// dockerfileOf says where the Dockerfile is: a path, or "-". It reports false
// where it is not on this machine's disk.
func dockerfileOf(args buildx.Args, dir string) (string, bool) {
	context, ok := args.Context()
	file := args.File()
	switch {
	case !ok || remote(context) || remote(file):
		return "", false
	case file == "-":
		return "-", context != "-"
	case context == "-":
		return "", false
	case file != "":
		return within(dir, file), true
	}
	return filepath.Join(within(dir, context), "Dockerfile"), true
}

func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// remote reports whether a context is an address that the builder fetches
// itself: a URL, a git remote, or another kind of source.
func remote(context string) bool {
	return strings.Contains(context, "://") || strings.HasPrefix(context, "git@") || strings.HasPrefix(context, "github.com/")
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a folder")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAtMost(f, maxDockerfile)
}

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("larger than %d MiB", limit>>20)
	}
	return data, err
}

// registries lists the hosts of the images that are needed, and of those that
// may stand in for them.
func (rec recipe) registries() []string {
	var hosts []string
	add := func(host string) {
		if host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	for _, n := range rec.needs {
		if !n.Registry() {
			continue
		}
		add(n.Host)
		for _, s := range n.Substitutes {
			add(registryOf(s))
		}
	}
	return hosts
}

// images lists the needed images, each with its platforms.
func (rec recipe) images() []image {
	var all []image
	for _, n := range rec.needs {
		if !n.Registry() || n.Host == "" {
			continue
		}
		i := slices.IndexFunc(all, func(im image) bool { return im.as == n.As })
		if i < 0 {
			all = append(all, image{as: n.As, ref: n.Ref})
			i = len(all) - 1
		}
		if n.Platform != "" && !slices.Contains(all[i].platforms, n.Platform) {
			all[i].platforms = append(all[i].platforms, n.Platform)
		}
	}
	return all
}

// An image is a base image as the Dockerfile writes it, and in full.
type image struct {
	as, ref   string
	platforms []string
}
