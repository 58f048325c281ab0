package dockerfile_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/outlast-build/outlast/dockerfile"
)

// valid reports whether BuildKit takes src for a Dockerfile.
func valid(src []byte) bool {
	result, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		return false
	}
	stages, _, err := instructions.Parse(result.AST, linter.New(&linter.Config{SkipAll: true}))
	return err == nil && len(stages) > 0
}

// Needs never panics. What BuildKit's parser refuses it refuses, and what it
// refuses itself BuildKit would not build either, but for comments that are
// meant for Outlast. Where BuildKit builds, it asks for the same images.
func FuzzNeeds(f *testing.F) {
	for _, s := range shapes(f) {
		f.Add(s.src, s.o.Target)
	}
	f.Add([]byte("FROM alpine AS a\nFROM a\nRUN --mount=from=0,target=/x true\n"), "a")
	f.Add([]byte("FROM scratch AS scratch\nRUN x\nFROM scratch\nADD --chown=$x $y{ /\n"), "")
	f.Fuzz(func(t *testing.T, src []byte, target string) {
		if len(src) > 1<<14 {
			return
		}
		o := dockerfile.Options{Target: target, BuildPlatform: "linux/amd64", Args: map[string]string{}}
		needs, err := dockerfile.Needs(src, o)
		if _, _, _, ok := parser.DetectSyntax(src); ok {
			return // another language, maybe
		}
		if err == nil && !valid(src) {
			t.Fatalf("got needs %v of what BuildKit does not parse", needs)
		}
		if !valid(src) || !askable(src) || bytes.Contains(src, []byte("outlast:")) {
			return
		}
		want, oracle := asked(src, o, "linux/amd64", "linux/amd64")
		if err != nil && oracle == nil {
			t.Fatalf("got %v of what BuildKit builds", err)
		}
		if got := listed(needs); oracle == nil && !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
