package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/buildcache"
	"github.com/outlast-build/outlast/internal/config"
)

func (a *app) cacheCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "Look after the folders of local build caches",
		Long: `Look after the folders that --cache-to type=local,dest=DIR writes. A blob in one
that is spoiled or missing makes builds fail that could have gone without it.

` + codes(ExitBuilt, ExitFailed, ExitUsage, ExitInterrupted),
		Example: `  outlast cache verify /tmp/cache
  outlast cache repair --dry-run /tmp/cache
  outlast cache trim --size 10GiB --age 30d /tmp/cache`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.cacheVerify(), a.cacheRepair(), a.cacheTrim(), a.cacheStats())
	return c
}

// errBadCache is the end of a verification that found something; what it found
// is the output.
var errBadCache = errors.New("the cache has flaws that a build would notice")

func (a *app) cacheVerify() *cobra.Command {
	var format string
	var full bool
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Prove every blob and every reference",
		Long: `Prove every blob of a local build cache by its digest, and every reference. What
was proved before and did not change (same size, inode and times) is not read
again, unless --full says so. Nothing is changed.

` + codesWith(map[int]string{ExitFailed: "something is wrong that a build would notice"}, ExitBuilt, ExitFailed, ExitUsage, ExitInterrupted),
		Example: `  outlast cache verify /tmp/cache
  outlast cache verify --full --format json /tmp/cache`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			o, done, err := a.lookOptions(args[0], full)
			if err != nil {
				return err
			}
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			r, err := buildcache.Verify(ctx, args[0], o)
			done()
			if err != nil {
				return err
			}
			if format == "json" {
				err = a.printJSON(r)
			} else if !a.quiet {
				printCache(a.stdout, r)
			}
			if err == nil && !r.Whole() {
				err = &hintedError{errBadCache, "outlast cache repair keeps all that is whole"}
			}
			return err
		},
		ValidArgsFunction: folders,
	}
	c.Flags().BoolVar(&full, "full", false, "read every byte, also of what was proved before")
	formatFlag(c, &format, "text", "json")
	return c
}

func (a *app) cacheRepair() *cobra.Command {
	var format string
	var full, dry bool
	c := &cobra.Command{
		Use:   "repair DIR",
		Short: "Remove what is bad, and keep all that is whole",
		Long: `Make a local build cache whole. Blobs that are bad go, and with them the results
that need them; every other step still hits the cache. An index that is lost is
made anew from the latest export whose manifest is there.

` + codes(ExitBuilt, ExitFailed, ExitUsage, ExitInterrupted),
		Example: `  outlast cache repair --dry-run /tmp/cache
  outlast cache repair /tmp/cache`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			o, done, err := a.lookOptions(args[0], full)
			if err != nil {
				return err
			}
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			r, err := buildcache.RepairAll(ctx, args[0], o, dry)
			done()
			switch {
			case err != nil:
				return err
			case format == "json":
				return a.printJSON(r)
			case a.quiet:
				return nil
			}
			printActions(a.stdout, r.Actions, dry)
			fmt.Fprintf(a.stdout, "%d layers kept, %d given up, %s freed\n", r.Layers, r.Lost, units.BytesSize(float64(r.Freed)))
			return nil
		},
		ValidArgsFunction: folders,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&full, "full", false, "read every byte, also of what was proved before")
	formatFlag(c, &format, "text", "json")
	return c
}

func (a *app) cacheTrim() *cobra.Command {
	var format, size, age string
	var dry bool
	c := &cobra.Command{
		Use:   "trim DIR",
		Short: "Remove what nothing needs, and keep within a size and an age",
		Long: `Remove what no export of a local build cache needs any more, exports that are too
old, and, while the cache is too large, the layers of the steps that ran longest
ago. What is left stays usable.

` + codes(ExitBuilt, ExitFailed, ExitUsage, ExitInterrupted),
		Example: `  outlast cache trim /tmp/cache                      what nothing needs
  outlast cache trim --size 10GiB --age 30d /tmp/cache`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			bounds, err := readBounds(size, age)
			if err != nil {
				return err
			}
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			t, err := buildcache.TrimAll(ctx, args[0], bounds, time.Now(), dry)
			switch {
			case err != nil:
				return err
			case format == "json":
				return a.printJSON(t)
			case a.quiet:
				return nil
			}
			printActions(a.stdout, t.Actions, dry)
			fmt.Fprintf(a.stdout, "%s before, %s after\n", units.BytesSize(float64(t.Before)), units.BytesSize(float64(t.After)))
			return nil
		},
		ValidArgsFunction: folders,
	}
	c.Flags().StringVar(&size, "size", "", "keep within this `SIZE`, as in 10GiB")
	c.Flags().StringVar(&age, "age", "", "drop what was not exported for this `TIME`, as in 12h or 30d")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	formatFlag(c, &format, "text", "json")
	return c
}

func (a *app) cacheStats() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "stats DIR",
		Short:   "Show what a cache holds, without reading its blobs",
		Example: "  outlast cache stats /tmp/cache",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			r, err := buildcache.Stat(args[0])
			switch {
			case err != nil:
				return err
			case format == "json":
				return a.printJSON(r)
			}
			printCache(a.stdout, r)
			return nil
		},
		ValidArgsFunction: folders,
	}
	formatFlag(c, &format, "text", "json")
	return c
}

func folders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// readBounds reads the flags of trim. Empty means no bound.
func readBounds(size, age string) (buildcache.Bounds, error) {
	var b buildcache.Bounds
	var err error
	if size != "" {
		if b.Size, err = config.ParseSize(size); err == nil && b.Size == 0 {
			err = errors.New("0 would keep nothing: remove the folder instead")
		}
		if err != nil {
			return b, &usageError{fmt.Errorf("--size %s: %w", size, err), "as in 500MB or 10GiB"}
		}
	}
	if age != "" {
		if b.Age, err = config.ParseAge(age); err != nil {
			return b, &usageError{fmt.Errorf("--age %s: %w", age, err), "as in 12h or 30d"}
		}
	}
	return b, nil
}

// lookOptions say where is remembered what was proved of dir, and draw the
// progress on a terminal; done takes it off again.
func (a *app) lookOptions(dir string, full bool) (o buildcache.Options, done func(), err error) {
	loaded, err := a.settings(nil)
	if err != nil {
		return o, nil, err
	}
	o.Full, o.Ledger = full, buildcache.LedgerOf(loaded.Settings.Store.Path, dir)
	if a.quiet || !terminal(a.stderr) {
		return o, func() {}, nil
	}
	var last time.Time
	o.Progress = func(done, all int64) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			fmt.Fprintf(a.stderr, "\rverified %s of %s\x1b[K", units.BytesSize(float64(done)), units.BytesSize(float64(all)))
		}
	}
	return o, func() {
		if !last.IsZero() {
			fmt.Fprint(a.stderr, "\r\x1b[K")
		}
	}, nil
}

func printCache(w io.Writer, r buildcache.Report) {
	for _, e := range r.Entries {
		state := "whole"
		switch {
		case !e.Usable:
			state = "of no use"
		case e.Bad > 0:
			state = fmt.Sprintf("%d of them bad", e.Bad)
		}
		name := e.Tag
		if name == "" {
			name = e.Digest.String()
		}
		fmt.Fprintf(w, "%s: %d layers, %s, %s\n", clean(name), e.Layers, units.BytesSize(float64(e.Bytes)), state)
	}
	fmt.Fprintf(w, "%d blobs, %s; %s read now; %d blobs, %s, that nothing needs\n", r.Blobs, units.BytesSize(float64(r.Bytes)),
		units.BytesSize(float64(r.Hashed)), r.Unused, units.BytesSize(float64(r.Spare)))
	for _, f := range r.Flaws {
		line := fmt.Sprintf("%s: %s", f.Path, f.What)
		if f.Detail != "" {
			line += ": " + f.Detail
		}
		if !f.Used && f.Harms() {
			line += " (nothing needs it)"
		}
		fmt.Fprintln(w, clean(line))
	}
}

func printActions(w io.Writer, actions []buildcache.Action, dry bool) {
	would := ""
	if dry {
		would = "would "
	}
	for _, act := range actions {
		fmt.Fprintf(w, "%s%s %s: %s\n", would, act.Do, clean(act.What), act.Why)
	}
	if len(actions) == 0 {
		fmt.Fprintln(w, "nothing to do")
	}
}
