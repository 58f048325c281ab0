package images

import (
	"archive/tar"
	"context"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var nonrootHome = tar.Header{Typeflag: tar.TypeDir, Name: "home/nonroot", Mode: 0o700, Uid: 65532, Gid: 65532}

func toolsKey(m *Maker, names ...string) (string, error) {
	var paths []string
	for _, name := range names {
		path, err := m.Tool(name)
		if err != nil {
			return "", err
		}
		paths = append(paths, path)
	}
	return fileKey(paths...)
}

// copyTool adds a program under another path.
func (w *layerWriter) copyTool(m *Maker, name, to string) {
	path, err := m.Tool(name)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.copy(to, 0o755, path)
}

func frontendKey(m *Maker) (string, error) { return toolsKey(m, "dockerfile-frontend") }

// makeFrontend makes what "# syntax=docker/dockerfile:1" names, with the
// labels that BuildKit's own build gives it.
func makeFrontend(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	w := newLayer(dir)
	w.copyTool(m, "dockerfile-frontend", "bin/dockerfile-frontend")
	layer, err := w.layer()
	if err != nil {
		return nil, err
	}
	img, err := finish(scratch(), "linux/amd64", v1.Config{
		Entrypoint: []string{"/bin/dockerfile-frontend"},
		Env:        []string{"PATH=" + debianPath},
		WorkingDir: "/",
		Labels: map[string]string{
			"moby.buildkit.frontend.network.none": "true",
			"moby.buildkit.frontend.caps": "moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests," +
				"moby.buildkit.frontend.contexts,moby.buildkit.frontend.gitquerystring,moby.buildkit.frontend.contexts.zstd",
		},
	}, layer)
	return []v1.Image{img}, err
}

func buildkitKey(m *Maker) (string, error) {
	return toolsKey(m, "busybox", "buildkitd", "buildctl", "runc")
}

// makeBuildkit makes what buildx's docker-container driver runs.
func makeBuildkit(ctx context.Context, m *Maker, dir string) ([]v1.Image, error) {
	w := newLayer(dir)
	w.system()
	w.busybox(m)
	w.dir("etc/buildkit", 0o755)
	w.copy("etc/ssl/certs/ca-certificates.crt", 0o644, certificates)
	w.copyTool(m, "buildkitd", "usr/bin/buildkitd")
	w.copyTool(m, "buildctl", "usr/bin/buildctl")
	w.copyTool(m, "runc", "usr/bin/buildkit-runc")
	layer, err := w.layer()
	if err != nil {
		return nil, err
	}
	img, err := finish(scratch(), "linux/amd64", v1.Config{
		Entrypoint: []string{"/usr/bin/buildkitd"},
		Env:        []string{"PATH=" + debianPath},
		Volumes:    map[string]struct{}{"/var/lib/buildkit": {}},
	}, layer)
	return []v1.Image{img}, err
}
