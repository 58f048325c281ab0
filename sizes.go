package outlast

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/record"
)

// Bounds of what is read of an image that was built: descriptions, no layers.
const (
	maxDescription  = 1 << 20 // bytes of one
	maxDescriptions = 256
)

// platformsOf tells what an image that was built has for each platform, as far
// as that can be read on this machine: from the OCI layout that the build
// wrote, else from the arguments. An image in a registry or in a builder is
// not asked for.
func platformsOf(r engine.Result, args buildx.Args, dir string, getenv func(string) (string, bool)) []record.Platform {
	for _, o := range args.Outputs() {
		if o["type"] != "oci" || o["dest"] == "" || o["dest"] == "-" {
			continue
		}
		path := o["dest"]
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if found := describe(layoutAt(path), "index.json", 0); len(found) > 0 {
			return found
		}
	}
	if all := args.Platforms(getenv); len(all) == 1 {
		return []record.Platform{{Name: all[0], Digest: r.Image().String()}}
	}
	return nil
}

// layoutAt reads the descriptions of an OCI layout, a folder or a tar file, by
// name. What cannot be read is not there.
func layoutAt(path string) map[string][]byte {
	files := make(map[string][]byte)
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		_ = fs.WalkDir(os.DirFS(path), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || len(files) >= maxDescriptions {
				return fs.SkipAll
			}
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() && info.Size() <= maxDescription {
				files[name], _ = os.ReadFile(filepath.Join(path, name))
			}
			return nil
		})
		return files
	}
	for t := tar.NewReader(f); len(files) < maxDescriptions; {
		h, err := t.Next()
		if err != nil {
			break
		}
		if h.Typeflag == tar.TypeReg && h.Size <= maxDescription {
			files[h.Name], _ = io.ReadAll(t)
		}
	}
	return files
}

// describe follows an index to the images of each platform.
func describe(files map[string][]byte, name string, depth int) []record.Platform {
	index, err := v1.ParseIndexManifest(bytes.NewReader(files[name]))
	if err != nil || depth > 2 {
		return nil
	}
	var all []record.Platform
	for _, d := range index.Manifests {
		blob := "blobs/" + d.Digest.Algorithm + "/" + d.Digest.Hex
		if d.MediaType.IsIndex() {
			all = append(all, describe(files, blob, depth+1)...)
			continue
		}
		if d.Annotations["vnd.docker.reference.type"] != "" {
			continue // an attestation
		}
		m, err := v1.ParseManifest(bytes.NewReader(files[blob]))
		if err != nil {
			continue
		}
		p := record.Platform{Digest: d.Digest.String(), Size: m.Config.Size}
		for _, l := range m.Layers {
			p.Size += l.Size
		}
		p.Name = platformOf(d, files["blobs/"+m.Config.Digest.Algorithm+"/"+m.Config.Digest.Hex])
		all = append(all, p)
	}
	return all
}

// platformOf names the platform of an image: by its descriptor, else by its
// configuration.
func platformOf(d v1.Descriptor, config []byte) string {
	if d.Platform != nil {
		return d.Platform.String()
	}
	c, err := v1.ParseConfigFile(bytes.NewReader(config))
	if err != nil {
		return "unknown"
	}
	return strings.TrimSuffix(c.OS+"/"+c.Architecture+"/"+c.Variant, "/")
}
