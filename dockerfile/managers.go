package dockerfile

import (
	"maps"
	"slices"
	"strings"
)

// manager is a program that fetches packages.
type manager struct {
	ref   string          // its name in a Need
	verbs map[string]bool // subcommands that ask the network; nil means all do
	bare  bool            // so does the program without a subcommand
	not   map[string]bool // with one of these among its words it stays at home
}

// managers are known by the name of the program. A program that is not here is
// not seen; one that is here and fetches nothing costs a health check.
var managers = func() map[string]*manager {
	m := make(map[string]*manager)
	for _, row := range []struct {
		ref, programs, verbs, not string
		bare                      bool
	}{
		{ref: "apt", programs: "apt apt-get aptitude", verbs: "update install upgrade full-upgrade dist-upgrade build-dep source download satisfy", not: "--no-download --print-uris"},
		{ref: "apk", programs: "apk", verbs: "add update upgrade fetch", not: "--no-network"},
		{ref: "rpm", programs: "yum dnf dnf5 microdnf tdnf zypper", verbs: "install in update up upgrade makecache groupinstall group module reinstall download refresh ref builddep", not: "--cacheonly -C"},
		{ref: "pacman", programs: "pacman yay", verbs: "-S -Sy -Syu -Syyu -Su -Syy"},
		{ref: "go", programs: "go", verbs: "mod get install build test run vet generate list work tool", not: "-mod=vendor init edit fmt graph verify"},
		{ref: "npm", programs: "npm", verbs: "ci install i add update up upgrade exec install-test it clean-install audit view", not: "--offline"},
		{ref: "npm", programs: "npx pnpx bunx corepack bun deno", verbs: ""},
		{ref: "yarn", programs: "yarn yarnpkg", verbs: "install add up upgrade dlx create global import set plugin workspaces", not: "--offline", bare: true},
		{ref: "pnpm", programs: "pnpm", verbs: "install i add fetch update up upgrade dlx import deploy create", not: "--offline"},
		{ref: "pip", programs: "pip pip2 pip3 pipx pipenv pdm", verbs: "install download wheel sync update lock add run upgrade", not: "--no-index"},
		{ref: "uv", programs: "uv uvx", verbs: "sync pip add lock tool run python build self export venv", not: "--offline", bare: true},
		{ref: "poetry", programs: "poetry", verbs: "install add update lock sync self build", not: ""},
		{ref: "conda", programs: "conda mamba micromamba", verbs: "install create update env", not: "--offline"},
		{ref: "cargo", programs: "cargo", verbs: "build b check c test t run r install fetch update add doc bench clippy vendor cook rustc generate-lockfile zigbuild auditable binstall", not: "--offline --frozen"},
		{ref: "rustup", programs: "rustup", verbs: "toolchain target component update install default self"},
		{ref: "gem", programs: "gem", verbs: "install update fetch i", not: "--local"},
		{ref: "gem", programs: "bundle bundler", verbs: "install update package cache add lock", not: "--local", bare: true},
		{ref: "maven", programs: "mvn mvnw mvnd", not: "-o --offline -v --version -version", bare: true},
		{ref: "gradle", programs: "gradle gradlew", not: "--offline -v --version", bare: true},
		{ref: "sbt", programs: "sbt sbtx", bare: true},
		{ref: "composer", programs: "composer", verbs: "install update require create-project global self-update", not: ""},
		{ref: "nuget", programs: "dotnet nuget", verbs: "restore build publish test run pack add tool workload install", not: "--no-restore"},
		{ref: "hex", programs: "mix", verbs: "deps.get deps.update local.hex local.rebar archive.install do"},
		{ref: "hex", programs: "rebar3", verbs: "get-deps compile release upgrade escriptize"},
		{ref: "cpan", programs: "cpan cpanm", bare: true},
		{ref: "pecl", programs: "pecl pear", verbs: "install upgrade"},
		{ref: "luarocks", programs: "luarocks", verbs: "install make build"},
		{ref: "hackage", programs: "cabal stack", verbs: "update install build setup"},
		{ref: "opam", programs: "opam", verbs: "init install update upgrade"},
		{ref: "pub", programs: "dart flutter", verbs: "pub"},
		{ref: "swift", programs: "swift", verbs: "build package test run"},
		{ref: "conan", programs: "conan", verbs: "install create"},
		{ref: "nix", programs: "nix nix-env nix-build nix-shell nix-channel", bare: true},
	} {
		entry := &manager{ref: row.ref, bare: row.bare, not: words(row.not)}
		if row.verbs != "" {
			entry.verbs = words(row.verbs)
		}
		for program := range strings.FieldsSeq(row.programs) {
			m[program] = entry
		}
	}
	for _, program := range []string{"curl", "wget", "aria2c", "git", "python", "python2", "python3"} {
		m[program] = &manager{} // seen by fetched, for wrapped
	}
	return m
}()

// Managers lists the names of package managers that can stand in the Ref of a
// Need, sorted.
func Managers() []string {
	names := make(map[string]bool)
	for _, m := range managers {
		if m.ref != "" {
			names[m.ref] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// fetches returns what a command asks the network for: a package manager, or
// the URL of curl, wget or git.
func (c call) fetches(e env) (kind NeedKind, what string, ok bool) {
	switch name := c.name(); name {
	case "python", "python2", "python3":
		for i, w := range c {
			if w == "-m" && i+1 < len(c) {
				return call(c[i+1:]).fetches(e)
			}
		}
		return "", "", false
	case "curl", "wget", "aria2c":
		return c.url(RunURL)
	case "git":
		switch c.verb(words("clone fetch pull submodule ls-remote remote")) {
		case "clone", "ls-remote":
			if kind, what, ok = c.url(Git); ok {
				return kind, what, ok
			}
			return Git, "git", true
		case "fetch", "pull", "submodule":
			return Git, "git", true
		}
		return "", "", false
	default:
		m := managers[name]
		if m == nil || !m.fetches(c[1:]) || m.ref == "go" && c.vendored(e) {
			return "", "", false
		}
		return Packages, m.ref, true
	}
}

func (m *manager) fetches(args []string) bool {
	for _, w := range args {
		if m.not[w] {
			return false
		}
	}
	if m.verbs == nil {
		return m.bare || len(args) > 0
	}
	verb := call(append([]string{""}, args...)).verb(m.verbs)
	if verb == "" {
		return m.bare && !slices.ContainsFunc(args, isWord)
	}
	return true
}

func isWord(w string) bool { return !strings.HasPrefix(w, "-") }

// verb returns the subcommand, if it is one of verbs. A word behind an option
// may be that option's value, and is passed over; "chef" and "deps" and the
// like are passed over by their rows' verbs alone.
func (c call) verb(verbs map[string]bool) string {
	option := false
	for _, w := range c[1:] {
		switch {
		case verbs[w]:
			return w
		case strings.HasPrefix(w, "-"), strings.HasPrefix(w, "+"):
			option = !strings.Contains(w, "=")
		case option:
			option = false
		case w == "chef": // cargo chef cook
		default:
			return ""
		}
	}
	return ""
}

// vendored reports whether go is told to stay at home by its environment.
func (c call) vendored(e env) bool {
	flags, _ := e.Get("GOFLAGS")
	proxy, _ := e.Get("GOPROXY")
	return strings.Contains(flags, "-mod=vendor") || proxy == "off"
}

// url returns the first word that is a URL.
func (c call) url(kind NeedKind) (NeedKind, string, bool) {
	for _, w := range c[1:] {
		w = w[max(0, strings.LastIndex(w, "=http")+1):] // --url=https://…
		for _, scheme := range []string{"https://", "http://", "ftp://", "git://", "ssh://", "git@"} {
			if strings.HasPrefix(w, scheme) {
				return kind, w, true
			}
		}
	}
	return "", "", false
}
