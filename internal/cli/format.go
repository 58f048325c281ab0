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
	fixed(c, "format", formats...)
}

// fixed completes a flag of c, which it has, with some words.
func fixed(c *cobra.Command, flag string, words ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

func formatAllowed(format string, formats ...string) error {
	if slices.Contains(formats, format) {
		return nil
	}
	return &usageError{err: fmt.Errorf("--format %s: allowed: %s", format, strings.Join(formats, ", "))}
}
