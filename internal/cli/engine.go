package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) engineCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "engine",
		Short: "Look after the BuildKit that Outlast started",
		Long: `Where no builder is at hand, outlast build starts a private BuildKit and keeps
it for later builds. These commands show and stop it.

` + codes(ExitBuilt, ExitUsage, ExitNoEngine),
		Example: "  outlast engine status\n  outlast engine stop",
		Args:    noSuchCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.engineStatus(), a.engineStop())
	return c
}

func (a *app) engineStatus() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show whether it runs, and where",
		Example: "  outlast engine status --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			s, err := a.parts.EngineStatus(cmd.Context())
			switch {
			case err != nil:
				return err
			case format == "json":
				return a.printJSON(s)
			case !s.Running:
				fmt.Fprintln(a.stdout, "not running")
				return nil
			}
			fmt.Fprintf(a.stdout, "running: BuildKit %s\naddress: %s\nprocess: %d\nstarted: %s\nstate:   %s\nlog:     %s\n",
				s.Version, s.Address, s.PID, s.Started.Format(time.RFC3339), s.Root, s.Log)
			return nil
		},
	}
	formatFlag(c, &format, "text", "json")
	return c
}

func (a *app) engineStop() *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop it; what it has cached stays for the next start",
		Example: "  outlast engine stop",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			stopped, err := a.parts.EngineStop(ctx)
			if err != nil || a.quiet {
				return err
			}
			if stopped {
				fmt.Fprintln(a.stdout, "stopped")
			} else {
				fmt.Fprintln(a.stdout, "not running")
			}
			return nil
		},
	}
}
