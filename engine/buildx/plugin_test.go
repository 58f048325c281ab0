package buildx_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/engine/buildx"
)

func TestThePluginIsAskedDirectly(t *testing.T) {
	const home = ".docker/cli-plugins"
	for _, tt := range []struct {
		name    string
		folder  string // of the plugin, below the home folder
		config  string // of the docker client
		inspect string // what the plugin says; empty: it fails
		act     string
		asked   []string
		err     bool
	}{
		{name: "one in the user's folder", folder: home, inspect: dockerDriver, asked: []string{"docker-buildx"}},
		{name: "one in a folder of the client's settings", folder: "more", config: `{"cliPluginsExtraDirs": ["HOME/more"]}`, inspect: dockerDriver,
			asked: []string{"docker-buildx"}},
		{name: "where it fails, the client decides", folder: home, asked: []string{"docker-buildx", "docker"}},
		{name: "where it does not answer, nobody waits twice", folder: home, act: "silent", asked: []string{"docker-buildx"}, err: true},
		{name: "settings that cannot be read are the client's business", folder: home, config: `{"`, inspect: dockerDriver, asked: []string{"docker"}},
		{name: "a relative folder is not searched", folder: "more", config: `{"cliPluginsExtraDirs": ["more"]}`, inspect: dockerDriver, asked: []string{"docker"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "docker")
			t.Chdir(f.Dir)
			plugin(t, f, tt.folder)
			f.on("docker inspect", dockerDriver, "", 0)
			f.on("docker version", "no", "", 0)
			switch {
			case tt.act != "":
				f.act("docker-buildx inspect", tt.act)
			case tt.inspect != "":
				f.on("docker-buildx inspect", tt.inspect, "", 0)
			}
			if tt.config != "" {
				writeConfig(t, f, tt.config)
			}
			b, err := choose(t, f, "--builder", "default", ".")
			if (err != nil) != tt.err {
				t.Fatalf("got %v", err)
			}
			if err == nil && b.CLI.String() != "docker buildx" {
				t.Errorf("got %s for questions, want the client itself", b.CLI)
			}
			if answered := tt.asked[len(tt.asked)-1]; err == nil && filepath.Base(b.Runs.Path) != answered {
				t.Errorf("got %s for the build, want who answered: %s", b.Runs, answered)
			}
			var asked []string
			for _, c := range f.calls(t) {
				if c.Args[len(c.Args)-1] == "default" {
					asked = append(asked, c.Program)
				}
			}
			if d := cmp.Diff(tt.asked, asked); d != "" {
				t.Errorf("who was asked: want -, got +:\n%s", d)
			}
		})
	}
}

func TestABuildRunsOnThePluginThatAnswered(t *testing.T) {
	f := newFake(t, "docker")
	plugin(t, f, ".docker/cli-plugins")
	f.on("docker-buildx inspect", dockerDriver, "", 0)
	f.on("docker-buildx build", "", "", 0)
	b, err := choose(t, f, "--builder", "default", ".")
	if err != nil {
		t.Fatal(err)
	}
	e := &buildx.Engine{Builder: b}
	if _, err := e.Build(t.Context(), engine.Request{Args: []string{"."}, Env: f.env, Dir: f.Dir}, nil); err != nil {
		t.Fatal(err)
	}
	if got := f.built(t); got.Program != "docker-buildx" || got.Args[0] != "build" {
		t.Errorf("got %s %v, want docker-buildx build", got.Program, got.Args)
	}
}

// plugin puts a buildx that plays the part "docker-buildx" into a folder.
func plugin(t *testing.T, f *fake, folder string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(f.Dir, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "docker-buildx")); err != nil {
		t.Fatal(err)
	}
}

// writeConfig writes the docker client's settings, with HOME in them in full.
func writeConfig(t *testing.T, f *fake, text string) {
	t.Helper()
	dir := filepath.Join(f.Dir, ".docker")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "HOME", f.Dir)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
