package cli

import (
	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/internal/config"
)

// targetFlags are the flags of a build that say what it needs, for commands
// that look at a build and do not make it.
type targetFlags struct {
	file, target                 string
	platforms, arguments, others []string
}

func (f *targetFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "file", "f", "", "the Dockerfile (default PATH/Dockerfile)")
	c.Flags().StringVar(&f.target, "target", "", "the stage to build")
	c.Flags().StringArrayVar(&f.platforms, "platform", nil, "the `PLATFORM`s to build for, as in linux/amd64,linux/arm64")
	c.Flags().StringArrayVar(&f.arguments, "build-arg", nil, "a build argument: `NAME=VALUE` (may be repeated)")
	c.Flags().StringArrayVar(&f.others, "build-context", nil, "a named context: `NAME=VALUE` (may be repeated)")
	c.ValidArgsFunction = folders
}

// args returns the arguments of the build that is meant.
func (f *targetFlags) args(path string) []string {
	var args []string
	for _, flag := range []struct {
		name   string
		values []string
	}{
		{"--file", []string{f.file}}, {"--target", []string{f.target}},
		{"--platform", f.platforms}, {"--build-arg", f.arguments}, {"--build-context", f.others},
	} {
		for _, v := range flag.values {
			if v != "" {
				args = append(args, flag.name+"="+v)
			}
		}
	}
	return append(args, path)
}

// of returns the build that a command is about: that of its one argument, or
// of the folder that it runs in.
func (f *targetFlags) of(a *app, args []string) (outlast.Target, error) {
	path := "."
	if len(args) > 0 {
		path = args[0]
	}
	loaded, err := a.settings(projects(f.file, path))
	if err != nil {
		return outlast.Target{}, err
	}
	return a.target(f.args(path), loaded.Settings), nil
}

func (a *app) target(args []string, s config.Settings) outlast.Target {
	return outlast.Target{Args: args, Env: a.env, Stdin: a.stdin, Settings: s, Note: a.say.warning}
}
