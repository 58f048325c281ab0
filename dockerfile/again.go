package dockerfile

import (
	"slices"
	"strings"
)

// retried are the subcommands of package managers that fetch, and do nothing
// that fails for reasons of the user's own as often as not, as compilers and
// tests do. A file has nobody to tell the one from the other.
var retried = func() map[string]map[string]bool {
	m := make(map[string]map[string]bool)
	for manager, verbs := range map[string]string{
		"apt": "update install upgrade full-upgrade dist-upgrade build-dep source download satisfy", "apk": "add update upgrade fetch",
		"rpm": "install in update up upgrade makecache refresh ref groupinstall reinstall download builddep", "pacman": "-S -Sy -Syu -Syyu -Su -Syy",
		"go": "mod get", "npm": "ci install i add update up upgrade clean-install", "yarn": "install add up upgrade", "pnpm": "install i add fetch update up upgrade",
		"pip": "install download wheel", "uv": "sync pip add lock", "poetry": "install add update lock sync", "conda": "install create update env",
		"cargo": "fetch update", "rustup": "toolchain target component update install default", "gem": "install update fetch package", "composer": "install update require",
		"nuget": "restore", "hex": "deps.get local.hex local.rebar get-deps", "luarocks": "install", "hackage": "update", "opam": "update", "conan": "install",
	} {
		m[manager] = words(verbs)
	}
	return m
}()

// again reports whether a command that fetches may be tried again for nothing
// but that, by the manager's name.
func (c call) again(manager string) bool {
	if c.name() == "npx" || manager == "npm" && c.name() != "npm" {
		return false
	}
	if len(c) == 1 {
		return manager == "yarn"
	}
	if c.verb(retried[manager]) != "" {
		return true
	}
	// A tool by its version is fetched, and compiled by its author before.
	return manager == "go" && c.verb(words("install")) != "" &&
		slices.ContainsFunc(c[1:], func(w string) bool { return strings.Contains(w, "@") })
}
