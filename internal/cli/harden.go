package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/dockerfile"
)

const hardenLong = `Write a Dockerfile that withstands failing services by itself, for any builder:
package managers are tried again with growing waits and a limit for each attempt,
Go's proxies and the repositories of Debian, Ubuntu and Alpine take turns, images
have the digests of outlast.lock, and package caches are kept. All else stays as
it is, and comments say what could not be hardened, and why.

Without -o the file goes to standard output. A file that outlast harden did not
write is replaced only with --force. What is hardened already stays.`

const hardenExample = `  outlast harden -o Dockerfile.resilient
  outlast harden --diff                             what would be changed?
  outlast harden --check -o Dockerfile.resilient    in CI: is it up to date?
  outlast harden deploy/Dockerfile | docker build -f - .`

// maxDockerfile bounds what is read: BuildKit reads no more than this either.
const maxDockerfile = 16 << 20

// hardenFlags are the flags of outlast harden.
type hardenFlags struct {
	output             string
	diff, check, force bool
}

func (a *app) hardenCommand() *cobra.Command {
	var f hardenFlags
	c := &cobra.Command{
		Use:   "harden [DOCKERFILE | -]",
		Short: "Write a Dockerfile that survives without Outlast",
		Long: hardenLong + "\n\n" + codesWith(map[int]string{ExitFailed: "the Dockerfile cannot be read or hardened; with --check: the file is not what would be written"},
			ExitBuilt, ExitFailed, ExitUsage),
		Example: hardenExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := "Dockerfile"
			if len(args) > 0 {
				name = args[0]
			}
			return a.harden(name, f)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	c.Flags().StringVarP(&f.output, "output", "o", "-", "the `FILE` to write (- is standard output)")
	c.Flags().BoolVar(&f.diff, "diff", false, "write nothing, and print what would change: in the file of -o, or in the Dockerfile")
	c.Flags().BoolVar(&f.check, "check", false, "write nothing, and fail where the file of -o is not what would be written")
	c.Flags().BoolVar(&f.force, "force", false, "replace a file that outlast harden did not write")
	return c
}

func (a *app) harden(name string, f hardenFlags) error {
	if f.check && f.output == "-" {
		return &usageError{errors.New("--check needs -o FILE"), "outlast harden --check -o Dockerfile.resilient"}
	}
	if name == "-" && a.fromTerminal() {
		return &usageError{errors.New("there is no Dockerfile: standard input is a terminal"), "give the file's name"}
	}
	src, err := a.readDockerfile(name)
	if err != nil {
		return err
	}
	text, left, err := outlast.Harden(name, src)
	if err != nil {
		return err
	}
	for _, l := range left {
		a.say.warning(fmt.Sprintf("%s:%d: %s is not hardened: %s", name, l.Line, l.Manager, l.Why))
	}
	var old []byte
	if f.output != "-" {
		old, err = a.readDockerfile(f.output)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if f.diff {
		was, named := src, name
		if f.output != "-" {
			was, named = old, f.output
		}
		if _, err := a.stdout.Write(diff.Diff(named, was, "hardened "+name, text)); err != nil {
			return err
		}
	}
	switch {
	case f.check && !bytes.Equal(old, text):
		return &hintedError{fmt.Errorf("%s is not what %s becomes", f.output, name),
			fmt.Sprintf("outlast harden %s -o %s writes it, and --diff says what differs", name, f.output)}
	case f.check, f.diff:
		return nil
	case f.output == "-":
		_, err := a.stdout.Write(text)
		return err
	case old != nil && bytes.Equal(old, text):
		return nil
	case old != nil && !f.force && !dockerfile.Hardened(old):
		return &hintedError{fmt.Errorf("%s is there, and outlast harden did not write it", f.output), "--force replaces it"}
	}
	return replaceFile(f.output, text)
}

// readDockerfile reads a file, or standard input.
func (a *app) readDockerfile(name string) ([]byte, error) {
	in := io.NopCloser(a.stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		in = f
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxDockerfile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxDockerfile {
		return nil, fmt.Errorf("read %s: it is larger than %d MiB", name, maxDockerfile>>20)
	}
	return text, nil
}

// replaceFile replaces a file whole: one that is cut off would still build.
func replaceFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
