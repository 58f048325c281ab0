package dockerfile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/dockerfile"
)

func TestImages(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  string
		o    dockerfile.Options
		want []string
	}{
		{"one stage", "FROM alpine\n", dockerfile.Options{}, []string{"docker.io/library/alpine:latest linux/amd64"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.BuildPlatform = "linux/amd64"
			needs, err := dockerfile.Needs([]byte(tt.src), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, listed(needs)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
