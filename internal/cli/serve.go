package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/advise"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/daemon"
	"github.com/outlast-build/outlast/internal/web"
	"github.com/outlast-build/outlast/report"
	"github.com/outlast-build/outlast/stats"
)

const serveLong = `Serve the gateway, the cache of GitHub Actions and a dashboard in one process.
The dashboard shows running builds with their steps, past builds, services,
caches and strategies, and has /metrics for Prometheus, /healthz and /readyz.
Serve measures the services again and again, and keeps what it saw. It stops at
Ctrl-C, when requests under way are answered.

A job needs a token for the cache: see "outlast actcache token".

The dashboard listens on loopback, where nobody is asked who they are. With a
token, from --token-file or OUTLAST_SERVE_TOKEN, clients have to know it, and
other machines may come: programs send it as "Authorization: Bearer TOKEN", people
type it into a form. Put TLS in front of it there.`

// tokenVariable may hold the token of the dashboard.
const tokenVariable = "OUTLAST_SERVE_TOKEN"

// serve is one outlast serve.
type serve struct {
	listen, tokenFile, format string
	alone, unchecked          bool
}

func (a *app) serveCommand() *cobra.Command {
	var s serve
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the gateway, the Actions cache, a dashboard and metrics",
		Long:  serveLong + "\n\n" + codes(ExitBuilt, ExitFailed, ExitUsage),
		Example: `  outlast serve
  outlast serve --listen 127.0.0.1:0 --no-gateway --format json
  outlast serve --listen 0.0.0.0:5180 --token-file /etc/outlast/token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd, s) },
	}
	c.Flags().StringVar(&s.listen, "listen", "", "the `HOST:PORT` of the dashboard; port 0 takes a free one (default serve.listen, 127.0.0.1:5180)")
	c.Flags().StringVar(&s.tokenFile, "token-file", "", "read the token that clients have to know from `FILE`")
	c.Flags().BoolVar(&s.alone, "no-gateway", false, "serve the dashboard alone")
	c.Flags().BoolVar(&s.unchecked, "no-check", false, "do not measure the services")
	formatFlag(c, &s.format, "text", "json")
	return c
}

func (a *app) serve(cmd *cobra.Command, s serve) error {
	if err := formatAllowed(s.format, "text", "json"); err != nil {
		return err
	}
	var flags []config.Flag
	if cmd.Flags().Changed("listen") {
		flags = append(flags, config.Flag{Name: "--listen", Key: "serve.listen", Value: s.listen})
	}
	loaded, err := a.settings([]string{"."}, flags...)
	if err != nil {
		return err
	}
	settings := loaded.Settings
	if s.unchecked {
		settings.Serve.Check = 0
	}
	token, err := a.token(s.tokenFile)
	if err != nil {
		return err
	}
	if !loopback(settings.Serve.Listen) && token == "" {
		return &usageError{fmt.Errorf("%s is an address that other machines can reach, and the dashboard shows your builds", settings.Serve.Listen),
			"listen on 127.0.0.1, or name a token with --token-file"}
	}
	if !s.alone && !loopback(settings.Actions.Listen) && !settings.Actions.Public {
		return &usageError{fmt.Errorf("actions.listen, %s, is an address that other machines can reach", settings.Actions.Listen),
			"set actions.public: true, or serve the dashboard alone with --no-gateway"}
	}
	if !s.alone && !loopback(settings.Gateway.Listen) && !settings.Gateway.Public {
		return &usageError{fmt.Errorf("gateway.listen, %s, is an address that other machines can reach", settings.Gateway.Listen),
			"set gateway.public: true, or serve the dashboard alone with --no-gateway"}
	}
	ctx, _, stop := interrupts(cmd.Context())
	defer stop()
	news := gatewayNews{say: a.say, quiet: true}
	err = a.parts.Serve(ctx, ServeRequest{Settings: settings, Env: a.env, Token: token, Alone: s.alone,
		Advice: func(t stats.Tally) ([]report.Advice, string) { return recommended(t, settings) },
		Ready:  func(at daemon.Addresses) { a.serveReady(at, s.format) },
		Tried:  news.tried, Served: news.served, Warn: news.warn})
	if errors.Is(err, syscall.EADDRINUSE) {
		return &usageError{err, "another program listens there: take another port with --listen, gateway.listen or actions.listen, or serve the dashboard alone with --no-gateway"}
	}
	return err
}

// token reads the token of the dashboard; empty where there is none.
func (a *app) token(file string) (string, error) {
	token := a.getenv(tokenVariable)
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", &usageError{fmt.Errorf("read the token: %w", err), "a file with one line"}
		}
		if token = strings.TrimSpace(string(text)); token == "" {
			return "", &usageError{fmt.Errorf("%s is empty", file), "make a token: openssl rand -hex 32"}
		}
	}
	if token != "" && len(token) < web.MinToken {
		return "", &usageError{fmt.Errorf("the token has fewer than %d characters", web.MinToken), "make one: openssl rand -hex 32"}
	}
	return token, nil
}

// serveReady tells the addresses on standard output, where programs read them.
func (a *app) serveReady(at daemon.Addresses, format string) {
	out := make(map[string]string)
	for _, one := range []struct{ key, name, address string }{
		{"dashboard", "dashboard", at.Dashboard},
		{"gateway", "gateway", at.Gateway},
		{"actions", "Actions cache", at.Actions},
	} {
		if one.address == "" {
			continue
		}
		out[one.key] = "http://" + one.address
		if format != "json" {
			fmt.Fprintf(a.stdout, "%s on http://%s\n", one.name, one.address)
		}
	}
	if format == "json" {
		_ = a.printJSON(out)
	}
}

// recommended is what sums speak for under these settings, or why nothing is
// said.
func recommended(t stats.Tally, s config.Settings) ([]report.Advice, string) {
	r := advise.Of(adviceInput(t, s))
	var all []report.Advice
	for _, one := range r.Advice {
		all = append(all, report.Advice{Title: one.Title, Why: one.Why, Change: one.Change})
	}
	return all, r.Thin()
}
