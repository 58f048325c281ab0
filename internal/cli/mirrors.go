package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/health"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/report"
)

const mirrorsLong = `Look at every mirror in the settings: whether it can be reached, how fast, whether
it has what its origin has for some tags, when a build last took its word, and
what is wrong with it. At the end is what should be dropped.

The tags are those of the images that are given, or of probe.samples. Where the
origin does not answer, mirrors are compared with the last good answer in the
local store. All are asked at once, within probe.budget for every 48 requests.

Exit codes:
  0    done, however the mirrors do
  2    wrong usage or settings
  130  interrupted`

func (a *app) mirrorsCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "mirrors [IMAGE]...",
		Short: "Compare mirrors with their origins",
		Long:  mirrorsLong,
		Example: `  outlast mirrors
  outlast mirrors golang:1.26 quay.io/team/app:3
  outlast mirrors --format json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			images, err := imagesOf(args)
			if err != nil {
				return err
			}
			loaded, err := a.settings([]string{"."})
			if err != nil {
				return err
			}
			return a.mirrors(cmd.Context(), loaded.Settings, images, format)
		},
	}
	formatFlag(c, &format, "text", "json")
	return c
}

// imagesOf returns the arguments as images in full.
func imagesOf(args []string) ([]string, error) {
	var images []string
	for _, arg := range args {
		named, err := reference.ParseNormalizedNamed(arg)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("%q is no image: want one as in golang:1.26", arg)}
		}
		images = append(images, reference.TagNameOnly(named).String())
	}
	return images, nil
}

func (a *app) mirrors(ctx context.Context, s config.Settings, images []string, format string) error {
	ctx, _, stop := interrupts(ctx)
	defer stop()
	all := a.parts.Mirrors(ctx, MirrorsRequest{Settings: s, Images: images})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if format == "json" {
		return a.printJSON(map[string][]report.RegistryJSON{"registries": report.MirrorsOf(all)})
	}
	color := colored(a.stdout, a.getenv)
	if !a.quiet {
		for _, l := range report.Mirrors(all, time.Now()) {
			fmt.Fprintln(a.stdout, string(l.Mark)+" "+painted(clean(l.Text), markColors[l.Mark], color))
		}
	}
	advice := report.MirrorAdvice(all)
	if len(advice) == 0 {
		advice = []string{"nothing to drop" + unlooked(all)}
	}
	for _, line := range advice {
		if _, err := fmt.Fprintln(a.stdout, clean(line)); err != nil {
			return err
		}
	}
	return nil
}

// unlooked says that there was nothing to look at.
func unlooked(all []health.Registry) string {
	if len(all) == 0 {
		return ": no mirrors are set"
	}
	return ""
}
