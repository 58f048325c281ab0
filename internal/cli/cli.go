// Package cli is the command line: it reads flags, loads the settings, shows
// what happens and turns what came of it into an exit code. All speaking to
// people is here. It decides nothing about a build and opens no connections.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/internal/config"
)

// Main runs the command line args (without the program's name) and returns
// the exit code. It reads and writes only what it is handed, but for files
// that arguments and settings name. The environment env, as of os.Environ, is
// also what a build gets. The first interrupt of the process ends the command,
// the second kills what does not stop.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	return Run(ctx, program(), args, stdin, stdout, stderr, env)
}

// Run is Main with other parts to set going.
func Run(ctx context.Context, parts Parts, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	a := &app{parts: parts, stdin: stdin, stdout: stdout, stderr: stderr, env: env}
	a.say = speaker{w: stderr, color: colored(stderr, a.getenv)}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	// What cobra refuses before a command of ours runs is a slip in its use.
	var usage *usageError
	if err != nil && !a.started && !errors.As(err, &usage) {
		err = &usageError{err: err, hint: "see outlast --help"}
	}
	return a.end(ctx, err)
}

// app is one run of the command line.
type app struct {
	parts   Parts
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	env     []string
	say     speaker
	started bool

	file  string   // --config
	set   []string // --set
	quiet bool     // --quiet
}

func (a *app) getenv(name string) string {
	for i := len(a.env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(a.env[i], "="); ok && k == name {
			return v
		}
	}
	return ""
}

const rootLong = `Outlast builds container images through outages. It stands where
docker buildx build stood, takes all of its flags, and goes round registries and
mirrors that hang, fail or serve spoiled bytes.`

const rootExample = `  outlast build -t app:dev .          build, whatever is down
  outlast diagnose build.log          say why a build failed
  outlast check                       measure the services that builds depend on
  outlast config                      show the settings and where they came from
  outlast gateway                     serve registries' content to other clients
  outlast serve                       the same, with a dashboard and metrics`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "outlast",
		Short:             "Build container images through outages",
		Long:              rootLong,
		Example:           rootExample,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           readVersion().Version,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		PersistentPreRun:  func(*cobra.Command, []string) { a.started = true },
		Args:              noSuchCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("outlast {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, hint: "see " + cmd.CommandPath() + " --help"}
	})
	root.PersistentFlags().StringVar(&a.file, "config", "", "read settings from `FILE` alone, not from the user's and the project's")
	root.PersistentFlags().StringArrayVar(&a.set, "set", nil, "override a setting: `KEY=VALUE`, as in store.size=5GiB (may be repeated)")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "say no more than the result, and errors")
	root.AddCommand(
		a.actcacheCommand(),
		a.adviseCommand(),
		a.buildCommand(),
		a.builderCommand(),
		a.cacheCommand(),
		a.checkCommand(),
		a.configCommand(),
		a.diagnoseCommand(),
		a.engineCommand(),
		a.gatewayCommand(),
		a.hardenCommand(),
		a.historyCommand(),
		a.lockCommand(),
		a.mirrorsCommand(),
		a.planCommand(),
		a.serveCommand(),
		a.statsCommand(),
		a.versionCommand(),
		a.warmCommand(),
	)
	return root
}

// noSuchCommand refuses the arguments of a command that only has others below
// it, and names those that were probably meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + cmd.CommandPath() + " " + strings.Join(near, " or ") + "?"
	}
	return &usageError{err: fmt.Errorf("unknown command %q", args[0]), hint: hint}
}

// settings loads the settings for a project in one of the folders dirs, and
// says what was passed over.
func (a *app) settings(dirs []string, more ...config.Flag) (*config.Loaded, error) {
	flags, err := assignments(a.set)
	if err != nil {
		return nil, err
	}
	loaded, err := config.Load(config.Options{
		Projects: dirs, File: a.file, Env: a.env, Others: otherVariables, Flags: append(flags, more...),
	})
	if err != nil {
		return nil, err
	}
	for _, w := range loaded.Warnings {
		a.say.warning(w.Error())
	}
	return loaded, nil
}

// otherVariables begin with OUTLAST_ and are no settings.
var otherVariables = []string{tokenVariable}

// assignments reads the values of --set.
func assignments(set []string) ([]config.Flag, error) {
	var flags []config.Flag
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, &usageError{
				err:  fmt.Errorf("--set %s: want KEY=VALUE", s),
				hint: "keys are " + strings.Join(config.Keys(), ", ") + ", and registries.HOST.FIELD",
			}
		}
		flags = append(flags, config.Flag{Name: "--set", Key: strings.TrimSpace(key), Value: value})
	}
	return flags, nil
}

// end says what went wrong, if anything did, and returns the exit code.
func (a *app) end(ctx context.Context, err error) int {
	if err == nil {
		return ExitBuilt
	}
	code := exitCode(ctx, err)
	var told *toldError
	if errors.As(err, &told) {
		return code
	}
	for _, line := range messages(err) {
		a.say.err(line)
	}
	for _, hint := range hints(err) {
		a.say.hint(hint)
	}
	return code
}
