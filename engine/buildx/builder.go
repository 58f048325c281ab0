package buildx

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A Builder is where builds run: a CLI to speak through, and what stands behind
// it. It is a value; nothing has to be closed.
type Builder struct {
	CLI    CLI
	Runs   CLI    // what runs a build: the CLI, or the plugin behind it that answered for it; zero means the CLI
	Driver string // "docker", "docker-container", "remote", "kubernetes", …
	Nodes  []Node

	// Name is the builder as buildx knows it.
	Name string

	// Flag is set where the child must be told the Name, since neither the
	// user's arguments nor the user's buildx say it.
	Flag bool

	// Env is what a child of the CLI needs in its environment beyond the
	// user's.
	Env []string

	// Origin says why it was chosen, in a few words: "--builder", "the current
	// builder of buildx", "BUILDKIT_HOST", "Outlast's own buildkitd".
	Origin string

	// Passed are the candidates that came before and could not be used, each
	// with the reason.
	Passed []string

	// Docker is the address of the Docker Engine that the driver speaks to,
	// "unix:///var/run/docker.sock"; empty where none takes part.
	Docker string
}

// A Search says where to look for a builder.
type Search struct {
	Args Args     // the user's
	Env  []string // nil: the process's own

	// State is the folder for what Outlast keeps of engines: its own
	// buildkitd, and its own settings of buildx. Empty means the default of
	// StateDir.
	State string

	// Idle has the search start nothing: Outlast's own buildkitd is a builder
	// only where it runs.
	Idle bool

	// Wait bounds how long a builder may take to answer. Zero means 5 s.
	Wait time.Duration
}

// A candidate is one way to come by a builder. ask returns the builder, or why
// there is none this way; absent ones say nothing. An error ends the search.
type candidate struct {
	origin string
	ask    func(context.Context) (b Builder, why string, err error)
}

// Choose finds the builder for a build: the one that --builder or
// BUILDX_BUILDER names; the current one of buildx, if it answers; what
// BUILDKIT_HOST names; a buildkitd of Outlast's own, which is started where it
// does not run and goes on running. Where there is none, the error is a
// *fault.Error of kind Engine that lists what was tried.
func Choose(ctx context.Context, s Search) (Builder, error) {
	cli, named, err := s.first(ctx)
	if err != nil {
		return Builder{}, err
	}
	return pick(ctx, s.candidates(cli, named))
}

// pick asks one candidate after the other.
func pick(ctx context.Context, list []candidate) (Builder, error) {
	var passed []string
	for _, c := range list {
		b, why, err := c.ask(ctx)
		if ctx.Err() != nil {
			return Builder{}, &fault.Error{Op: "choose a builder", Kind: fault.Canceled, Err: context.Cause(ctx)}
		}
		if err != nil {
			return Builder{}, &fault.Error{Op: "use " + c.origin, Kind: fault.Engine, Err: err}
		}
		if why != "" {
			passed = append(passed, c.origin+": "+why)
			continue
		}
		b.Origin, b.Passed = c.origin, passed
		return b, nil
	}
	return Builder{}, &fault.Error{Op: "choose a builder", Kind: fault.Engine,
		Err: errors.New(strings.Join(passed, "; ") + ": start Docker, name a builder with --builder, set BUILDKIT_HOST, or install buildkitd and runc")}
}

func (s Search) candidates(cli CLI, first answer) []candidate {
	name, origin := s.named()
	if name != "" {
		return []candidate{{origin, func(context.Context) (Builder, string, error) {
			if first.why != "" {
				return Builder{}, "", errors.New(first.why)
			}
			return first.builder, "", nil
		}}}
	}
	return []candidate{
		{"the current builder of buildx", func(context.Context) (Builder, string, error) {
			return first.builder, first.why, nil
		}},
		{"BUILDKIT_HOST", func(ctx context.Context) (Builder, string, error) {
			address := getenv(s.Env, "BUILDKIT_HOST")
			if address == "" {
				return Builder{}, "not set", nil
			}
			b, err := s.isolated(ctx, cli, address)
			return b, reason(err), nil
		}},
		{"Outlast's own buildkitd", func(ctx context.Context) (Builder, string, error) {
			own, err := s.own(ctx)
			if err != nil {
				return Builder{}, err.Error(), nil
			}
			b, err := s.isolated(ctx, cli, own.Address)
			return b, reason(err), nil
		}},
	}
}

// own returns Outlast's buildkitd, which it starts where it may.
func (s Search) own(ctx context.Context) (DaemonStatus, error) {
	if !s.Idle {
		return Own(s.State).Start(ctx, s.Env)
	}
	status, err := Own(s.State).Status()
	if err == nil && !status.Running {
		err = errors.New("does not run; a build would start it")
	}
	return status, err
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// named returns the builder that the user names, and where.
func (s Search) named() (name, origin string) {
	if name := s.Args.Builder(); name != "" {
		return name, fmt.Sprintf("builder %q of --builder", name)
	}
	if name := getenv(s.Env, "BUILDX_BUILDER"); name != "" {
		return name, fmt.Sprintf("builder %q of BUILDX_BUILDER", name)
	}
	return "", ""
}

// An answer is a builder, or why it cannot be used.
type answer struct {
	builder Builder
	why     string
}

// first finds the CLI and asks it for the named or the current builder, in one
// go: a client that answers this question needs no other one to prove that it
// works, and each costs a twentieth of a second.
func (s Search) first(ctx context.Context) (CLI, answer, error) {
	name, _ := s.named()
	if path, err := Program(s.Env, "docker"); err == nil {
		cli := CLI{path, []string{"buildx"}}
		b, why := s.inspect(ctx, cli, s.Env, name)
		if why == "" || cli.works(ctx, s.Env) {
			return cli, answer{b, why}, nil
		}
	}
	cli, err := FindCLI(ctx, s.Env)
	if err != nil {
		return CLI{}, answer{}, err
	}
	b, why := s.inspect(ctx, cli, s.Env, name)
	return cli, answer{b, why}, nil
}

func (s Search) wait() time.Duration {
	if s.Wait == 0 {
		return 5 * time.Second
	}
	return s.Wait
}

// inspect asks the CLI for a builder; an empty name is the current one.
func (s Search) inspect(ctx context.Context, cli CLI, env []string, name string) (Builder, string) {
	args := []string{"inspect", "--timeout", s.wait().String()}
	if name != "" {
		args = append(args, "--", name)
	}
	// buildx keeps to its time-out wherever it knows that it waits.
	out, spoke, err := cli.question(ctx, env, s.wait()+time.Second, args...)
	if err != nil {
		return Builder{}, err.Error()
	}
	in := parseInspection(out)
	if why := in.trouble(); why != "" {
		return Builder{}, why
	}
	b := Builder{CLI: cli, Runs: spoke, Name: in.name, Driver: in.driver, Nodes: in.nodes}
	if b.Driver == "docker" || b.Driver == "docker-container" {
		b.Docker = dockerHost(env, b.Nodes[0].Endpoint)
	}
	return b, ""
}

// isolated makes buildx know the buildkitd at address, in a configuration of
// Outlast's own: the user's list of builders is not touched.
func (s Search) isolated(ctx context.Context, cli CLI, address string) (Builder, error) {
	state, err := stateDir(s.State)
	if err != nil {
		return Builder{}, err
	}
	config := filepath.Join(state, "buildx")
	own := "BUILDX_CONFIG=" + config
	env := environ(s.Env, own)
	name := instanceName(address)
	if !exists(filepath.Join(config, "instances", name)) {
		_, err := cli.ask(ctx, env, probeLimit, "create", "--name", name, "--driver", "remote", "--", address)
		if err != nil && !exists(filepath.Join(config, "instances", name)) {
			return Builder{}, fmt.Errorf("%s: %w", address, err)
		}
	}
	b, why := s.inspect(ctx, cli, env, name)
	if why != "" {
		return Builder{}, fmt.Errorf("%s: %s", address, why)
	}
	b.Env, b.Flag = []string{own}, true
	return b, nil
}

// Command is the command line of a build on b, with flags added as a build
// adds them.
func (b Builder) Command(args Args, flags []string) []string {
	if b.Flag {
		flags = append([]string{"--builder=" + b.Name}, flags...)
	}
	argv := append([]string{b.CLI.Path}, b.CLI.Args...)
	return append(append(argv, "build"), args.With(flags...)...)
}
