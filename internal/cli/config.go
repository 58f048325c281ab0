package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/internal/config"
)

const configLong = `Print every setting in force, and where its value came from.

Settings come from, later ones winning over earlier ones:
  1. defaults
  2. outlast.yaml in $XDG_CONFIG_HOME/outlast, or ~/.config/outlast
  3. outlast.yaml beside the Dockerfile, or else in the build context
  4. environment variables: store.size is OUTLAST_STORE_SIZE, and
     OUTLAST_REGISTRIES has the text of the section registries
  5. --set KEY=VALUE
With --config FILE (or OUTLAST_CONFIG), that file stands in place of 2 and 3.

A file beside a Dockerfile may be anybody's: it may not open the gateway, pass on
credentials, or touch what other projects share.`

func (a *app) configCommand() *cobra.Command {
	var format, dockerfile string
	c := &cobra.Command{
		Use:   "config [PATH]",
		Short: "Print the settings in force and where they came from",
		Long:  configLong + "\n\nSettings:\n" + settingsHelp() + "\n\n" + codes(ExitBuilt, ExitUsage),
		Example: `  outlast config                      for a build here
  outlast config -f deploy/Dockerfile .
  outlast config --format yaml > outlast.yaml
  OUTLAST_STORE_SIZE=5GiB outlast config --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json", "yaml"); err != nil {
				return err
			}
			context := "."
			if len(args) > 0 {
				context = args[0]
			}
			loaded, err := a.settings(projects(dockerfile, context))
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return a.printJSON(configJSON(loaded))
			case "yaml":
				_, err := io.WriteString(a.stdout, loaded.YAML())
				return err
			}
			return printConfig(a.stdout, loaded)
		},
	}
	c.Flags().StringVarP(&dockerfile, "file", "f", "", "the `DOCKERFILE` of the build")
	formatFlag(c, &format, "text", "json", "yaml")
	return c
}

// settingsHelp lists the settings: key and default, what is allowed below.
func settingsHelp() string {
	var b strings.Builder
	for _, d := range config.Describe() {
		fmt.Fprintf(&b, "  %s", d.Key)
		if d.Default != "" {
			initial := d.Default
			if len(initial) > 100 {
				initial = strings.ReplaceAll(initial, ", ", ",\n      ")
			}
			fmt.Fprintf(&b, " (%s)", initial)
		}
		fmt.Fprintf(&b, "\n      %s\n", d.Allowed)
	}
	return strings.TrimRight(b.String(), "\n")
}

func printConfig(out io.Writer, l *config.Loaded) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range l.Values {
		lines := v.Lines()
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Key, lines[0], v.Source)
		for _, more := range lines[1:] {
			fmt.Fprintf(w, "\t%s\n", more)
		}
	}
	return w.Flush()
}

type jsonConfig struct {
	Values   []jsonValue `json:"values"`
	Files    []string    `json:"files"`
	Warnings []string    `json:"warnings"`
}

type jsonValue struct {
	Key    string        `json:"key"`
	Value  any           `json:"value"`
	Source config.Source `json:"source"`
}

func configJSON(l *config.Loaded) jsonConfig {
	c := jsonConfig{Values: []jsonValue{}, Files: append([]string{}, l.Files...), Warnings: []string{}}
	for _, v := range l.Values {
		c.Values = append(c.Values, jsonValue{v.Key, v.Value, v.Source})
	}
	for _, w := range l.Warnings {
		c.Warnings = append(c.Warnings, w.Error())
	}
	return c
}
