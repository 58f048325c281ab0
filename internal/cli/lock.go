package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
)

const lockLong = `Write outlast.lock beside the Dockerfile: which digest each tag stands for that the
build needs, for each platform. outlast build then builds just that, and any
mirror can serve it, since the digest proves it. Commit the file.

Without a flag, what is not locked yet is locked. Only an answer of just now is
taken, of the registry itself or of a mirror that the settings trust for tags.`

func (a *app) lockCommand() *cobra.Command {
	var f targetFlags
	var format string
	var check, update bool
	c := &cobra.Command{
		Use:   "lock [PATH]",
		Short: "Pin the tags of base images to digests",
		Long: lockLong + "\n\n" + codesWith(map[int]string{ExitFailed: "with --check: something is not locked", ExitNoSource: "nobody could say what a tag stands for"},
			ExitBuilt, ExitFailed, ExitUsage, ExitNoSource, ExitInterrupted),
		Example: `  outlast lock
  outlast lock --platform linux/amd64,linux/arm64 -f deploy/Dockerfile .
  outlast lock --check                in CI: is everything locked?
  outlast lock --update               take what the tags stand for now`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			mode := outlast.LockAdd
			switch {
			case check && update:
				return &usageError{errors.New("--check and --update exclude each other"), "--check changes nothing"}
			case check:
				mode = outlast.LockCheck
			case update:
				mode = outlast.LockUpdate
			}
			t, err := f.of(a, args)
			if err != nil {
				return err
			}
			ctx, _, stop := interrupts(cmd.Context())
			defer stop()
			l, err := a.parts.Lock(ctx, t, mode)
			switch {
			case l.Images == nil && err != nil:
			case format == "json":
				err = errors.Join(err, a.printJSON(l))
			case !a.quiet:
				printLocking(a.stdout, l)
			}
			if err == nil && check && !l.Complete() {
				err = &hintedError{errors.New("not all that the build needs is locked"), "outlast lock adds what is missing"}
			}
			return err
		},
	}
	f.add(c)
	c.Flags().BoolVar(&check, "check", false, "change nothing, and fail where something is not locked")
	c.Flags().BoolVar(&update, "update", false, "lock every tag to what it stands for now")
	formatFlag(c, &format, "text", "json")
	return c
}

// lockWords say how an image stands to the lock.
var lockWords = map[outlast.LockState]string{
	outlast.Kept:    "locked",
	outlast.Added:   "added",
	outlast.Updated: "updated",
	outlast.Moved:   "locked; the tag has moved on",
	outlast.Open:    "not locked",
	outlast.Unsure:  "locked; nobody could say what the tag stands for now",
	outlast.Unused:  "locked, and not needed by this build",
}

func printLocking(w io.Writer, l outlast.Locking) {
	for _, i := range l.Images {
		line := fmt.Sprintf("%s: %s", i.Ref, lockWords[i.State])
		if i.Digest != "" {
			line += " " + i.Digest.String()
		}
		if i.Other != "" {
			line += " (" + otherWord(i.State) + " " + i.Other.String() + ")"
		}
		fmt.Fprintln(w, clean(line))
	}
	switch {
	case l.Wrote:
		fmt.Fprintln(w, "wrote "+l.File)
	case len(l.Images) == 0:
		fmt.Fprintln(w, "the build needs no image with a tag")
	}
}

func otherWord(s outlast.LockState) string {
	if s == outlast.Updated {
		return "was"
	}
	return "now"
}
