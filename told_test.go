package outlast_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/enginetest"
	"github.com/outlast-build/outlast/record"
)

func TestAFailureIsRecordedWithItsPlaceAndLastLines(t *testing.T) {
	s := newStage(t)
	script := fails("[2/2] RUN true", strings.Repeat("more\n", 50)+"the token is ghp_"+strings.Repeat("Pl4nted9", 4)+"abcd\n"+strings.Repeat("x", 9000)+"\n", exit1)
	script.Result.Failure.Source = &engine.Source{File: "Dockerfile", Line: 2, Excerpt: " 1 | FROM a\n 2 | >>> RUN true"}
	run, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{script}})
	if err == nil || len(run.Attempts) != 1 {
		t.Fatalf("got %v and %d attempts", err, len(run.Attempts))
	}
	a := run.Attempts[0]
	want := &record.Place{File: filepath.Join(s.dir, "Dockerfile"), Line: 2, Excerpt: script.Result.Failure.Source.Excerpt}
	if diff := cmp.Diff(want, a.Place); diff != "" {
		t.Errorf("place (-want +got):\n%s", diff)
	}
	if len(a.Log) != record.MaxLog || a.Log[0] != "more" || a.Log[18] != "the token is ***" || len(a.Log[19]) > record.MaxLine+4 {
		t.Errorf("got %q", a.Log)
	}
	if len(a.Ran) != 1 || a.Ran[0].Name != "[2/2] RUN true" || a.Ran[0].Error != exit1 || a.Ran[0].Started.IsZero() {
		t.Errorf("got steps %+v", a.Ran)
	}
}

func TestSizesByPlatformOfAnOCILayout(t *testing.T) {
	s := newStage(t)
	dest := filepath.Join(s.dir, "out")
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"}}})
	of, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	want := []record.Platform{{Name: "linux/arm64", Digest: of.String(), Size: m.Config.Size + m.Layers[0].Size + m.Layers[1].Size}}
	for _, form := range []string{"tar=false", "tar=true"} {
		script := enginetest.Script{
			Run: func(context.Context, engine.Request) error {
				folder := filepath.Join(s.dir, "folder")
				if _, err := layout.Write(folder, index); err != nil {
					return err
				}
				if form == "tar=false" {
					return os.Rename(folder, dest)
				}
				f, err := os.Create(dest)
				if err != nil {
					return err
				}
				defer f.Close()
				w := tar.NewWriter(f)
				return errors.Join(w.AddFS(os.DirFS(folder)), w.Close())
			},
			Result: engine.Result{Metadata: map[string]json.RawMessage{"containerimage.digest": json.RawMessage(`"` + of.String() + `"`)}},
		}
		run, err := s.build(&enginetest.Engine{Scripts: []enginetest.Script{script}}, "-o", "type=oci,dest=out,"+form)
		if err != nil || len(run.Images) != 1 {
			t.Fatalf("%s: got %v and images %+v", form, err, run.Images)
		}
		if diff := cmp.Diff(want, run.Images[0].Platforms); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
		if err := os.RemoveAll(dest); err != nil {
			t.Fatal(err)
		}
	}
}
