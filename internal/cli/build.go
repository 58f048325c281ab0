package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/record"
	"github.com/outlast-build/outlast/redact"
	"github.com/outlast-build/outlast/report"
)

const buildLong = `Build an image as docker buildx build does: same flags, same display, same
outputs. What the build needs from registries comes through a gateway on this
machine, which goes round those that hang, fail or serve spoiled bytes, and keeps
what it got for later. Neither the Dockerfile nor a daemon's settings change.

Every flag of docker buildx build works and is handed on: see
docker buildx build --help. These are Outlast's own:`

const buildExample = `  outlast build -t app:dev .
  outlast build --platform linux/amd64,linux/arm64 -t registry.example.com/app --push .
  outlast build --builder mybuilder --target test --progress plain .
  outlast build --set fetch.header=2s --config ci/outlast.yaml -f deploy/Dockerfile .`

// buildUsage leaves out cobra's lists of flags: ours stand in the text above,
// and buildx's are buildx's.
const buildUsage = `Usage:
  {{.UseLine}}

Examples:
{{.Example}}
`

func (a *app) buildCommand() *cobra.Command {
	c := &cobra.Command{
		Use:                "build [OPTIONS] PATH | URL | -",
		Short:              "Build an image, as docker buildx build does",
		Long:               buildLong + "\n\n" + ownFlagsHelp(ownFlags) + "\n\n" + buildCodes(),
		Example:            buildExample,
		DisableFlagParsing: true,

		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, args []string) error { return a.build(cmd, args) },
		ValidArgsFunction:     completeOwn(ownFlags),
	}
	c.SetUsageTemplate(buildUsage)
	return c
}

func ownFlagsHelp(flags []ownFlag) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, f := range flags {
		fmt.Fprintf(w, "  --%s\t%s\n", strings.TrimSpace(f.name+" "+f.value), f.doc)
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}

// completeOwn completes the flags; buildx's are buildx's.
func completeOwn(flags []ownFlag) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		if !strings.HasPrefix(begun, "-") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		var all []string
		for _, f := range flags {
			all = append(all, "--"+f.name+"\t"+f.doc)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) build(cmd *cobra.Command, arguments []string) error {
	p, err := pick(arguments, ownFlags, buildHint)
	if err != nil {
		return err
	}
	args := buildx.ReadArgs(p.others)
	if args.Bool("help") {
		return cmd.Help()
	}
	a.file, a.set = p.last("config"), p.own["set"]
	context, _ := args.Context()
	if len(args.Positional()) == 0 {
		return &usageError{errors.New("build takes exactly one PATH, URL or -"), "for the folder that you are in: outlast build ."}
	}
	loaded, err := a.settings(projects(args.File(), context), p.settings()...)
	if err != nil {
		return err
	}
	bundle, err := a.bundle(p.last("bundle"), p.others, loaded)
	if err != nil {
		return err
	}
	reports, err := reportFiles(p.own["report"])
	if err != nil {
		return err
	}
	ctx, kill, stop := interrupts(cmd.Context())
	defer stop()
	d, err := newDisplay(a.stderr, args.Progress(a.lookup), a.say.color, args.Bool("debug"))
	if err != nil {
		return err
	}
	direct, _ := strconv.ParseBool(p.last("no-gateway"))
	offline, _ := strconv.ParseBool(p.last("offline"))
	if as, _ := strconv.ParseBool(p.last("no-prepare")); as {
		loaded.Settings.Packages.Prepare = false
	}
	if direct && offline {
		return &usageError{errors.New("--offline and --no-gateway exclude each other"), "what is not asked for anywhere comes through the gateway, from the local store"}
	}
	run, err := a.parts.Build(ctx, BuildRequest{
		Args: p.others, Env: a.env, Stdin: a.stdin, Stdout: a.stdout, Settings: loaded.Settings,
		Direct: direct, Offline: offline, Debug: a.debugs(), Kill: kill, Chosen: d.builder, Emit: bundle.emit(d.event), Note: d.note,
	})
	d.close()
	run = run.Redacted(redact.ForBuild(p.others, a.env).Text)
	defer a.writeReports(reports, run, loaded.Settings, d.silent())
	defer a.keep(run, loaded.Settings.History)
	defer a.writeBundle(cmd.Context(), bundle, run, d.silent())
	return a.conclude(run, err, d, args)
}

// debugs reports whether DEBUG asks for all reasons to be told.
func (a *app) debugs() bool {
	on, err := strconv.ParseBool(a.getenv("DEBUG"))
	return err == nil && on
}

func (a *app) lookup(name string) (string, bool) {
	v := a.getenv(name)
	return v, v != ""
}

// projects are the folders that may hold the project's settings: that of the
// Dockerfile, then the context. What is not on this disk holds none.
func projects(dockerfile, context string) []string {
	var dirs []string
	if local(dockerfile) {
		dirs = append(dirs, filepath.Dir(dockerfile))
	}
	if local(context) {
		dirs = append(dirs, context)
	}
	return dirs
}

// local reports whether a Dockerfile or a context is a path, by BuildKit's own
// forms of what is not: an address, a git remote, standard input.
func local(path string) bool {
	return path != "" && path != "-" && !strings.Contains(path, "://") &&
		!strings.HasPrefix(path, "git@") && !strings.HasPrefix(path, "github.com/")
}

// conclude tells how the build ended, after the engine's own last words.
func (a *app) conclude(run record.Run, err error, d *display, args buildx.Args) error {
	if err == nil {
		switch {
		case eventful(run) && !d.silent() && args.Call() == "":
			a.summary(run)
		case d.quiet():
			for _, line := range report.StandIns(run) {
				a.say.warning(line) // another base image than was asked for is never silent
			}
		}
		return nil
	}
	told := &toldError{run.Outcome, err}
	if run.Outcome == "" {
		return err
	}
	var over *outlast.LimitError
	var sources interface{ Sources() []string }
	var cause interface{ Cause() string }
	switch {
	case errors.As(err, &sources):
		a.say.err(err.Error())
		for _, line := range sources.Sources() {
			a.say.plain("  " + line)
		}
	case run.Outcome == record.Interrupted:
		return told
	case errors.As(err, &over):
		// The engine only says that it was cancelled.
		a.say.err(over.Error())
	case !d.toldError():
		for _, line := range messages(err) {
			a.say.err(line)
		}
	}
	if over == nil && errors.As(err, &cause) && cause.Cause() != "" {
		a.say.err(cause.Cause())
	}
	for _, hint := range hints(err) {
		a.say.hint(hint)
	}
	if eventful(run) && !d.silent() {
		a.summary(run)
	}
	return told
}

func (a *app) summary(run record.Run) {
	for _, line := range report.Summary(run) {
		a.say.plain(line)
	}
}

// eventful reports whether there is more to tell of a run than the engine's
// own display does.
func eventful(r record.Run) bool {
	return len(r.Detours()) > 0 || len(r.Substitutes) > 0 || len(r.Stale) > 0 || len(r.Attempts) > 1
}
