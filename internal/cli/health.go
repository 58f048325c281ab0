package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/internal/config"
)

func (a *app) gatewayHealth() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the gateway on this machine whether it answers",
		Long: `Ask the gateway that runs on this machine whether it answers, for the health
checks of containers and services. It says nothing about registries.

` + codes(ExitBuilt, ExitUsage, ExitNoSource),
		Example: `  outlast gateway health
  HEALTHCHECK CMD ["/outlast", "gateway", "health"]`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var flags []config.Flag
			if cmd.Flags().Changed("listen") {
				flags = append(flags, config.Flag{Name: "--listen", Key: "gateway.listen", Value: listen})
			}
			loaded, err := a.settings([]string{"."}, flags...)
			if err != nil {
				return err
			}
			address := loaded.Settings.Gateway.Listen
			if err := a.parts.GatewayHealth(cmd.Context(), address); err != nil {
				return err
			}
			if !a.quiet {
				fmt.Fprintf(a.stdout, "%s answers\n", address)
			}
			return nil
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "the `HOST:PORT` that it listens on (default gateway.listen, 127.0.0.1:5100)")
	return c
}
