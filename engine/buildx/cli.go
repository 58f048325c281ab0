package buildx

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A CLI is a program that speaks buildx: its path and the arguments that stand
// before `build`.
type CLI struct {
	Path string
	Args []string
}

// String returns the CLI as a person would type it.
func (c CLI) String() string {
	return strings.Join(append([]string{filepath.Base(c.Path)}, c.Args...), " ")
}

// probeLimit bounds each question that is put to a client program before a
// build. A plugin starts in a few hundredths of a second; a machine under load
// needs longer.
const probeLimit = 10 * time.Second

// FindCLI finds buildx: the docker CLI with its buildx plugin, else a buildx
// program of its own, on PATH or in a folder .tools/bin (see Program). Where
// there is none the error is a *fault.Error of kind Engine.
func FindCLI(ctx context.Context, env []string) (CLI, error) {
	var docker, tried []string
	if path, err := Program(env, "docker"); err == nil {
		c := CLI{path, []string{"buildx"}}
		if c.works(ctx, env) {
			return c, nil
		}
		docker = []string{"docker is there, but has no buildx plugin that works"}
	}
	for _, name := range []string{"buildx", "docker-buildx"} {
		path, err := Program(env, name)
		if err != nil {
			continue
		}
		c := CLI{Path: path}
		if c.works(ctx, env) {
			return c, nil
		}
		tried = append(tried, path+" does not run")
	}
	tried = append(docker, tried...)
	if len(tried) == 0 {
		tried = []string{"neither docker nor buildx is on PATH"}
	}
	return CLI{}, &fault.Error{Op: "find buildx", Kind: fault.Engine,
		Err: errors.New(strings.Join(tried, "; ") + ": install Docker's CLI with its buildx plugin, or put buildx on PATH")}
}

func (c CLI) works(ctx context.Context, env []string) bool {
	out, err := c.ask(ctx, env, probeLimit, "version")
	return err == nil && strings.Contains(out, "buildx")
}

// Program returns the path of an executable: on the PATH of env (nil: the
// process's own), in the system's folders for administrators, or in the folder
// .tools/bin of the repository that the running program stands in.
func Program(env []string, name string) (string, error) {
	for _, dir := range append(filepath.SplitList(getenv(env, "PATH")), systemDirs...) {
		if path, err := executable(dir, name); err == nil {
			return path, nil
		}
	}
	for _, dir := range toolDirs() {
		if path, err := executable(dir, name); err == nil {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// systemDirs hold programs for administrators, runc among them, and are often
// not on a user's PATH.
var systemDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// executable never finds anything in a relative folder: a program from the
// folder that happens to be built is not the user's tool.
func executable(dir, name string) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", exec.ErrNotFound
	}
	return exec.LookPath(filepath.Join(dir, name))
}

// toolDirs are the folders .tools/bin beside the running program. The program
// stands in the repository itself, in a folder of it, or in .tools/bin.
func toolDirs() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	if resolved, err := filepath.EvalSymlinks(self); err == nil {
		self = resolved
	}
	var dirs []string
	dir := filepath.Dir(self)
	for range 3 {
		if filepath.Base(dir) == "bin" && filepath.Base(filepath.Dir(dir)) == ".tools" {
			dirs = append(dirs, dir)
		}
		dirs = append(dirs, filepath.Join(dir, ".tools", "bin"))
		dir = filepath.Dir(dir)
	}
	return dirs
}

// getenv returns what the environment says of name; of several entries the
// last one counts, as for a child process.
func getenv(env []string, name string) string {
	v, _ := lookupEnv(env, name)
	return v
}

func lookupEnv(env []string, name string) (string, bool) {
	if env == nil {
		return os.LookupEnv(name)
	}
	for _, e := range slices.Backward(env) {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// environ returns env, or the process's own where it is nil, with more added.
func environ(env []string, more ...string) []string {
	if env == nil {
		env = os.Environ()
	}
	return slices.Concat(env, more)
}
