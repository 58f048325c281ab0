package outlast

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/internal/config"
)

// goProxy is what the go command of the machine that this program was built on
// was set to: the linker puts it in (see the Makefile). It is asked where there
// is no go command.
var goProxy string

// addresses are where package managers are set to go. Nil and empty mean that
// it is not known here: nothing is assumed in their place.
type addresses struct {
	goProxies   []url.URL
	npm, python *url.URL
}

// findAddresses reads the settings, and where they say nothing asks the
// environment and the package managers themselves, for at most limit.
func findAddresses(ctx context.Context, env []string, p config.Packages, managers map[string]bool, limit time.Duration) addresses {
	ctx, cancel := context.WithTimeout(ctx, min(limit, time.Second))
	defer cancel()
	c := clients{ctx, env}
	var a addresses
	var both sync.WaitGroup
	both.Go(func() {
		if a.goProxies = proxyList(strings.Join(p.Go, ",")); a.goProxies == nil {
			a.goProxies = proxyList(cmp.Or(c.first([]string{"GOPROXY"}, "go", "env", "GOPROXY"), goProxy))
		}
	})
	if managers["npm"] || managers["yarn"] || managers["pnpm"] {
		both.Go(func() {
			a.npm = address(c.set(p.NPM, []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"}, "npm", "config", "get", "registry"))
		})
	}
	if slices.ContainsFunc(pythons, func(m string) bool { return managers[m] }) {
		a.python = address(c.set(p.Pip, []string{"PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"}))
	}
	both.Wait()
	return a
}

// pythons are the package managers that read an index of Python packages.
var pythons = []string{"pip", "uv", "poetry"}

// family is the manager whose registry another one asks as well.
func family(manager string) string {
	switch {
	case manager == "yarn" || manager == "pnpm":
		return "npm"
	case slices.Contains(pythons, manager):
		return "pip"
	}
	return manager
}

// clients are the programs that know their own settings.
type clients struct {
	ctx context.Context
	env []string
}

// set returns the first of own, the settings, or else what first returns.
func (c clients) set(own, variables []string, command ...string) string {
	if len(own) > 0 {
		return own[0]
	}
	return c.first(variables, command...)
}

// first returns the first variable that is set, or else what the command
// prints, or "".
func (c clients) first(variables []string, command ...string) string {
	for _, name := range variables {
		for _, e := range slices.Backward(c.env) {
			if k, v, ok := strings.Cut(e, "="); ok && k == name && v != "" {
				return v
			}
		}
	}
	if len(command) == 0 {
		return ""
	}
	out, err := c.output(command[0], command[1:]...)
	if err != nil {
		return ""
	}
	return out
}

// output runs a command that tells of this machine's own settings.
func (c clients) output(command string, args ...string) (string, error) {
	cmd := exec.CommandContext(c.ctx, command, args...)
	// A project may ask for another toolchain, which would be downloaded now,
	// and may set registries: neither is for this machine's own settings.
	cmd.Dir = "/"
	cmd.Env = append(slices.Clone(c.env), "GOTOOLCHAIN=local")
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// proxyList reads a GOPROXY. What is no proxy over HTTP (direct, off, a folder)
// is passed over.
func proxyList(list string) []url.URL {
	var all []url.URL
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
		if u := address(strings.TrimSpace(word)); u != nil {
			all = append(all, *u)
		}
	}
	return all
}

// address reads the address of a service, or returns nil.
func address(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil
	}
	return u
}

func basicAuth(u *url.Userinfo) string {
	password, _ := u.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password))
}
