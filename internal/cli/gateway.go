package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/record"
)

const gatewayLong = `Serve the content of registries to any client on this machine: from the local
store, and from each registry's origin and mirrors, going round those that fail.
It stops at Ctrl-C, when requests under way are answered.

The gateway uses your logins. Whoever reaches it can pull what you can pull, so
that it listens on loopback unless --public says that other machines may come.`

func (a *app) gatewayCommand() *cobra.Command {
	var listen, format string
	var public bool
	c := &cobra.Command{
		Use:   "gateway",
		Short: "Serve registries' content to other clients",
		Long:  gatewayLong + "\n\n" + codes(ExitBuilt, ExitFailed, ExitUsage),
		Example: `  outlast gateway
  outlast gateway --listen 127.0.0.1:0 --format json
  crane pull 127.0.0.1:5100/docker.io/library/alpine:3 alpine.tar`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			var flags []config.Flag
			if cmd.Flags().Changed("listen") {
				flags = append(flags, config.Flag{Name: "--listen", Key: "gateway.listen", Value: listen})
			}
			if cmd.Flags().Changed("public") {
				flags = append(flags, config.Flag{Name: "--public", Key: "gateway.public", Value: fmt.Sprint(public)})
			}
			loaded, err := a.settings([]string{"."}, flags...)
			if err != nil {
				return err
			}
			return a.gateway(cmd.Context(), loaded.Settings, format)
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "the `HOST:PORT` to listen on; port 0 takes a free one (default gateway.listen, 127.0.0.1:5100)")
	c.Flags().BoolVar(&public, "public", false, "allow an address that other machines can reach")
	formatFlag(c, &format, "text", "json")
	c.AddCommand(a.gatewayHealth())
	return c
}

func (a *app) gateway(ctx context.Context, s config.Settings, format string) error {
	address := s.Gateway.Listen
	if !loopback(address) {
		if !s.Gateway.Public {
			return &usageError{
				err:  fmt.Errorf("%s is an address that other machines can reach, and the gateway serves what your logins may pull", address),
				hint: "listen on 127.0.0.1, or allow it with --public",
			}
		}
		a.say.warning(fmt.Sprintf("listening on %s: whoever reaches it can pull what your logins may pull", address))
	}
	ctx, _, stop := interrupts(ctx)
	defer stop()
	news := gatewayNews{say: a.say, quiet: a.quiet}
	err := a.parts.Gateway(ctx, GatewayRequest{
		Settings: s,
		Ready:    func(address string) { a.gatewayReady(address, format) },
		Served:   news.served,
		Tried:    news.tried,
		Warn:     news.warn,
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return &usageError{err: fmt.Errorf("%s is taken: another gateway or program listens there", address),
			hint: "take another port with --listen HOST:PORT, or a free one with --listen 127.0.0.1:0"}
	}
	return err
}

// gatewayNews writes a line for what a gateway does: each answer, and each new
// way in which a service fails.
type gatewayNews struct {
	say    speaker
	quiet  bool
	ledger record.Ledger
	mu     sync.Mutex // one line at a time
}

func (n *gatewayNews) served(s gateway.Served) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case errors.Is(s.Err, context.Canceled):
	case s.Err != nil:
		n.say.warning(s.Err.Error())
	case n.quiet:
	case !s.Stale.IsZero():
		n.say.plain(fmt.Sprintf("%s: stale, as of %s", s.Asset.Name, s.Stale.UTC().Format(time.RFC3339)))
	default:
		n.say.plain(fmt.Sprintf("%s: from %s", s.Asset.Name, s.From))
	}
}

func (n *gatewayNews) tried(t fetch.Try) {
	registry, _, _ := strings.Cut(t.Name, "/")
	if note := n.ledger.Answered(t.Endpoint, registry, t.Kind, t.Bytes, t.Err); note != "" {
		n.warn(note)
	}
}

func (n *gatewayNews) warn(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.say.warning(text)
}

// loopback reports whether an address to listen on is this machine's own. One
// without a host is every address that there is.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && host != "" && config.Loopback(host)
}

const gatewayUse = `
docker.io/library/alpine:3 is %[1]s/docker.io/library/alpine:3 here:

  crane manifest %[1]s/docker.io/library/alpine:3
  skopeo inspect --tls-verify=false docker://%[1]s/docker.io/library/alpine:3

buildkitd.toml, for each registry:

  [registry."docker.io"]
    mirrors = ["%[1]s"]

/etc/docker/daemon.json, for docker.io:

  { "registry-mirrors": ["http://%[1]s"] }
`

// gatewayReady tells the address on standard output, where programs read it,
// and how to use it beside.
func (a *app) gatewayReady(address, format string) {
	if format == "json" {
		_ = a.printJSON(map[string]string{"address": address, "url": "http://" + address})
		return
	}
	fmt.Fprintf(a.stdout, "listening on http://%s\n", address)
	if !a.quiet {
		fmt.Fprintf(a.stderr, gatewayUse, address)
	}
}
