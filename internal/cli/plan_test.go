package cli_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/cli"
	"github.com/outlast-build/outlast/plan"
)

// preview is what a build with gcr.io down would do.
var preview = outlast.Preview{
	Dockerfile: "app/Dockerfile",
	Needs: []dockerfile.Need{
		{Kind: dockerfile.Frontend, As: "docker/dockerfile:1", Ref: "docker.io/docker/dockerfile:1", Host: "docker.io", Platform: "linux/amd64", Line: 1},
		{Kind: dockerfile.Image, As: "gcr.io/d/static", Ref: "gcr.io/d/static:latest", Host: "gcr.io", Platform: "linux/arm64", Line: 4, Stage: "0",
			Substitutes: []string{"docker.io/library/debian:13-slim"}},
		{Kind: dockerfile.Packages, As: "apt-get", Ref: "apt", Line: 5, Stage: "0"},
	},
	Card: health.Scorecard{Known: true, Categories: []health.Category{{Name: health.Registries, Points: 30, Checks: []health.Check{
		{Name: "docker.io", For: "docker.io", OK: true, Needed: true}, {Name: "gcr.io", For: "gcr.io", Needed: true, Kind: fault.HTML}}}}},
	Plan: plan.Plan{Strategy: plan.Conservative, Caches: []plan.Cache{plan.Local}, Timeout: 20 * time.Minute, Road: plan.Gateway,
		Routes: map[string][]string{"docker.io": {"mirror.example.com", "registry-1.docker.io"}, "gcr.io": {"gcr.io"}},
		Why:    []string{"strategy conservative: the services that this build needs are at 50% (gcr.io answers with an HTML page)"}},
	Builder: "default (docker)",
	Command: []string{"/usr/bin/docker", "buildx", "build", "-t", "it's", "."},
}

func TestPlan(t *testing.T) {
	var got cli.BuildRequest
	parts := cli.Parts{Plan: func(_ context.Context, r cli.BuildRequest) (outlast.Preview, error) {
		got = r
		return preview, nil
	}}
	for _, format := range []string{"text", "json"} {
		r := run(t, parts, "plan", "--target", "x", "--format", format, "--strategy=emergency", "-f", "app/Dockerfile", ".")
		if r.code != 0 || r.stderr != "" {
			t.Fatalf("got %d and %q", r.code, r.stderr)
		}
		golden(t, filepath.Join("testdata", "plan."+format), r.stdout)
		if want := []string{"--target", "x", "-f", "app/Dockerfile", "."}; !slices.Equal(got.Args, want) || got.Settings.Build.Strategy != "emergency" {
			t.Errorf("got %q, strategy %s", got.Args, got.Settings.Build.Strategy)
		}
	}
}

func TestPlanThatCannotBeMade(t *testing.T) {
	broken := cli.Parts{Plan: func(context.Context, cli.BuildRequest) (outlast.Preview, error) {
		return outlast.Preview{}, &fault.Error{Kind: fault.Config, Err: errors.New(`Dockerfile:3: "# outlast: or" lacks an image`)}
	}}
	for _, tt := range []struct {
		name string
		args []string
		code int
	}{
		{"no context", []string{"plan"}, cli.ExitUsage},
		{"a format that there is not", []string{"plan", "--format", "yaml", "."}, cli.ExitUsage},
		{"a strategy that there is not", []string{"plan", "--strategy", "brave", "."}, cli.ExitUsage},
		{"a comment that says nothing", []string{"plan", "."}, cli.ExitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := run(t, broken, tt.args...); r.code != tt.code || r.stdout != "" {
				t.Errorf("got %+v, want code %d", r, tt.code)
			}
		})
	}
}
