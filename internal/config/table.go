package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// A row is one setting. Its key makes its place in a file (store: {size: …}),
// the name of its variable (OUTLAST_STORE_SIZE) and its line in
// `outlast config` and docs/settings.md.
type row struct {
	key     string
	kind    kind
	initial string // as a file would have it; empty where place decides
	doc     string // one sentence, for docs/settings.md
	at      func(*Settings) any
	// project tells why a value from a project's file is not taken where it
	// would change something, or returns "". Nil takes any.
	project func(l *loader, at any) string
}

// table is every setting that has one value, or a list of words. Registries are
// a map, and stand in registries.go; checks are in probe.go.
var table = []row{
	{key: "store.path", kind: pathKind,
		doc:     "The folder that keeps what was fetched, so that later builds need no network for it. By default `$XDG_CACHE_HOME/outlast`, or `~/.cache/outlast`.",
		at:      func(s *Settings) any { return &s.Store.Path },
		project: ownStorePath},
	{key: "store.size", kind: sizeKind, initial: "20GiB",
		doc:     "How much the store may hold. Beyond it, what was not used for longest goes first.",
		at:      func(s *Settings) any { return &s.Store.Size },
		project: ownStoreSize},
	{key: "fetch.dial", kind: durationKind, initial: "2s",
		doc: "How long a connection may take to stand before another source is asked.",
		at:  func(s *Settings) any { return &s.Fetch.Dial }},
	{key: "fetch.header", kind: durationKind, initial: "5s",
		doc: "How long a service may be silent after a request before another source is asked.",
		at:  func(s *Settings) any { return &s.Fetch.Header }},
	{key: "fetch.idle", kind: durationKind, initial: "10s",
		doc: "How long a transfer may stall before it goes on at another source.",
		at:  func(s *Settings) any { return &s.Fetch.Idle }},
	{key: "fetch.budget", kind: durationKind, initial: "10s",
		doc: "How long one build waits in all for services to come back, when every source of something has failed.",
		at:  func(s *Settings) any { return &s.Fetch.Budget }},
	{key: "gateway.listen", kind: addressKind, initial: "127.0.0.1:5100",
		doc:     "Where `outlast gateway` listens.",
		at:      func(s *Settings) any { return &s.Gateway.Listen },
		project: loopbackOnly},
	{key: "gateway.public", kind: boolKind, initial: "false",
		doc:     "Whether `outlast gateway` may listen where other machines reach it. They then pull what your logins may pull.",
		at:      func(s *Settings) any { return &s.Gateway.Public },
		project: notTaken("only your own settings open the gateway to other machines")},
	{key: "serve.listen", kind: addressKind, initial: "127.0.0.1:5180",
		doc:     "Where `outlast serve` shows the dashboard. Where other machines reach it, a token is needed.",
		at:      func(s *Settings) any { return &s.Serve.Listen },
		project: loopbackOnly},
	{key: "serve.check", kind: durationKind, initial: "5m",
		doc: "How long `outlast serve` waits between two looks at the services.",
		at:  func(s *Settings) any { return &s.Serve.Check }},
	{key: "packages.prepare", kind: boolKind, initial: "true",
		doc: "Whether package managers in `RUN` are led through the gateway, by a copy of the Dockerfile with secret mounts.",
		at:  func(s *Settings) any { return &s.Packages.Prepare }},
	{key: "packages.go", kind: websKind, initial: "",
		doc:     "Go module proxies, in the order of preference. By default those of `GOPROXY`, or of `go env GOPROXY`.",
		at:      func(s *Settings) any { return &s.Packages.Go },
		project: ownPackages},
	{key: "packages.npm", kind: websKind, initial: "",
		doc:     "npm's registry, and behind it others that stand in for it. By default what npm is set to.",
		at:      func(s *Settings) any { return &s.Packages.NPM },
		project: ownPackages},
	{key: "packages.pip", kind: websKind, initial: "",
		doc:     "An index of Python packages, and behind it others that stand in for it. By default that of `PIP_INDEX_URL`.",
		at:      func(s *Settings) any { return &s.Packages.Pip },
		project: ownPackages},
	{key: "packages.private", kind: namesKind, initial: "",
		doc: "npm packages (`acme-*`) and scopes (`@acme`) that npm's registry alone is asked for, and nobody that stands in for it.",
		at:  func(s *Settings) any { return &s.Packages.Private }},
	{key: "packages.apt", kind: standInsKind, initial: "",
		doc:     "Mirrors of apt's repositories: a host, or a folder on it, and an address that has the same files.",
		at:      func(s *Settings) any { return &s.Packages.Apt },
		project: ownPackages},
	{key: "packages.apk", kind: standInsKind, initial: "",
		doc:     "Mirrors of apk's repositories: a host, or a folder on it, and an address that has the same files.",
		at:      func(s *Settings) any { return &s.Packages.Apk },
		project: ownPackages},
	{key: "packages.files", kind: standInsKind, initial: "",
		doc:     "Mirrors of what `ADD` asks web servers for: a host, or a folder on it, and an address that has the same files or git repositories.",
		at:      func(s *Settings) any { return &s.Packages.Files },
		project: ownPackages},
	{key: "packages.hosts", kind: hostsKind, initial: "",
		doc:     "Hosts that the gateway's proxy may connect to although they are at no public address, as `HOST` or `HOST:PORT`.",
		at:      func(s *Settings) any { return &s.Packages.Hosts },
		project: ownPackages},
	{key: "probe.budget", kind: timeoutKind, initial: "2s",
		doc: "How long all checks of the services may take together. What has not answered by then does not answer.",
		at:  func(s *Settings) any { return &s.Probe.Budget }},
	{key: "probe.points.actions", kind: pointsKind, initial: "20",
		doc: "What the cache service of GitHub Actions counts in an assessment. Outside of Actions it is left out.",
		at:  func(s *Settings) any { return &s.Probe.Points.Actions }},
	{key: "probe.points.registries", kind: pointsKind, initial: "30",
		doc: "What registries count: the primary ones, and those besides that a build needs, all of them the same.",
		at:  func(s *Settings) any { return &s.Probe.Points.Registries }},
	{key: "probe.points.proxies", kind: pointsKind, initial: "25",
		doc: "What package registries count: the Go module proxies together, and each of the others that a build needs as much as they.",
		at:  func(s *Settings) any { return &s.Probe.Points.Proxies }},
	{key: "probe.points.dns", kind: pointsKind, initial: "15",
		doc: "What the names count, all of them the same.",
		at:  func(s *Settings) any { return &s.Probe.Points.DNS }},
	{key: "probe.points.internet", kind: pointsKind, initial: "10",
		doc: "What a connection to anywhere counts.",
		at:  func(s *Settings) any { return &s.Probe.Points.Internet }},
	{key: "probe.registries", kind: imagesKind, initial: "gcr.io/distroless/static:nonroot, docker.io/library/alpine:latest, ghcr.io/containerd/busybox:1.36",
		doc: "The primary registries, each by an image that everybody may pull.",
		at:  func(s *Settings) any { return &s.Probe.Registries }},
	{key: "probe.samples", kind: imagesKind, initial: "docker.io/library/alpine:latest, docker.io/library/debian:stable-slim, " +
		"gcr.io/distroless/static:nonroot, ghcr.io/containerd/busybox:1.36, quay.io/prometheus/busybox:latest, registry.k8s.io/pause:3.9",
		doc: "The images by which `outlast mirrors` compares mirrors with their origins.",
		at:  func(s *Settings) any { return &s.Probe.Samples }},
	{key: "probe.proxies", kind: websKind, initial: "https://goproxy.io, https://goproxy.cn",
		doc: "Go module proxies that are checked besides those of `GOPROXY`, or of `go env GOPROXY`.",
		at:  func(s *Settings) any { return &s.Probe.Proxies }},
	{key: "probe.module", kind: moduleKind, initial: "golang.org/x/text@v0.3.8",
		doc: "What a Go module proxy is asked for. Without a version it is the list of versions.",
		at:  func(s *Settings) any { return &s.Probe.Module }},
	{key: "probe.internet", kind: placesKind, initial: "1.1.1.1:443, 8.8.8.8:443, https://github.com",
		doc: "Where a connection is tried. One that opens is enough.",
		at:  func(s *Settings) any { return &s.Probe.Internet }},
	{key: "build.strategy", kind: strategyKind, initial: "auto",
		doc: "How much of the outside a build relies on. `auto` goes by what was measured ([strategies.md](strategies.md)).",
		at:  func(s *Settings) any { return &s.Build.Strategy }},
	{key: "build.attempts", kind: attemptsKind, initial: "3",
		doc: "How often a build is tried at most. It is tried again only where that can help.",
		at:  func(s *Settings) any { return &s.Build.Attempts }},
	{key: "build.wait", kind: durationKind, initial: "2m",
		doc: "How long one build waits in all between its attempts.",
		at:  func(s *Settings) any { return &s.Build.Wait }},
	{key: "build.idle", kind: timeoutKind, initial: "10m",
		doc: "How long an attempt may go on without a line of output or a byte of progress. After that it hangs, and is ended.",
		at:  func(s *Settings) any { return &s.Build.Idle }},
	{key: "build.deadline", kind: timeoutKind, initial: "2h",
		doc: "How long all attempts of one build may take together.",
		at:  func(s *Settings) any { return &s.Build.Deadline }},
	{key: "thresholds.optimal", kind: percentKind, initial: "80",
		doc: "The least health of the services, in percent, for the strategy optimal.",
		at:  func(s *Settings) any { return &s.Thresholds.Optimal }},
	{key: "thresholds.resilient", kind: percentKind, initial: "60",
		doc: "The same for resilient.",
		at:  func(s *Settings) any { return &s.Thresholds.Resilient }},
	{key: "thresholds.conservative", kind: percentKind, initial: "40",
		doc: "The same for conservative. Below it is emergency.",
		at:  func(s *Settings) any { return &s.Thresholds.Conservative }},
	{key: "timeouts.optimal", kind: timeoutKind, initial: "40m",
		doc: "How long one attempt with the strategy optimal may take.",
		at:  func(s *Settings) any { return &s.Timeouts.Optimal }},
	{key: "timeouts.resilient", kind: timeoutKind, initial: "30m",
		doc: "The same for resilient.",
		at:  func(s *Settings) any { return &s.Timeouts.Resilient }},
	{key: "timeouts.conservative", kind: timeoutKind, initial: "20m",
		doc: "The same for conservative.",
		at:  func(s *Settings) any { return &s.Timeouts.Conservative }},
	{key: "timeouts.emergency", kind: timeoutKind, initial: "15m",
		doc: "The same for emergency.",
		at:  func(s *Settings) any { return &s.Timeouts.Emergency }},
	{key: "cache.local", kind: pathKind,
		doc:     "A folder with a build cache, which builds read and, once they have succeeded, write anew. By default there is none: the builder's own cache is not touched by this.",
		at:      func(s *Settings) any { return &s.Cache.Local },
		project: ownCachePath},
	{key: "cache.registry", kind: referenceKind,
		doc: "An image with a build cache, as in `registry.example.com/app:cache`, which builds read and, once they have succeeded, write anew. By default there is none.",
		at:  func(s *Settings) any { return &s.Cache.Registry }},
	{key: "cache.write", kind: boolKind, initial: "true",
		doc:     "Whether builds write `cache.registry`. By default they do, unless a project's file named it: what is sent goes with your login.",
		at:      func(s *Settings) any { return &s.Cache.Write },
		project: notTaken("a project's file does not decide what is written with your login")},
	{key: "cache.send", kind: timeoutKind, initial: "2m",
		doc: "How long a build that has succeeded may take to send caches to registries. What was sent by then is not sent again by the next build.",
		at:  func(s *Settings) any { return &s.Cache.Send }},
	{key: "cache.actions", kind: boolKind, initial: "true",
		doc: "Whether builds in a job of GitHub Actions use its cache service, through one of their own that no outage of GitHub's gets past ([actions-cache.md](actions-cache.md)).",
		at:  func(s *Settings) any { return &s.Cache.Actions }},
	{key: "history.keep", kind: boolKind, initial: "true",
		doc:     "Whether a record of each build and check is kept on this machine ([history.md](history.md)). Nothing is sent anywhere.",
		at:      func(s *Settings) any { return &s.History.Keep },
		project: notTaken("only your own settings say what is kept of your builds")},
	{key: "history.path", kind: pathKind,
		doc:     "The folder that keeps them. By default `$XDG_STATE_HOME/outlast`, or `~/.local/state/outlast`.",
		at:      func(s *Settings) any { return &s.History.Path },
		project: notTaken("only your own settings say what is kept of your builds")},
	{key: "history.age", kind: ageKind, initial: "365d",
		doc:     "How long they are kept.",
		at:      func(s *Settings) any { return &s.History.Age },
		project: notTaken("only your own settings say what is kept of your builds")},
	{key: "history.size", kind: sizeKind, initial: "1GiB",
		doc:     "How much the file may hold. Beyond it the oldest go first.",
		at:      func(s *Settings) any { return &s.History.Size },
		project: notTaken("only your own settings say what is kept of your builds")},
	{key: "actions.size", kind: sizeKind, initial: "10GiB",
		doc:     "How much the entries of the Actions cache may take in the local store, beside all else.",
		at:      func(s *Settings) any { return &s.Actions.Size },
		project: ownStoreSize},
	{key: "actions.budget", kind: timeoutKind, initial: "10s",
		doc: "How long one build may lose in all while GitHub's cache service fails or is silent.",
		at:  func(s *Settings) any { return &s.Actions.Budget }},
	{key: "actions.relay", kind: durationKind, initial: "2m",
		doc: "How long a build that is done may go on sending what it cached to GitHub's cache service. It gives up earlier where GitHub takes nothing for the time that is left of `actions.budget`.",
		at:  func(s *Settings) any { return &s.Actions.Relay }},
	{key: "actions.listen", kind: addressKind, initial: "127.0.0.1:5200",
		doc:     "Where `outlast actcache` listens.",
		at:      func(s *Settings) any { return &s.Actions.Listen },
		project: loopbackOnly},
	{key: "actions.public", kind: boolKind, initial: "false",
		doc:     "Whether `outlast actcache` may listen where other machines reach it.",
		at:      func(s *Settings) any { return &s.Actions.Public },
		project: notTaken("only your own settings open the cache service to other machines")},
}

// optional are the keys whose default is to have no value.
var optional = map[string]bool{"cache.local": true, "cache.registry": true}

func rowOf(key string) (row, bool) {
	i := slices.IndexFunc(table, func(r row) bool { return r.key == key })
	if i < 0 {
		return row{}, false
	}
	return table[i], true
}

// variable returns the environment variable of a key.
func variable(key string) string {
	return "OUTLAST_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// sections lists the keys of the table that stand below prefix: "" for the top
// level of a file, "store" for what is below store.
func sections(prefix string) []string {
	var keys []string
	all := []string{"registries"}
	for _, r := range table {
		all = append(all, r.key)
	}
	for _, key := range append(all, "probe.checks") {
		rest := key
		if prefix != "" {
			below, ok := strings.CutPrefix(key, prefix+".")
			if !ok {
				continue
			}
			rest = below
		}
		first, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(keys, first) {
			keys = append(keys, first)
		}
	}
	return keys
}

// ownStorePath lets a project's file keep a store within the project only: the
// store deletes what it does not need, in a layout that other programs use too.
func ownStorePath(l *loader, at any) string {
	path := *at.(*string)
	if within(l.projectDir, path) || path == l.defaultStore() {
		return ""
	}
	return "a project's file keeps its store inside the project, or where it is by default"
}

// ownStoreSize lets a project's file limit only a store that it named itself:
// a limit on the shared store deletes what other projects need.
func ownStoreSize(l *loader, _ any) string {
	if s := l.sources["store.path"]; s.Kind == ProjectFile && l.settings.Store.Path != l.defaultStore() {
		return ""
	}
	return "a project's file limits only a store inside the project: this one is shared"
}

// ownCachePath lets a project's file keep a cache within the project only: it
// is replaced whole after each build.
func ownCachePath(l *loader, at any) string {
	if within(l.projectDir, *at.(*string)) {
		return ""
	}
	return "a project's file keeps its cache inside the project"
}

// notTaken keeps a setting out of the hands of a project's file.
func notTaken(why string) func(*loader, any) string {
	return func(*loader, any) string { return why }
}

func loopbackOnly(_ *loader, at any) string {
	if address := *at.(*string); address[0] != ':' && Loopback(address) {
		return ""
	}
	return "a project's file may only name an address of this machine: 127.0.0.1"
}

// within reports whether path is dir or stands below it, links followed as far
// as the path exists.
func within(dir, path string) bool {
	if dir == "" {
		return false
	}
	rel, err := filepath.Rel(followed(dir), followed(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// followed resolves the links in the part of path that exists.
func followed(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(followed(parent), filepath.Base(path))
}
