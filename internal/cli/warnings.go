package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
)

// printWarnings lists the warnings of a build as buildx does below its
// display.
func printWarnings(w io.Writer, all []client.VertexWarning, color, debug bool) {
	warnings := distinct(all)
	if len(warnings) == 0 {
		return
	}
	head := "1 warning found"
	if n := len(warnings); n > 1 {
		head = fmt.Sprintf("%d warnings found", n)
	}
	if !debug {
		head += " (use docker --debug to expand)"
	}
	head += ":\n"
	if color {
		head = yellow + head + reset
	}
	fmt.Fprintf(w, "\n %s", head)
	for _, warning := range warnings {
		fmt.Fprintf(w, " - %s\n", warning.Short)
		if debug {
			printWarning(w, warning)
		}
	}
}

func printWarning(w io.Writer, warning client.VertexWarning) {
	for _, d := range warning.Detail {
		fmt.Fprintf(w, "%s\n", d)
	}
	if warning.URL != "" {
		fmt.Fprintf(w, "More info: %s\n", warning.URL)
	}
	if warning.SourceInfo != nil && warning.Range != nil {
		source := errdefs.Source{Info: warning.SourceInfo, Ranges: warning.Range}
		source.Print(w)
	}
	fmt.Fprintln(w)
}

// distinct drops warnings that say the same of the same lines: each platform
// warns for itself.
func distinct(all []client.VertexWarning) []client.VertexWarning {
	var some []client.VertexWarning
	for _, w := range all {
		same := func(o client.VertexWarning) bool {
			return bytes.Equal(o.Short, w.Short) && o.URL == w.URL && fmt.Sprint(o.Range) == fmt.Sprint(w.Range)
		}
		if !slices.ContainsFunc(some, same) {
			some = append(some, w)
		}
	}
	return some
}
