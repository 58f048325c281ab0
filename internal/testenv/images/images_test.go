package images_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/outlast-build/outlast/internal/testenv"
	"github.com/outlast-build/outlast/internal/testenv/images"
)

func TestNoiseIsTheSameForTheSameSeed(t *testing.T) {
	make := func(seed int) images.Image {
		t.Helper()
		img, err := images.Noise(t.TempDir(), "docker.io/library/noise:1", seed, 1<<16, 1<<18)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	first, again, other := make(1), make(1), make(2)
	if first.Digest != again.Digest || first.Digest == other.Digest {
		t.Errorf("got %s and %s, and %s for another seed", first.Digest, again.Digest, other.Digest)
	}
	img, err := first.Image("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
}

func TestBaseImagesAreWhole(t *testing.T) {
	for name, img := range testenv.Images(t) {
		if name == "golang" || name == "buildkit" {
			continue // too large to be read each time
		}
		index, err := img.Index()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
