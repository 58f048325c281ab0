package diagnose

import "github.com/outlast-build/outlast/fault"

// sign is something in a line, a URL or a command that tells which service was
// being used.
type sign struct {
	service string
	match   *Expression
}

// paths tell a service by the URL that was asked, whatever its host.
var paths = []sign{
	{"other", re(`(?i)//[^/]*(?:fulcio|rekor|sigstore|terraform|huggingface|nuget|packagist|bazel)`)},
	{"gha-cache", re(`(?i)artifactcache|_apis/artifact|actions-cache|actions-results|results-receiver|actions\.githubusercontent|productionresults`)},
	{"npm", re(`(?i)/-/[^/]*\.tgz|npmjs|yarnpkg|node-gyp|/node-v\d|nodejs\.org|/all_commits/|/v\d[\d.]*/node-v`)},
	{"auth", re(`(?i)//auth\.[\w.\-]+/`)},
	{"registry", re(`(?i)/token\b`)},
	{"registry", re(`(?i)/v2/|registry|/manifests/|/blobs/|docker\.io|gcr\.io|quay\.io|mcr\.microsoft|\.pkg\.dev|ecr\.|pkg-containers`)},
	{"go-proxy", re(`(?i)/@v/|/@latest|goproxy|sumdb|/lookup/\S+@v`)},
	{"pip", re(`(?i)/simple/|pythonhosted|pypi|\.whl\b|conda|/pkgs/main`)},
	{"apk", re(`(?i)APKINDEX|alpinelinux|\.apk\b`)},
	{"apt", re(`(?i)/dists/|/pool/|InRelease|archive\.ubuntu|\.deb$|/debian/|/ubuntu/`)},
	{"maven", re(`(?i)maven|\.jar\b|\.pom\b|gradle|grails|/m2/`)},
	{"cargo", re(`(?i)crates\.io|/crates/|rust-lang`)},
	{"gem", re(`(?i)rubygems|\.gem\b|/specs\.`)},
	{"git", re(`(?i)\.git\b|info/refs`)},
}

// words tell a service by how its client speaks.
var tongues = []sign{
	{"auth", re(`failed to (?:authorize|fetch (?:oauth|anonymous) token)`)},
	{"gha-cache", re(`(?i)getCacheEntry|saveCache|reserveCache|cache service|GitHub Actions Cache|type=gha|Failed to (?:save|restore)|cache entry|artifactcache`)},
	{"npm", re(`(?i)^npm (?:ERR!|error|warn|notice)|^yarn |^gyp |\bpnpm|ERR_PNPM|YN\d{4}|node_modules|puppeteer|playwright|prebuild-install|node-pre-gyp|\[\d/\d\] Fetching packages|lerna|npm install`)},
	{"pip", re(`(?i)\bpip\b|urllib3|HTTPSConnectionPool|^Collecting |conda|poetry|pyproject\.toml|\buv\b|setuptools|PyPI|\(from -r `)},
	{"go-proxy", re(`^go: |^go get |go: downloading|go proxy|GOPROXY|^\s*github\.com/\S+@v\d|verifying module`)},
	{"network", re(`repomd|metalink|mirrorlist|metadata for repo|\bdnf\b`)},
	{"apk", re(`(?i)alpinelinux|APKINDEX|\bapk\b|required by: world`)},
	{"apt", re(`^(?:[EW]|(?:Err|Get|Hit|Ign):\d+):? |^E: |apt-get|\bapt\b|dpkg|Reading package lists|InRelease`)},
	{"other", re(`(?i)fulcio|rekor|terraform|provider packages|packagist|hex\.pm|bazel|nuget|\bNU1\d\d\d\b|composer|Error downloading \[|huggingface|Failed host lookup|pub get failed`)},
	{"maven", re(`(?i)maven|\bmvnw?\b|gradle|Could not (?:transfer artifact|resolve (?:all|dependencies|\S+:\S+:)|get resource|GET '|HEAD ')|\.jar\b|\.pom\b|\[ERROR\] Failed to execute goal|sbt|grails|ivy|Exception in thread "main"`)},
	{"cargo", re(`(?i)\bcargo\b|crates\.io|^\s*(?:Downloading|Downloaded|Updating) crates|spurious network error|rustup`)},
	{"gem", re(`(?i)rubygems|Gemfile|depends on Ruby|bundler|bundle install|Gem::|\bgem install`)},
	{"git", re(`(?i)Cloning into|^fatal: |^ssh: |git clone|unable to access|RPC failed|remote: `)},
	{"buildkit", re(`moby\.buildkit\.|buildkitd`)},
	{"registry-cache", re(`(?i)error writing (?:layer|manifest|config) blob|exporting cache|importing cache manifest|cache (?:im|ex)porter|type=registry`)},
	{"registry", re(`(?i)filesystem from image|copying system image|storing blob|pinging container registry|initializing source docker|extract(?:ing)? layer|(?:building|pushing) image|push permission|docker pull|pulling image|pull token|\bload metadata|pushing (?:layers|manifest)|failed to (?:push|pull|copy|resolve source metadata)|httpReadSeeker|Error response from daemon|manifest|\bregistry\b|Unable to find image|docker\.io/|pull access|exporting to image|\bjib\b`)},
}

// service tells what was being used where h stands: by the URL of the line, by
// the words of the line, by the command that failed, by the lines nearby.
func (l *log) service(h hit) string {
	if s := l.stage(); s != "" {
		return s
	}
	if speaker.MatchString(l.lines[h.at].text) {
		// It says itself who failed; what the same command would have done next
		// had no part in it.
		if h.p.Kind == fault.DNS {
			return "dns"
		}
		return "network"
	}
	if h.p.Kind == fault.DNS {
		// Clients of their own protocol are named for it; all others failed
		// at nothing but the name.
		switch s := l.near(h); s {
		case "npm", "pip", "apk", "maven", "gem", "cargo", "other":
			return s
		}
		return "dns"
	}
	if s := l.near(h); s != "" {
		return s
	}
	switch h.p.Kind {
	case fault.Connection, fault.Timeout, fault.TLS, fault.Outage, fault.RateLimited, fault.HTML, fault.Truncated:
		if _, ok := lastURL(l.lines[h.at].text); !ok {
			return "network"
		}
	}
	return "other"
}

// speaker is a program for downloads that says how it failed.
var speaker = re(`^(?:[^:]* )?(?:curl: \(\d+\)|wget: )`)

// near looks for the service around a match.
func (l *log) near(h hit) string {
	line := l.lines[h.at]
	if u, ok := lastURL(line.text); ok {
		if s := first(paths, "//"+u.host+u.path); s != "" {
			return s
		}
	}
	if s := first(tongues, line.text); s != "" {
		return s
	}
	for i := len(l.command) - 1; i >= 0; i-- {
		if s := l.caller(l.command[i]); s != "" {
			return s
		}
	}
	for _, i := range l.around(h.at, 12)[1:] {
		if u, ok := lastURL(l.lines[i].text); ok {
			if s := first(paths, "//"+u.host+u.path); s != "" {
				return s
			}
		}
		if s := first(tongues, l.lines[i].text); s != "" {
			return s
		}
	}
	return ""
}

func first(signs []sign, text string) string {
	for _, s := range signs {
		if s.match.MatchString(text) {
			return s.service
		}
	}
	return ""
}

// callers are the programs that use a service.
var callers = map[string]string{
	"apt": "apt", "apt-get": "apt", "apk": "apk", "npm": "npm", "npx": "npm", "yarn": "npm", "pnpm": "npm", "node": "npm",
	"pip": "pip", "pip3": "pip", "python": "pip", "python3": "pip", "poetry": "pip", "uv": "pip", "conda": "pip", "mamba": "pip", "pipenv": "pip",
	"go": "go-proxy", "mvn": "maven", "mvnw": "maven", "gradle": "maven", "gradlew": "maven", "sbt": "maven",
	"cargo": "cargo", "rustup": "cargo", "gem": "gem", "bundle": "gem", "git": "git",
	"curl": "network", "wget": "network", "dnf": "network", "yum": "network", "microdnf": "network", "gpg": "network",
}

var instruction = re(`^(?:RUN|COPY|ADD|FROM)\s+`)

// caller tells the service of a command. Where it calls several programs, the
// last that is known counts, but curl and wget only if there is no other.
func (l *log) caller(command string) string {
	switch {
	case regexpFrom.MatchString(command):
		return "registry"
	case regexpAdd.MatchString(command):
		return "network"
	case regexpCopy.MatchString(command):
		return ""
	}
	found := ""
	for _, name := range programs(instruction.ReplaceAllString(command, "")) {
		if s := callers[name]; s != "" && (s != "network" || found == "") {
			found = s
		}
	}
	return found
}

var (
	regexpFrom = re(`(?i)^FROM |load metadata for|^docker (?:pull|push)`)
	regexpAdd  = re(`^ADD (?:--\S+ )*https?://`)
	regexpCopy = re(`^(?:COPY|ADD) `)
)

// stages are steps that BuildKit makes itself: their name tells what failed.
var stages = []struct {
	service string
	kind    fault.Kind
	match   *Expression
}{
	{"gha-cache", fault.CacheExport, re(`(?i)exporting to GitHub Actions Cache`)},
	{"gha-cache", fault.CacheImport, re(`(?i)importing cache manifest from gha`)},
	{"registry-cache", fault.CacheImport, re(`(?i)importing cache manifest from `)},
	{"", fault.CacheExport, re(`(?i)^exporting cache`)},
	{"buildkit", fault.Engine, re(`(?i)booting buildkit`)},
	{"registry", fault.Unknown, re(`(?i)load metadata for |^exporting to image|^pushing |^merging manifest list`)},
}

// stage returns the service of the step that failed, where the step is
// BuildKit's own and a cache's.
func (l *log) stage() string {
	for _, s := range stages {
		if s.kind != fault.Unknown && s.kind != fault.Engine && s.match.MatchString(l.title) {
			return s.service
		}
	}
	return ""
}
