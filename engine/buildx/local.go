package buildx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Local returns those of refs that the Docker Engine behind the builder holds
// for each of the platforms (none: its own), and that a build on it therefore
// takes from there: an image that was built on this machine may be nowhere
// else. The references are normalised (docker.io/library/golang:1.26). What is
// returned belongs into a Request's Keep, unless the user said --pull. A
// builder that is no Docker Engine's own holds no images by name.
func (b Builder) Local(ctx context.Context, env, refs, want []string) ([]string, error) {
	if b.Driver != "docker" || len(refs) == 0 {
		return nil, nil
	}
	// The client shows what there is, and fails for what is not.
	out, err := b.docker(ctx, env, append([]string{"image", "inspect", "--format", "{{json .}}", "--"}, refs...)...)
	var exit exitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("ask the engine for its images: %w", err)
	}
	held := make(map[string]bool)
	for line := range strings.Lines(out) {
		var i heldImage
		if json.Unmarshal([]byte(line), &i) == nil && i.fits(want) {
			for _, name := range append(i.RepoTags, i.RepoDigests...) {
				held[familiar(name)] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return !held[familiar(ref)] }), nil
}

// A heldImage is an image as the docker client shows it. Of one for many
// platforms it shows what the engine would run.
type heldImage struct {
	Os, Architecture, Variant string
	RepoTags, RepoDigests     []string
}

func (i heldImage) fits(want []string) bool {
	have := platforms.Normalize(ocispecs.Platform{OS: i.Os, Architecture: i.Architecture, Variant: i.Variant})
	return !slices.ContainsFunc(want, func(p string) bool {
		spec, err := platforms.Parse(p)
		return err != nil || !platforms.OnlyStrict(spec).Match(have)
	})
}

// familiar is a reference as the docker client shows it: without what stands
// for the default, and without a tag beside a digest.
func familiar(ref string) string {
	ref = strings.TrimPrefix(ref, "docker.io/")
	ref = strings.TrimPrefix(ref, "library/")
	name, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return ref
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name + "@" + digest
}

// Layouts reports whether builds on this builder can take images from OCI
// layouts: a Docker Engine can where it keeps its images in containerd's store.
func (b Builder) Layouts(ctx context.Context, env []string) bool {
	if b.Driver != "docker" {
		return true
	}
	out, err := b.docker(ctx, env, "info", "--format", "{{json .DriverStatus}}")
	return err == nil && strings.Contains(out, "io.containerd.snapshotter")
}

// docker asks the docker client about the engine behind the builder.
func (b Builder) docker(ctx context.Context, env []string, args ...string) (string, error) {
	cli := CLI{Path: b.CLI.Path}
	if len(b.CLI.Args) == 0 {
		path, err := Program(env, "docker")
		if err != nil {
			return "", err
		}
		cli.Path = path
	}
	if len(b.Nodes) > 0 && b.Nodes[0].Endpoint != "" {
		cli.Args = []string{"--context", b.Nodes[0].Endpoint}
	}
	return cli.ask(ctx, env, probeLimit, args...)
}
