package outlast

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/dockerfile"
	"github.com/outlast-build/outlast/engine"
	"github.com/outlast-build/outlast/gateway/forward"
	"github.com/outlast-build/outlast/gateway/git"
	"github.com/outlast-build/outlast/gateway/web"
)

// added are the files and repositories that ADDs of a recipe ask web servers for.
// What a variable of an image is part of is not known.
func (rec recipe) added() []dockerfile.Need {
	var all []dockerfile.Need
	for _, n := range rec.needs {
		same := func(o dockerfile.Need) bool {
			return o.Kind == n.Kind && o.Ref == n.Ref && o.Point == n.Point && o.Checksum == n.Checksum
		}
		if (n.Kind == dockerfile.AddURL || n.Kind == dockerfile.Git) && len(n.Unset) == 0 && n.Host != "" && !slices.ContainsFunc(all, same) {
			all = append(all, n)
		}
	}
	return all
}

// detourOf returns the way to a source over the gateway, HOST:PORT, or false
// where it is left to its own server.
func detourOf(gatewayAt string, n dockerfile.Need) (engine.Detour, bool) {
	d := engine.Detour{Address: n.Ref, Checksum: n.Checksum, Git: n.Kind == dockerfile.Git, Point: n.Point}
	ok := false
	if d.Git {
		d.At, ok = git.Address(gatewayAt, n.Ref, n.Point)
	} else {
		d.At, ok = web.Address(gatewayAt, n.Ref, digest.Digest(n.Checksum))
	}
	return d, ok
}

// webHosts are the hosts of what ADD asks for.
func (b *build) webHosts() []string {
	var hosts []string
	for _, rec := range b.recipes() {
		for _, n := range rec.added() {
			if _, ok := detourOf("gateway.invalid", n); ok && !slices.Contains(hosts, n.Host) {
				hosts = append(hosts, n.Host)
			}
		}
	}
	return hosts
}

// recipes are that of the Dockerfile, and that of the one beside it.
func (b *build) recipes() []recipe {
	if b.resilient == nil {
		return []recipe{b.recipe}
	}
	return []recipe{b.recipe, *b.resilient}
}

// detours lead what ADD asks for through the gateway. Hosts at private addresses
// are left to the builder, as the gateway goes to none that the settings do not
// name, and so are repositories where the build has a login for git: BuildKit
// would not give it for another address.
func (b *build) detours(ctx context.Context, rec recipe) []engine.Detour {
	var all []engine.Detour
	for _, n := range rec.added() {
		d, ok := detourOf(b.mirror.address, n)
		if ok && !(d.Git && b.gitLogin()) && b.open(ctx, n.Host) {
			all = append(all, d)
		}
	}
	return all
}

// gitLogin reports whether a secret of the build is one for git.
func (b *build) gitLogin() bool {
	return slices.ContainsFunc(b.args().All("secret"), func(s string) bool {
		return strings.Contains(s, "GIT_AUTH_TOKEN") || strings.Contains(s, "GIT_AUTH_HEADER")
	})
}

// open reports whether the gateway may go to a host, as far as its addresses can
// be told within a second. It says so once for each that it may not.
func (b *build) open(ctx context.Context, host string) bool {
	if known, ok := b.opened[host]; ok {
		return known
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	guard := forward.Guard{Hosts: b.packages.Hosts}
	var refused error
	if !b.Offline {
		addrs, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		for _, a := range addrs {
			if refused = guard.Permit(host, a); refused == nil {
				break
			}
		}
	}
	if refused != nil {
		b.note(fmt.Sprintf("%s: not through the gateway: %v", host, refused))
	}
	if b.opened == nil {
		b.opened = make(map[string]bool)
	}
	b.opened[host] = refused == nil
	return refused == nil
}
