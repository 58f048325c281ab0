package buildx

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A Mirrored is a builder to make whose daemon has a gateway as the mirror of
// registries: what is built on it by any client goes through the gateway. The
// daemon asks the registries themselves where the gateway does not answer.
type Mirrored struct {
	Name       string
	Gateway    string   // HOST:PORT, as the daemon reaches it
	Registries []string // "docker.io"
	Use        bool     // make it the current builder
	Bootstrap  bool     // start its daemon at once
	Options    []string // --driver-opt of buildx
	Env        []string // nil: the process's own
}

// The limits of making and removing a builder. Starting one pulls an image.
const (
	removeLimit    = time.Minute
	bootstrapLimit = 10 * time.Minute
)

// Config is the daemon's buildkitd.toml, for daemons too that buildx did not
// start. Hosts stand in it in a fixed order.
func (m Mirrored) Config() string {
	var b strings.Builder
	for _, host := range slices.Sorted(slices.Values(m.Registries)) {
		fmt.Fprintf(&b, "[registry.%q]\n  mirrors = [%q]\n\n", host, m.Gateway)
	}
	fmt.Fprintf(&b, "[registry.%q]\n  http = true\n", m.Gateway)
	return b.String()
}

// Create makes the builder with buildx, in a container of the Docker Engine. An
// error is a *fault.Error of kind Engine.
func (m Mirrored) Create(ctx context.Context) error {
	cli, err := FindCLI(ctx, m.Env)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "outlast-buildkitd-*.toml") // buildx keeps a copy
	if err != nil {
		return &fault.Error{Op: "write buildkitd.toml", Kind: fault.Resource, Err: err}
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(m.Config()); err != nil {
		file.Close()
		return &fault.Error{Op: "write buildkitd.toml", Kind: fault.Resource, Err: err}
	}
	if err := file.Close(); err != nil {
		return &fault.Error{Op: "write buildkitd.toml", Kind: fault.Resource, Err: err}
	}
	args := []string{"create", "--name", m.Name, "--driver", "docker-container", "--buildkitd-config", file.Name()}
	if loopback(m.Gateway) {
		args = append(args, "--driver-opt", "network=host")
	}
	for _, o := range m.Options {
		args = append(args, "--driver-opt", o)
	}
	limit := probeLimit
	if m.Use {
		args = append(args, "--use")
	}
	if m.Bootstrap {
		args, limit = append(args, "--bootstrap"), bootstrapLimit
	}
	if _, err := cli.ask(ctx, m.Env, limit, args...); err != nil {
		return &fault.Error{Op: "create builder " + m.Name, Kind: fault.Engine, Err: err}
	}
	return nil
}

// RemoveBuilder removes a builder of buildx with its daemon and what that has
// cached. An error is a *fault.Error of kind Engine.
func RemoveBuilder(ctx context.Context, env []string, name string) error {
	cli, err := FindCLI(ctx, env)
	if err != nil {
		return err
	}
	if _, err := cli.ask(ctx, env, removeLimit, "rm", "--", name); err != nil {
		return &fault.Error{Op: "remove builder " + name, Kind: fault.Engine, Err: err}
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
