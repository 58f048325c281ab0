package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// formatFlag gives c a flag --format, the first of its formats by default.
func formatFlag(c *cobra.Command, format *string, formats ...string) {
	c.Flags().StringVar(format, "format", formats[0], "how to print: "+strings.Join(formats, ", "))
	err := c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag stands in the line above
	}
}

func formatAllowed(format string, formats ...string) error {
	if slices.Contains(formats, format) {
		return nil
	}
	return &usageError{err: fmt.Errorf("--format %s: allowed: %s", format, strings.Join(formats, ", "))}
}
