package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/internal/config"
)

const actcacheLong = `Serve the cache of GitHub Actions from this machine, for self-hosted runners:
both versions of its protocol, as actions/cache and BuildKit's type=gha speak it.
It stops at Ctrl-C, when requests under way are answered.

It prints the variables that a job needs, one a line. The token among them is a
secret: it may write the entries of one scope and read those of others. More of
them come from "outlast actcache token". GitHub's own service is not asked.`

// scopeFlags are what a token is to allow.
type scopeFlags struct {
	repository, write string
	read              []string
	lasts             time.Duration
}

func (f *scopeFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.repository, "repository", "", "the `OWNER/NAME` whose entries the token is for")
	c.Flags().StringVar(&f.write, "write", "refs/heads/main", "the `SCOPE` the token may write and read; empty: none")
	c.Flags().StringArrayVar(&f.read, "read", nil, "a `SCOPE` the token may read besides (may be repeated)")
	c.Flags().DurationVar(&f.lasts, "ttl", 24*time.Hour, "how long the token holds")
}

func (f *scopeFlags) grant() (actcache.Grant, error) {
	g := actcache.Grant{Repository: f.repository, Expires: time.Now().Add(f.lasts)}
	if f.write != "" {
		g.Scopes = append(g.Scopes, actcache.Scope{Name: f.write, Permission: actcache.Read | actcache.Write})
	}
	for _, s := range f.read {
		g.Scopes = append(g.Scopes, actcache.Scope{Name: s, Permission: actcache.Read})
	}
	switch {
	case len(g.Scopes) == 0:
		return g, &usageError{err: errors.New("a token without a scope opens nothing"), hint: "name one with --write or --read, as in --write refs/heads/main"}
	case f.lasts < time.Minute:
		return g, &usageError{err: fmt.Errorf("--ttl %s: want a minute at least", f.lasts), hint: "as in --ttl 6h"}
	}
	return g, nil
}

func (a *app) actcacheCommand() *cobra.Command {
	var listen, base, format string
	var public bool
	var scopes scopeFlags
	c := &cobra.Command{
		Use:   "actcache",
		Short: "Serve the cache of GitHub Actions to self-hosted runners",
		Long:  actcacheLong + "\n\n" + codes(ExitBuilt, ExitFailed, ExitUsage),
		Example: `  outlast actcache
  outlast actcache --listen 127.0.0.1:0 --format json
  outlast actcache --public --listen 10.0.0.1:5200 --repository acme/app
  outlast actcache token --write refs/heads/topic --read refs/heads/main`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := formatAllowed(format, "text", "json"); err != nil {
				return err
			}
			if u, err := url.Parse(base); base != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
				return &usageError{err: fmt.Errorf("--url %s: no address", base), hint: "as in --url http://cache.example.com:5200"}
			}
			grant, err := scopes.grant()
			if err != nil {
				return err
			}
			var flags []config.Flag
			if cmd.Flags().Changed("listen") {
				flags = append(flags, config.Flag{Name: "--listen", Key: "actions.listen", Value: listen})
			}
			if cmd.Flags().Changed("public") {
				flags = append(flags, config.Flag{Name: "--public", Key: "actions.public", Value: fmt.Sprint(public)})
			}
			loaded, err := a.settings([]string{"."}, flags...)
			if err != nil {
				return err
			}
			return a.actcache(cmd.Context(), ActionsRequest{Settings: loaded.Settings, Base: base, Grant: grant,
				Ready: func(address, token string) { a.actcacheReady(address, base, token, format) }})
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "the `HOST:PORT` to listen on; port 0 takes a free one (default actions.listen, 127.0.0.1:5200)")
	c.Flags().BoolVar(&public, "public", false, "listen where other machines can reach it")
	c.Flags().StringVar(&base, "url", "", "the `ADDRESS` by which clients reach it (default: as each of them asked)")
	c.Flags().StringVar(&format, "format", "text", "what to print: text or json")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	scopes.add(c)
	c.AddCommand(a.actcacheToken())
	return c
}

func (a *app) actcacheToken() *cobra.Command {
	var scopes scopeFlags
	c := &cobra.Command{
		Use:   "token",
		Short: "Print a token for the cache service of this machine",
		Long: `Print a token for the cache service of this machine: an ACTIONS_RUNTIME_TOKEN
that holds whether the service runs now or later. It is signed with the key in
the local store; who can read that can make any.` + "\n\n" + codes(ExitBuilt, ExitFailed, ExitUsage),
		Example: `  outlast actcache token
  outlast actcache token --write refs/pull/7/merge --read refs/heads/main --ttl 6h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			grant, err := scopes.grant()
			if err != nil {
				return err
			}
			loaded, err := a.settings([]string{"."})
			if err != nil {
				return err
			}
			token, err := a.parts.ActionsToken(loaded.Settings, grant)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, token)
			return err
		},
	}
	scopes.add(c)
	return c
}

func (a *app) actcache(ctx context.Context, r ActionsRequest) error {
	address := r.Settings.Actions.Listen
	if !loopback(address) && !r.Settings.Actions.Public {
		return &usageError{
			err:  fmt.Errorf("%s is an address that other machines can reach, and what is said there is not encrypted", address),
			hint: "listen on 127.0.0.1, or allow it with --public",
		}
	}
	ctx, _, stop := interrupts(ctx)
	defer stop()
	var one sync.Mutex
	r.Warn = func(s string) {
		one.Lock()
		defer one.Unlock()
		a.say.warning(s)
	}
	err := a.parts.Actions(ctx, r)
	if errors.Is(err, syscall.EADDRINUSE) {
		return &usageError{err: fmt.Errorf("%s is taken: another program listens there", address),
			hint: "take another port with --listen HOST:PORT, or a free one with --listen 127.0.0.1:0"}
	}
	return err
}

// actcacheReady tells the variables on standard output, where programs read
// them, and what they are beside.
func (a *app) actcacheReady(address, base, token, format string) {
	if base == "" {
		base = "http://" + address
	}
	base = strings.TrimRight(base, "/") + "/"
	env := [][2]string{{"ACTIONS_CACHE_SERVICE_V2", "True"}, {"ACTIONS_RESULTS_URL", base}, {"ACTIONS_CACHE_URL", base}, {"ACTIONS_RUNTIME_TOKEN", token}}
	if format == "json" {
		vars := make(map[string]string)
		for _, v := range env {
			vars[v[0]] = v[1]
		}
		_ = a.printJSON(map[string]any{"address": address, "env": vars})
		return
	}
	for _, v := range env {
		fmt.Fprintf(a.stdout, "%s=%s\n", v[0], v[1])
	}
	if !a.quiet {
		a.say.plain("listening on http://" + address + "; above are the variables of a job that uses it")
	}
}
