package config_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outlast-build/outlast/internal/config"
)

var update = flag.Bool("update", false, "write golden files")

const docsHead = `# Settings

<!-- Made by go test ./internal/config -update: change the table there, not this page. -->

Outlast needs no settings. Where you want others than the defaults, write them
into ` + "`outlast.yaml`" + `:

` + "```yaml\n" + sample + "```" + `

## Where they come from

Later ones win over earlier ones:

1. the defaults
2. ` + "`outlast.yaml`" + ` in your configuration folder: ` + "`$XDG_CONFIG_HOME/outlast`, or `~/.config/outlast`" + `
3. ` + "`outlast.yaml`" + ` beside the Dockerfile, or else at the root of the build context
4. environment variables: ` + "`store.size` is `OUTLAST_STORE_SIZE`" + `, and ` + "`OUTLAST_REGISTRIES`" + ` holds the text of the section ` + "`registries`" + `; an empty variable is as good as none. Build scripts' own names work too, such as ` + "`BUILD_TIMEOUT_OPTIMAL` and `CACHE_STRATEGY`" + ` (` + "`gha-full`, `local-with-fallback`, `local-only`, `no-cache`" + `: optimal to emergency)
5. flags: ` + "`--set store.size=5GiB`, `--set 'registries.quay.io.mirrors=[https://mirror.example.com]'`" + `

` + "`--config FILE` (or `OUTLAST_CONFIG`)" + ` reads that file in place of 2 and 3.

` + "`outlast config`" + ` prints what is in force and where each value came from;
` + "`outlast config --format yaml`" + ` prints it as a settings file.

Registries merge field by field: a file that sets the mirrors of docker.io leaves its
origin as it was. A list stands in place of the one before. A value may not be
left empty, keys that are unknown or stand twice are errors, and so are anchors and
aliases. A file holds at most 64 KiB.

## What a project's file may decide

A file beside a Dockerfile comes with a repository, which may be anybody's. It may
say where images come from and how long to wait, as its Dockerfile could do as
much. It may not decide what reaches beyond its own build; that is passed over with a
warning, and the build goes on:

| setting | in a project's file |
| --- | --- |
| ` + "`store.path`" + ` | a folder inside the project, or the default one |
| ` + "`store.size`" + ` | only of a store inside the project |
| ` + "`registries.*.tokens`" + ` | not taken |
| ` + "`registries.*.insecure`" + `, and of mirrors | taken, but no credentials are ever sent there |
| ` + "`gateway.listen`" + ` | an address of this machine |
| ` + "`gateway.public`" + ` | not taken |
| ` + "`cache.local`" + ` | a folder inside the project |
| ` + "`cache.registry`" + ` | builds read it; they write it only where ` + "`cache.write`" + ` says so |
| ` + "`cache.write`" + ` | not taken |
| ` + "`history.*`" + ` | not taken |
| ` + "`actions.size`" + ` | only of a store inside the project |
| ` + "`actions.listen`" + ` | an address of this machine |
| ` + "`actions.public`" + ` | not taken |

A file that is a link out of its folder is not read. To use all of a project's file,
name it: ` + "`--config outlast.yaml`" + `. Why: [decisions/settings.md](decisions/settings.md).

## All settings

`

const docsMirrors = `
## How a mirror's address is used

The path of a mirror's address stands before the repository's name, and ` + "`only`" + ` is
left out of it:

| mirror of docker.io | ` + "`docker.io/library/golang`" + ` is asked for as | ` + "`docker.io/grafana/grafana`" + ` |
| --- | --- | --- |
| ` + "`https://mirror.gcr.io`" + ` | ` + "`mirror.gcr.io/library/golang`" + ` | ` + "`mirror.gcr.io/grafana/grafana`" + ` |
| ` + "`https://r.example.com/hub`" + ` | ` + "`r.example.com/hub/library/golang`" + ` | ` + "`r.example.com/hub/grafana/grafana`" + ` |
| ` + "`{url: https://public.ecr.aws/docker/library, only: library/}`" + ` | ` + "`public.ecr.aws/docker/library/golang`" + ` | not asked for there |

A mirror learns the names of what it is asked for, also of private images. Where that
matters, leave its registry without mirrors: ` + "`registries: {r.example.com: {mirrors: []}}`" + `.

## The default registries

`

func TestSettingsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(docsHead)
	for _, d := range config.Describe() {
		fmt.Fprintf(&b, "### `%s`\n\n%s\n\n", d.Key, d.Doc)
		if d.Default != "" {
			fmt.Fprintf(&b, "Default: `%s`. ", d.Default)
		}
		fmt.Fprintf(&b, "Allowed: %s. Variable: `%s`", strings.TrimRight(d.Allowed, "."), d.Variable)
		if d.Custom != "" {
			fmt.Fprintf(&b, ", or `%s`", d.Custom)
		}
		b.WriteString(".\n\n")
	}
	b.WriteString(docsMirrors[1:])
	b.WriteString("```yaml\n")
	_, registries, _ := strings.Cut(newHome(t).mustLoad().YAML(), "registries:\n")
	b.WriteString("registries:\n" + strings.ReplaceAll(registries, " # default", "") + "```\n")
	golden(t, "../../docs/settings.md", b.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the table makes (write it with -update):\n%s", path, diff)
	}
}
