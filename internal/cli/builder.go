package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/engine/buildx"
)

const builderLong = `Make a builder of buildx whose daemon pulls through the gateway, for who cannot
or will not call outlast build: every client of that builder, docker compose and
bake too, then goes round failing registries as far as the gateway does.

It needs a gateway that runs all the time: see outlast gateway. Where that does
not answer, the daemon asks the registries themselves, and nothing is gone round.
outlast build needs none of this: it starts a gateway for each build.`

const defaultBuilder = "outlast"

// builderName is what buildx takes for a name.
var builderName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9._-]*$`)

func (a *app) builderCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "builder",
		Short: "Make a builder that pulls through the gateway for good",
		Long:  builderLong + "\n\n" + codes(ExitBuilt, ExitUsage, ExitNoEngine),
		Example: `  outlast builder create --use
  outlast builder config > buildkitd.toml
  outlast builder rm`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.builderCreate(), a.builderConfig(), a.builderRemove())
	return c
}

func (a *app) builderCreate() *cobra.Command {
	var m buildx.Mirrored
	c := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Create the builder, in a container of the Docker Engine",
		Long: `Create a builder of buildx with the driver docker-container, named NAME or
outlast, whose registry mirrors are the gateway. Its container shares the host's
network where the gateway is on loopback.

` + codes(ExitBuilt, ExitUsage, ExitNoEngine, ExitInterrupted),
		Example: `  outlast gateway &
  outlast builder create --use --bootstrap
  outlast builder create team --gateway gateway.example.com:5100`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := builderArg(args)
			if err != nil {
				return err
			}
			if err := a.mirrored(&m); err != nil {
				return err
			}
			m.Name, m.Env = name, a.env
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			if err := a.parts.BuilderCreate(ctx, m); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, m.Name)
			a.gatewayMissing(ctx, m.Gateway)
			return nil
		},
	}
	gatewayFlag(c, &m)
	c.Flags().BoolVar(&m.Use, "use", false, "make it the current builder of buildx")
	c.Flags().BoolVar(&m.Bootstrap, "bootstrap", false, "start it at once, rather than with its first build")
	c.Flags().StringArrayVar(&m.Options, "driver-opt", nil, "an option of the driver: `NAME=VALUE`, as in image=moby/buildkit:rootless (may be repeated)")
	return c
}

func (a *app) builderConfig() *cobra.Command {
	var m buildx.Mirrored
	c := &cobra.Command{
		Use:   "config",
		Short: "Print buildkitd.toml, for a BuildKit that you run yourself",
		Long: `Print the part of buildkitd.toml that makes the gateway the mirror of every
registry of the settings, for a BuildKit that you run yourself.

` + codes(ExitBuilt, ExitUsage),
		Example: "  outlast builder config --gateway 10.0.0.5:5100 >> /etc/buildkit/buildkitd.toml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.mirrored(&m); err != nil {
				return err
			}
			_, err := fmt.Fprint(a.stdout, m.Config())
			return err
		},
	}
	gatewayFlag(c, &m)
	return c
}

func (a *app) builderRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm [NAME]",
		Short:   "Remove the builder, with what it has cached",
		Long:    "Remove a builder of buildx, with what it has cached.\n\n" + codes(ExitBuilt, ExitUsage, ExitNoEngine, ExitInterrupted),
		Example: "  outlast builder rm",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := builderArg(args)
			if err != nil {
				return err
			}
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			if err := a.parts.BuilderRemove(ctx, a.env, name); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, name)
			return nil
		},
	}
}

func gatewayFlag(c *cobra.Command, m *buildx.Mirrored) {
	c.Flags().StringVar(&m.Gateway, "gateway", "", "the gateway as the builder reaches it, `HOST:PORT` (default gateway.listen, 127.0.0.1:5100)")
}

func builderArg(args []string) (string, error) {
	if len(args) == 0 {
		return defaultBuilder, nil
	}
	if !builderName.MatchString(args[0]) {
		return "", &usageError{fmt.Errorf("%q is no name for a builder", args[0]), "begin with a letter; letters, digits, dots, dashes and underscores may follow"}
	}
	return args[0], nil
}

// mirrored fills in what the settings say.
func (a *app) mirrored(m *buildx.Mirrored) error {
	loaded, err := a.settings([]string{"."})
	if err != nil {
		return err
	}
	if m.Gateway == "" {
		m.Gateway = loaded.Settings.Gateway.Listen
	}
	host, port, err := net.SplitHostPort(m.Gateway)
	switch {
	case err != nil || port == "":
		return &usageError{fmt.Errorf("--gateway %s: want HOST:PORT", m.Gateway), "as in 127.0.0.1:5100"}
	case host == "" || host == "0.0.0.0" || host == "::":
		return &usageError{fmt.Errorf("%s is where a gateway listens, and no address to reach it at", m.Gateway), "name one with --gateway HOST:PORT"}
	case port == "0":
		return &usageError{errors.New("a gateway with a changing port is no mirror for good"), "let it listen on a port of its own, and name it with --gateway HOST:PORT"}
	}
	m.Registries = slices.Sorted(maps.Keys(loaded.Settings.Registries))
	return nil
}

// gatewayMissing warns where no gateway answers yet. One on another machine may
// be out of reach from here alone, so it is a warning.
func (a *app) gatewayMissing(ctx context.Context, address string) {
	if a.parts.GatewayHealth(ctx, address) != nil {
		a.say.warning(fmt.Sprintf("no gateway answers at %s: until one does, the builder asks registries directly", address))
		a.say.hint("outlast gateway --listen " + address)
	}
}
