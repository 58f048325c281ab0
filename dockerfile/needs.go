// Package dockerfile reads Dockerfiles: what a build needs from outside, each
// need with the line that asks for it. It uses BuildKit's own grammar, and
// follows BuildKit in what a target reaches and in what variables stand for.
// It reads no file and asks no network: what only the base image knows (its
// environment, its ONBUILD triggers) stays unknown here.
package dockerfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A NeedKind says by which road a need is met.
type NeedKind string

// The kinds of need. Their texts stand in reports and in JSON.
const (
	Image     NeedKind = "image"      // FROM
	CopyFrom  NeedKind = "copy-from"  // COPY --from=image
	MountFrom NeedKind = "mount-from" // RUN --mount=from=image
	Frontend  NeedKind = "frontend"   // # syntax=image
	AddURL    NeedKind = "add-url"    // ADD http(s)://…
	Git       NeedKind = "git"        // ADD of a git repository, git clone in a RUN
	Packages  NeedKind = "packages"   // a package manager in a RUN
	RunURL    NeedKind = "run-url"    // curl or wget in a RUN
)

// A Need is one thing that a build needs from outside.
type Need struct {
	Kind NeedKind

	// As is the need as the Dockerfile writes it, with variables put in. For
	// images it is the name under which --build-context can replace it.
	As string

	// Ref is As in full: "docker.io/library/alpine:3.22" for images, a URL
	// for AddURL, Git and RunURL, the name of the manager for Packages: apt,
	// apk, go, npm, yarn, pnpm, pip, … (see Managers).
	Ref string

	// Host is the registry or the host of the URL; empty for Packages and
	// where a variable stands in its place.
	Host string

	// Platform of an image, "linux/arm64"; empty for all other kinds.
	Platform string

	// Point is the branch, tag or commit of an ADD of a git repository; empty
	// for its default branch.
	Point string

	// Checksum is that of an ADD, with variables put in; empty where it has none.
	Checksum string

	// Line is where the need stands, from 1; 0 where it comes from a build
	// argument and not from the file.
	Line int

	// Stage is the name of the stage, or its number from 0 where it has none;
	// empty for Frontend.
	Stage string

	// Substitutes are the images that may stand in for this one, in full and
	// in order, from a comment "# outlast: or …" above its FROM.
	Substitutes []string

	// Unset names the variables in As that have no value in the Dockerfile.
	// The base image may set them.
	Unset []string
}

// Registry reports whether the need is met by an image registry.
func (n Need) Registry() bool {
	switch n.Kind {
	case Image, CopyFrom, MountFrom, Frontend:
		return true
	}
	return false
}

// Options say which build of the Dockerfile is meant. The zero value is a
// plain build of the last stage.
type Options struct {
	Target string            // a stage's name; empty means the last stage
	Args   map[string]string // --build-arg

	// Platforms are those of --platform. Empty means BuildPlatform.
	Platforms []string

	// BuildPlatform is the builder's own. Empty means Linux on this
	// processor.
	BuildPlatform string

	// Contexts are the names given with --build-context, without what they
	// stand for. What they replace is no need.
	Contexts []string
}

// An Error is a mistake in a Dockerfile, with its line.
type Error struct {
	Line int // from 1; 0 where the mistake has no place
	Err  error
}

// Error puts the line before the mistake.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

// Unwrap returns the mistake.
func (e *Error) Unwrap() error { return e.Err }

// Needs lists what a build of src needs from outside, in the order of the
// lines. Only what the target reaches counts, by BuildKit's own rules; the
// same image for two platforms is two needs. Errors are *Error.
//
// A file for another frontend than Docker's ("# syntax=…") may be in any
// language: where it is no Dockerfile, the frontend is its only need.
func Needs(src []byte, o Options) ([]Need, error) {
	build, targets, err := o.platforms()
	if err != nil {
		return nil, &Error{Err: err}
	}
	contexts := contextNames(o.Contexts)

	var needs []Need
	foreign := false
	if n, ok, err := frontend(src, o.Args); err != nil {
		return nil, err
	} else if ok {
		foreign = !dockers(n)
		if !contexts.has(n.Ref, build) {
			n.Platform = platforms.FormatAll(build)
			needs = append(needs, n)
		}
	}

	seen := make(map[string]bool)
	for _, target := range targets {
		found, err := needsFor(src, o, build, target, contexts)
		if err != nil && foreign {
			return needs, nil
		}
		if err != nil {
			return nil, err
		}
		for _, n := range found {
			key := fmt.Sprintf("%s %q %s %s %s %d %s", n.Kind, n.As, n.Ref, n.Point+" "+n.Checksum, n.Platform, n.Line, n.Stage)
			if !seen[key] {
				seen[key] = true
				needs = append(needs, n)
			}
		}
	}
	slices.SortStableFunc(needs, func(a, b Need) int { return cmp.Compare(a.Line, b.Line) })
	return needs, nil
}

// needsFor lists the needs of a build for one platform.
func needsFor(src []byte, o Options, build, target ocispecs.Platform, contexts contexts) ([]Need, error) {
	file, err := parse(src)
	if err != nil {
		return nil, err
	}
	stand, err := substitutes(src, file)
	if err != nil {
		return nil, err
	}
	g, err := newGraph(file, o, build, target, contexts)
	if err != nil {
		return nil, err
	}
	return g.needs(strings.Split(string(src), "\n"), stand)
}

// file is a parsed Dockerfile.
type file struct {
	*parser.Result
	stages []instructions.Stage
	args   []instructions.ArgCommand // before the first FROM
}

func parse(src []byte) (file, error) {
	result, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		return file{}, located(err, 0)
	}
	// Without a linter, a "# check=" comment above an instruction is a nil
	// dereference in BuildKit.
	stages, args, err := instructions.Parse(result.AST, linter.New(&linter.Config{SkipAll: true}))
	if err != nil {
		return file{}, located(err, 0)
	}
	if len(stages) == 0 {
		return file{}, &Error{Err: errors.New("no FROM: there is no stage to build")}
	}
	return file{result, stages, args}, nil
}

// located gives err the line that BuildKit attached to it, or line.
func located(err error, line int) error {
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	var at *parser.LocationError
	if errors.As(err, &at) {
		for _, ranges := range at.Locations {
			if l := firstLine(ranges); l > 0 {
				line = l
			}
		}
	}
	return &Error{Line: line, Err: err}
}

func firstLine(ranges []parser.Range) int {
	line := 0
	for _, r := range ranges {
		if line == 0 || r.Start.Line < line {
			line = r.Start.Line
		}
	}
	return line
}

func lastLine(ranges []parser.Range) int {
	line := 0
	for _, r := range ranges {
		line = max(line, r.End.Line, r.Start.Line)
	}
	return line
}

// frontend returns the image that reads src, where src or the build arguments
// name one.
func frontend(src []byte, args map[string]string) (Need, bool, error) {
	n := Need{Kind: Frontend}
	if v, ok := args["BUILDKIT_SYNTAX"]; ok {
		n.As, _, _ = strings.Cut(strings.TrimSpace(v), " ")
	} else if ref, _, where, ok := parser.DetectSyntax(src); ok {
		n.As, n.Line = ref, max(1, firstLine(where))
	} else {
		return Need{}, false, nil
	}
	named, err := reference.ParseNormalizedNamed(n.As)
	if err != nil {
		return Need{}, false, &Error{n.Line, fmt.Errorf("syntax %q: %w", n.As, err)}
	}
	n.Ref, n.Host = reference.TagNameOnly(named).String(), reference.Domain(named)
	return n, true, nil
}

// dockers reports whether a frontend reads the language of Dockerfiles: it is
// Docker's, or a copy of it under another host.
func dockers(n Need) bool {
	named, err := reference.ParseNormalizedNamed(n.Ref)
	if err != nil {
		return false
	}
	name := reference.Path(named)
	return strings.HasPrefix(name[strings.LastIndex(name, "/")+1:], "dockerfile")
}

// platforms returns the builder's platform and those to build for.
func (o Options) platforms() (build ocispecs.Platform, targets []ocispecs.Platform, err error) {
	build = ocispecs.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if o.BuildPlatform != "" {
		if build, err = platforms.Parse(o.BuildPlatform); err != nil {
			return build, nil, fmt.Errorf("platform %q: %w", o.BuildPlatform, err)
		}
	}
	build = platforms.Normalize(build)
	for _, name := range o.Platforms {
		p, err := platforms.Parse(name)
		if err != nil {
			return build, nil, fmt.Errorf("platform %q: %w", name, err)
		}
		targets = append(targets, platforms.Normalize(p))
	}
	if len(targets) == 0 {
		targets = []ocispecs.Platform{build}
	}
	return build, targets, nil
}

// contexts are the names of --build-context in BuildKit's form.
type contexts map[string]bool

func contextNames(names []string) contexts {
	c := make(contexts)
	for _, name := range names {
		name, platform, _ := strings.Cut(name, "::")
		key := contextKey(name)
		if platform != "" {
			key += "::" + platform
		}
		c[key] = true
	}
	return c
}

// has reports whether a context replaces the image or stage called name.
func (c contexts) has(name string, p ocispecs.Platform) bool {
	if len(c) == 0 || strings.EqualFold(name, "scratch") || strings.EqualFold(name, "context") {
		return false
	}
	key := contextKey(name)
	return c[key] || c[key+"::"+platforms.FormatAll(platforms.Normalize(p))]
}

// contextKey is how BuildKit and buildx write the name of a context: short,
// and without ":latest". A name that is no reference is left as it is.
func contextKey(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return strings.TrimSuffix(reference.FamiliarString(named), ":latest")
}
