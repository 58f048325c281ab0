package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/health"
)

const planLong = `Say what outlast build would do with the same arguments, and build nothing: what
the build needs from outside, each with its line and whether the service is well;
the strategy and why; caches, and who is asked for what; the command that would
run. The services are measured as by outlast check.

It takes every flag of outlast build.`

// planFlags are the own flags of outlast plan.
var planFlags = append(slices.Clone(ownFlags), ownFlag{"format", "FORMAT", "how to print: text, json"})

func (a *app) planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "plan [OPTIONS] PATH | URL | -",
		Short: "Say what a build would do, and why",
		Long:  planLong + "\n\n" + ownFlagsHelp(planFlags) + "\n\n" + codes(ExitBuilt, ExitFailed, ExitUsage, ExitInterrupted),
		Example: `  outlast plan .
  outlast plan -f deploy/Dockerfile --target test --format json .
  outlast plan --strategy emergency .`,
		DisableFlagParsing:    true,
		DisableFlagsInUseLine: true,
		RunE:                  a.plan,
		ValidArgsFunction:     completeOwn(planFlags),
	}
	c.SetUsageTemplate(buildUsage)
	return c
}

func (a *app) plan(cmd *cobra.Command, arguments []string) error {
	p, err := pick(arguments, planFlags, "see outlast plan --help")
	if err != nil {
		return err
	}
	args := buildx.ReadArgs(p.others)
	if args.Bool("help") {
		return cmd.Help()
	}
	format := p.last("format")
	if format == "" {
		format = "text"
	}
	if err := formatAllowed(format, "text", "json"); err != nil {
		return err
	}
	if len(args.Positional()) == 0 {
		return &usageError{errors.New("plan takes exactly one PATH, URL or -"), "for the folder that you are in: outlast plan ."}
	}
	a.file, a.set = p.last("config"), p.own["set"]
	context, _ := args.Context()
	loaded, err := a.settings(projects(args.File(), context), p.settings()...)
	if err != nil {
		return err
	}
	ctx, _, stop := interrupts(cmd.Context())
	defer stop()
	direct, _ := strconv.ParseBool(p.last("no-gateway"))
	got, err := a.parts.Plan(ctx, BuildRequest{Args: p.others, Env: a.env, Stdin: a.stdin, Settings: loaded.Settings, Direct: direct, Note: a.say.warning})
	if err != nil {
		return err
	}
	if format == "json" {
		return a.printJSON(planJSON(got))
	}
	return a.printPlan(got)
}

type jsonPlan struct {
	Dockerfile string              `json:"dockerfile"`
	Needs      []jsonNeed          `json:"needs"`
	Percent    int                 `json:"percent"`
	Strategy   string              `json:"strategy"`
	Why        []string            `json:"why"`
	Timeout    string              `json:"timeout"`
	Road       string              `json:"road"`
	Caches     []string            `json:"caches"`
	Routes     map[string][]string `json:"routes"`
	Builder    string              `json:"builder"`
	Command    []string            `json:"command"`
}

type jsonNeed struct {
	Kind        string   `json:"kind"`
	As          string   `json:"as"`
	Ref         string   `json:"ref"`
	Host        string   `json:"host"`
	Platform    string   `json:"platform"`
	Stage       string   `json:"stage"`
	Line        int      `json:"line"`
	Health      string   `json:"health"` // ok, down, unknown
	Substitutes []string `json:"substitutes"`
}

func planJSON(p outlast.Preview) jsonPlan {
	j := jsonPlan{Dockerfile: p.Dockerfile, Needs: []jsonNeed{}, Percent: p.Card.Deciding(), Strategy: string(p.Plan.Strategy), Why: p.Plan.Why,
		Timeout: p.Plan.Timeout.String(), Road: string(p.Plan.Road), Caches: []string{}, Routes: p.Plan.Routes, Builder: p.Builder, Command: p.Command}
	for _, n := range p.Needs {
		j.Needs = append(j.Needs, jsonNeed{string(n.Kind), n.As, n.Ref, n.Host, n.Platform, n.Stage, n.Line, healthOf(p.Card, n), append([]string{}, n.Substitutes...)})
	}
	for _, c := range p.Plan.Caches {
		j.Caches = append(j.Caches, string(c))
	}
	return j
}

// healthOf says how the service of a need is, as far as the card tells: one
// that has several checks is well where one of them passed.
func healthOf(card health.Scorecard, n dockerfile.Need) string {
	of := n.Host
	if n.Kind == dockerfile.Packages {
		of = n.Ref
	}
	state := "unknown"
	for _, c := range card.Categories {
		if slices.Contains([]string{health.Mirrors, health.Names, health.Internet}, c.Name) {
			continue
		}
		for _, k := range c.Checks {
			switch {
			case of == "" || k.For != of && k.Name != of && k.Host != of:
			case k.OK:
				return "ok"
			default:
				state = "down"
			}
		}
	}
	return state
}

func (a *app) printPlan(p outlast.Preview) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Dockerfile\t%s\n", or(p.Dockerfile, "not at hand: what the build needs is not known"))
	fmt.Fprintf(w, "Strategy\t%s, at %d%%\n", p.Plan.Strategy, p.Card.Deciding())
	fmt.Fprintf(w, "Builder\t%s\n", or(p.Builder, "none"))
	fmt.Fprintf(w, "Caches\t%s\n", or(joined(p.Plan.Caches), "none but the builder's own"))
	fmt.Fprintf(w, "Timeout\t%s\n", short(p.Plan.Timeout))
	if len(p.Needs) > 0 {
		fmt.Fprintf(w, "\nNeeds\n")
	}
	for _, n := range p.Needs {
		fmt.Fprintf(w, "  line %d\t%s\t%s\t%s\t%s\n", n.Line, n.Kind, clean(or(n.Ref, n.As)), n.Platform, healthOf(p.Card, n))
		for _, s := range n.Substitutes {
			fmt.Fprintf(w, "  \tor\t%s\t\t\n", clean(s))
		}
	}
	if len(p.Plan.Routes) > 0 {
		fmt.Fprintf(w, "\nRoutes\n")
	}
	for _, host := range slices.Sorted(maps.Keys(p.Plan.Routes)) {
		fmt.Fprintf(w, "  %s\t%s\n", clean(host), clean(strings.Join(p.Plan.Routes[host], ", ")))
	}
	fmt.Fprintf(w, "\nWhy\n")
	for _, why := range p.Plan.Why {
		fmt.Fprintf(w, "  %s\n", clean(why))
	}
	if len(p.Command) > 0 {
		fmt.Fprintf(w, "\nCommand\n  %s\n", clean(quoted(p.Command)))
	}
	return w.Flush()
}

func short(d time.Duration) string { return strings.TrimSuffix(d.String(), "0s") }

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func joined[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// quoted is a command line that a shell reads as these arguments.
func quoted(args []string) string {
	texts := make([]string, len(args))
	for i, arg := range args {
		texts[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'`$\\|&;<>()*?[]#~!{}") {
			texts[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(texts, " ")
}
