package buildx

import (
	"context"
	"strings"
	"time"
)

// versionLimit bounds the question for one version: whoever waits for it has
// waited for a build already.
const versionLimit = 5 * time.Second

// Versions asks the programs that a build goes through for their versions, by
// name. One that is not there or does not answer has no entry.
func Versions(ctx context.Context, env []string) map[string]string {
	versions := make(map[string]string)
	for _, q := range []struct {
		name, program string
		args          []string
	}{
		{"docker client", "docker", []string{"version", "--format", "{{.Client.Version}}"}},
		{"docker engine", "docker", []string{"version", "--format", "{{.Server.Version}}"}},
		{"buildkitd", "buildkitd", []string{"--version"}},
		{"kernel", "uname", []string{"-srm"}},
	} {
		path, err := Program(env, q.program)
		if err != nil {
			continue
		}
		out, err := CLI{Path: path}.ask(ctx, env, versionLimit, q.args...)
		if line, _, _ := strings.Cut(strings.TrimSpace(out), "\n"); err == nil && line != "" {
			versions[q.name] = line
		}
	}
	if c, err := FindCLI(ctx, env); err == nil {
		if out, err := c.ask(ctx, env, versionLimit, "version"); err == nil {
			versions[c.String()] = strings.TrimSpace(out)
		}
	}
	return versions
}
