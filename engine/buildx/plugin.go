package buildx

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"
)

// systemPlugins are the folders for everybody in which the docker client looks
// for its plugins, in its order.
var systemPlugins = []string{
	"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
	"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
}

// systemPrograms are where a client stands that looks there. One from elsewhere
// may look elsewhere.
var systemPrograms = []string{"/usr/bin", "/usr/local/bin", "/bin"}

// plugin returns the buildx that the CLI runs where the CLI is the docker
// client: the first that stands where the client looks.
func (c CLI) plugin(env []string) (CLI, bool) {
	if !slices.Equal(c.Args, []string{"buildx"}) {
		return CLI{}, false
	}
	config := dockerConfig(env)
	var settings struct {
		Extra []string `json:"cliPluginsExtraDirs"`
	}
	if data, err := readBounded(filepath.Join(config, "config.json"), 1<<20); err == nil && json.Unmarshal(data, &settings) != nil {
		return CLI{}, false
	}
	dirs := append(settings.Extra, filepath.Join(config, "cli-plugins"))
	if slices.Contains(systemPrograms, filepath.Dir(c.Path)) {
		dirs = append(dirs, systemPlugins...)
	}
	for _, dir := range dirs {
		if path, err := executable(dir, "docker-buildx"); err == nil {
			return CLI{Path: path}, true
		}
	}
	return CLI{}, false
}

// question is ask without the detour over the docker client, which starts a
// plugin twice for each command, first to hear what it is: half of the time that
// a question takes. It is for what changes nothing. Where the plugin alone
// fails, the client has the last word, unless the time is up. It returns who
// answered: what follows may be said to the same one.
func (c CLI) question(ctx context.Context, env []string, limit time.Duration, args ...string) (string, CLI, error) {
	if p, ok := c.plugin(env); ok {
		began := time.Now()
		out, err := p.ask(ctx, env, limit, args...)
		if err == nil || ctx.Err() != nil || time.Since(began) >= limit {
			return out, p, err
		}
	}
	out, err := c.ask(ctx, env, limit, args...)
	return out, c, err
}
