package diagnose_test

import (
	"strings"
	"testing"

	"github.com/outlast-build/outlast/diagnose"
	"github.com/outlast-build/outlast/fault"
)

// Outputs in the forms in which tools, builders and CI systems speak. help is
// three letters: r for another try, f for another route, u for the user's own.
var cases = []struct {
	name, service, help string
	kind                fault.Kind
	text                string
}{
	// Registries.
	{"a registry is down", "registry", "rf", fault.Outage, "#2 [internal] load metadata for quay.io/team/app:1\n#2 ERROR: unexpected status from HEAD request to https://quay.io/v2/team/app/manifests/1: 503 Service Unavailable\n------\n > [internal] load metadata for quay.io/team/app:1:\n------\nERROR: failed to solve: quay.io/team/app:1: unexpected status from HEAD request to https://quay.io/v2/team/app/manifests/1: 503 Service Unavailable"},
	{"a proxy in between has expired", "registry", "f", fault.TLS, `Error response from daemon: Get "https://registry-1.docker.io/v2/": x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is before 2026-01-02T00:00:00Z`},
	{"a pull breaks off", "registry", "rf", fault.Connection, "ERROR: failed to solve: failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://pkg-containers.githubusercontent.com/ghcr1/blobs/sha256:0a\": read tcp 10.0.0.4:41000->203.0.113.5:443: read: connection reset by peer"},
	{"a push breaks off", "registry", "rf", fault.Connection, "#20 pushing layers 31.2s done\n#20 ERROR: failed to push ghcr.io/a/b:latest: failed to copy: io: read/write on closed pipe"},
	{"a push is not allowed", "auth", "u", fault.Auth, "#20 ERROR: failed to push ghcr.io/a/b:latest: unexpected status from POST request to https://ghcr.io/v2/a/b/blobs/uploads/: 403 Forbidden"},
	{"a login fails", "auth", "u", fault.Auth, "Error response from daemon: Get \"https://ghcr.io/v2/\": denied: denied"},
	{"no login", "auth", "u", fault.Auth, "no basic auth credentials"},
	{"a private image", "auth", "u", fault.Auth, "Error response from daemon: pull access denied for acme/private-api, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"},
	{"a tag that is not there", "registry", "u", fault.NotFound, "ERROR: failed to solve: node:99-alpine: failed to resolve source metadata for docker.io/library/node:99-alpine: docker.io/library/node:99-alpine: not found"},
	{"Docker Hub's quota", "registry", "f", fault.RateLimited, "failed to solve: alpine:3: failed to resolve source metadata for docker.io/library/alpine:3: failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://registry-1.docker.io/v2/library/alpine/manifests/sha256:aa: 429 Too Many Requests\ntoomanyrequests: You have reached your unauthenticated pull rate limit."},
	{"a page from a registry", "registry", "rf", fault.HTML, `error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: "<html><head><title>502 Bad Gateway</title></head>"`},
	{"a token that hangs", "auth", "rf", fault.TLS, `failed to fetch anonymous token: Get "https://auth.docker.io/token?scope=repository%3Alibrary%2Fnode%3Apull&service=registry.docker.io": net/http: TLS handshake timeout`},
	{"a wrong layer", "registry", "rf", fault.Corrupt, "failed to register layer: filesystem layer verification failed for digest sha256:aa"},
	{"IPv6 without a route", "registry", "rf", fault.Connection, `Get "https://registry-1.docker.io/v2/": dial tcp [2600:1f18::1]:443: connect: network is unreachable`},
	{"a registry on this machine", "registry", "u", fault.Config, `failed to do request: Head "http://localhost:5000/v2/app/manifests/latest": dial tcp 127.0.0.1:5000: connect: connection refused`},
	{"plain HTTP", "registry", "u", fault.Config, `Error response from daemon: Get "https://192.168.1.10:5000/v2/": http: server gave HTTP response to HTTPS client`},
	{"podman pulls through an outage", "registry", "rf", fault.Outage, `Error: creating build container: initializing source docker://quay.io/a/b:1: reading manifest 1 in quay.io/a/b: received unexpected HTTP status: 502 Bad Gateway`},
	{"kaniko pushes into a time-out", "registry", "rf", fault.Timeout, "error pushing image: failed to push to destination registry.example.com/a:1: Put \"https://registry.example.com/v2/a/manifests/1\": context deadline exceeded"},

	{"the base image's registry times out", "registry", "rf", fault.Timeout, `ERROR: failed to solve: node: failed to resolve source metadata for docker.io/library/node:latest: failed to do request: Head "https://registry-1.docker.io/v2/library/node/manifests/latest": dial tcp 203.0.113.5:443: i/o timeout`},
	{"a layer that ends too early", "registry", "rf", fault.Connection, "ERROR: failed to solve: failed to compute cache key: short read: expected 2286004 bytes but got 0: unexpected EOF"},

	// Names.
	{"the resolver is gone", "dns", "rf", fault.DNS, `failed to do request: Head "https://registry-1.docker.io/v2/library/golang/manifests/1.26": dial tcp: lookup registry-1.docker.io on 127.0.0.11:53: server misbehaving`},
	{"the resolver is silent", "dns", "rf", fault.DNS, "dial tcp: lookup ghcr.io on 10.96.0.10:53: read udp 10.0.0.1:4000->10.96.0.10:53: i/o timeout"},
	{"curl has no name", "dns", "rf", fault.DNS, "curl: (6) Could not resolve host: dl.example.com"},
	{"wget has no name", "dns", "rf", fault.DNS, "wget: unable to resolve host address 'dl.example.com'"},
	{"busybox's wget has no name", "dns", "rf", fault.DNS, "wget: bad address 'dl.example.com'"},
	{"a database by its short name", "other", "u", fault.Config, "Error: getaddrinfo ENOTFOUND postgres\n    at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:107:26)"},

	// Caches.
	{"the Actions cache's page", "gha-cache", "rf", fault.HTML, "#30 exporting to GitHub Actions Cache\n#30 ERROR: failed to parse error response 400: <!DOCTYPE html><html><head><title>Our services aren't available right now</title>: invalid character '<' looking for beginning of value"},
	{"the action's warning of a cache, and a compile error", "compile", "u", fault.Compile, "Warning: Failed to restore: Cache service responded with 503\n#12 [build 4/4] RUN go build ./...\n#12 9.1 ./main.go:7:2: undefined: serve\n#12 ERROR: process \"/bin/sh -c go build ./...\" did not complete successfully: exit code: 1"},
	{"a lazy layer of a cache", "gha-cache", "rf", fault.CacheImport, "failed to compute cache key: blob sha256:aabb not found"},
	{"a registry that takes no caches", "registry-cache", "f", fault.CacheExport, "#18 exporting cache\n#18 ERROR: error writing manifest blob: failed commit on ref \"sha256:aa\": unexpected status from PUT request to https://123.dkr.ecr.eu-west-1.amazonaws.com/v2/a/manifests/cache: 400 Bad Request"},
	{"a cache without a manifest", "registry-cache", "rf", fault.CacheImport, "#9 importing cache manifest from registry.example.com/a:cache\n#9 ERROR: something new and strange"},

	{"a cache's warning, and a step that fails without a word", "dockerfile", "u", fault.Build, "Warning: Failed to restore: Cache service responded with 503\nERROR: failed to solve: process \"/bin/sh -c ./configure\" did not complete successfully: exit code: 1"},
	{"no entry in the cache is no failure", "dockerfile", "u", fault.Build, "Cache not found for input keys: a, b\nERROR: failed to solve: process \"/bin/sh -c ./configure\" did not complete successfully: exit code: 1"},

	// apt, apk, rpm.
	{"apt in an outage", "apt", "rf", fault.Outage, "#7 12.1 E: Failed to fetch http://archive.ubuntu.com/ubuntu/pool/main/g/git/git_2.deb  502  Bad Gateway [IP: 203.0.113.3 80]\n#7 12.1 E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?"},
	{"apt with a stale list", "apt", "f", fault.NotFound, "E: Failed to fetch http://deb.example.org/debian/pool/main/c/curl/curl_8_amd64.deb  404  Not Found [IP: 203.0.113.3 80]\nE: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?"},
	{"apt while a mirror is renewed", "apt", "rf", fault.Corrupt, "E: Failed to fetch http://archive.ubuntu.com/ubuntu/dists/noble/main/binary-amd64/Packages.gz  File has unexpected size (100 != 90). Mirror sync in progress? [IP: 203.0.113.3 80]"},
	{"a package that is not there", "apt", "u", fault.Dependency, "Reading package lists...\nE: Unable to locate package libfoo9"},
	{"a package that is not there since update failed", "dns", "rf", fault.DNS, "W: Failed to fetch http://deb.example.org/debian/dists/trixie/InRelease  Temporary failure resolving 'deb.example.org'\nE: Unable to locate package curl"},
	{"apt with a version that went", "apt", "u", fault.Dependency, "E: Version '8.5.0-2ubuntu10.1' for 'curl' was not found"},
	{"apt at its time limit", "apt", "rf", fault.Timeout, "Err:4 http://archive.ubuntu.com/ubuntu noble InRelease\n  Could not connect to archive.ubuntu.com:80 (203.0.113.3), connection timed out\nE: Failed to fetch http://archive.ubuntu.com/ubuntu/dists/noble/InRelease  Could not connect to archive.ubuntu.com:80 (203.0.113.3), connection timed out"},
	{"apk without a network", "apk", "rf", fault.DNS, "fetch https://dl-cdn.alpinelinux.org/alpine/v3.22/main/x86_64/APKINDEX.tar.gz\nWARNING: fetching https://dl-cdn.alpinelinux.org/alpine/v3.22/main: temporary error (try again later)\nERROR: unable to select packages:\n  curl (no such package):\n    required by: world[curl]"},
	{"apk with a name that is wrong", "apk", "u", fault.Dependency, "fetch https://dl-cdn.alpinelinux.org/alpine/v3.22/main/x86_64/APKINDEX.tar.gz\nERROR: unable to select packages:\n  python (no such package):\n    required by: world[python]"},
	{"dnf without mirrors", "network", "rf", fault.Timeout, "Errors during downloading metadata for repository 'baseos':\n  - Curl error (28): Timeout was reached for https://mirrors.example.org/metalink [Connection timed out after 30000 milliseconds]\nError: Failed to download metadata for repo 'baseos': Cannot prepare internal mirrorlist: Curl error (28): Timeout was reached"},

	// npm, yarn, pnpm.
	{"npm resets", "npm", "rf", fault.Connection, "#14 60.2 npm error code ECONNRESET\n#14 60.2 npm error network aborted\n#14 60.2 npm error network This is a problem related to network connectivity."},
	{"npm at its time limit", "npm", "rf", fault.Timeout, "npm ERR! code ERR_SOCKET_TIMEOUT\nnpm ERR! network Socket timeout"},
	{"npm without a name", "npm", "rf", fault.DNS, "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo\nnpm error errno EAI_AGAIN"},
	{"npm without a package", "npm", "u", fault.Dependency, "npm error code E404\nnpm error 404 Not Found - GET https://npm.example.org/@acme%2fnope - Not found"},
	{"npm with a lock that is behind", "npm", "u", fault.Dependency, "npm error code EUSAGE\nnpm error\nnpm error `npm ci` can only install packages when your package.json and package-lock.json are in sync."},
	{"npm with peers at odds", "npm", "u", fault.Dependency, "npm ERR! code ERESOLVE\nnpm ERR! ERESOLVE could not resolve"},
	{"npm's own script fails", "compile", "u", fault.Compile, "src/a.ts(1,1): error TS2307: Cannot find module 'x' or its corresponding type declarations.\nnpm ERR! code ELIFECYCLE\nnpm ERR! errno 2"},
	{"yarn resolves no name", "npm", "rf", fault.DNS, `error An unexpected error occurred: "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz: getaddrinfo EAI_AGAIN registry.yarnpkg.com".`},
	{"yarn berry times out", "npm", "rf", fault.Timeout, "➤ YN0001: │ RequestError: Timeout awaiting 'request' for 60000ms"},
	{"yarn's lock is behind", "npm", "u", fault.Dependency, "➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden."},
	{"pnpm meets an outage", "npm", "rf", fault.Outage, " ERR_PNPM_FETCH_503  GET https://npm.example.org/a: Service Unavailable - 503"},
	{"pnpm's lock is behind", "npm", "u", fault.Dependency, " ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with \"frozen-lockfile\" because pnpm-lock.yaml is not up to date with package.json"},
	{"yarn behind a company's proxy", "npm", "u", fault.TLS, `error An unexpected error occurred: "https://registry.yarnpkg.com/bytes/-/bytes-3.1.0.tgz: unable to get local issuer certificate".`},
	{"node-gyp fetches headers", "npm", "rf", fault.Connection, "gyp ERR! stack FetchError: request to https://nodejs.org/download/release/v22.0.0/node-v22.0.0-headers.tar.gz failed, reason: connect ECONNREFUSED 104.20.1.252:443"},
	{"node-gyp without python", "npm", "u", fault.Config, "gyp ERR! find Python\ngyp ERR! configure error\ngyp ERR! stack Error: Could not find any Python installation to use"},

	// pip, uv, poetry, conda.
	{"pip at its time limit", "pip", "rf", fault.Timeout, "WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after connection broken by 'ReadTimeoutError(\"HTTPSConnectionPool(host='pypi.org', port=443): Read timed out. (read timeout=15)\")': /simple/flask/\nERROR: Could not find a version that satisfies the requirement flask (from versions: none)\nERROR: No matching distribution found for flask"},
	{"pip in an outage", "pip", "rf", fault.Outage, "ERROR: HTTP error 503 while getting https://files.pythonhosted.org/packages/aa/flask.whl"},
	{"pip without such a version", "pip", "u", fault.Dependency, "ERROR: Could not find a version that satisfies the requirement flask==99 (from versions: 0.1, 1.0, 2.0)\nERROR: No matching distribution found for flask==99"},
	{"pip builds a wheel without a compiler", "pip", "u", fault.Dependency, "error: command 'gcc' failed: No such file or directory\nERROR: Failed building wheel for psycopg2"},
	{"uv meets a break", "pip", "rf", fault.Connection, "error: Failed to fetch: `https://pypi.org/simple/flask/`\n  Caused by: Request failed after 3 retries\n  Caused by: error sending request for url (https://pypi.org/simple/flask/)\n  Caused by: client error (Connect)\n  Caused by: tcp connect error: Connection refused (os error 111)"},
	{"uv finds no solution", "pip", "u", fault.Dependency, "  × No solution found when resolving dependencies:\n  ╰─▶ Because only flask<=3.1.0 is available and you require flask>=4, we can conclude that your requirements are unsatisfiable."},
	{"poetry's lock is behind", "pip", "u", fault.Config, "pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock` to fix the lock file."},
	{"poetry meets a break", "pip", "rf", fault.Connection, "HTTPSConnectionPool(host='files.pythonhosted.org', port=443): Max retries exceeded with url: /packages/x"},
	{"conda in an outage", "pip", "rf", fault.Outage, "CondaHTTPError: HTTP 503 SERVICE UNAVAILABLE for url <https://conda.anaconda.org/conda-forge/linux-64/repodata.json>"},

	// go.
	{"a proxy that resets", "go-proxy", "rf", fault.Connection, `go: github.com/a/b@v1.2.3: Get "https://goproxy.io/github.com/a/b/@v/v1.2.3.mod": read tcp 10.0.0.2:40000->203.0.113.7:443: read: connection reset by peer`},
	{"a proxy in an outage", "go-proxy", "rf", fault.Outage, "go: github.com/a/b@v1.2.3: reading https://goproxy.io/github.com/a/b/@v/v1.2.3.zip: 503 Service Unavailable"},
	{"a revision that is not there", "go-proxy", "u", fault.Dependency, "go: github.com/a/b@v9.9.9: invalid version: unknown revision v9.9.9"},
	{"a private module", "git", "u", fault.Auth, "go: github.com/acme/private@v1.0.0: invalid version: git ls-remote -q origin in /go/pkg/mod/cache/vcs/aa: exit status 128:\n\tfatal: could not read Username for 'https://github.com': terminal prompts disabled"},
	{"a go.sum that is behind", "compile", "u", fault.Dependency, "main.go:4:2: missing go.sum entry for module providing package github.com/a/b; to add:\n\tgo get example.com/app"},
	{"a go that is too old", "compile", "u", fault.Dependency, "go: go.mod requires go >= 1.26 (running go 1.24.1; GOTOOLCHAIN=local)"},

	// Java.
	{"maven central resets", "maven", "rf", fault.Connection, "[ERROR] Failed to execute goal on project app: Could not resolve dependencies for project a:app:jar:1: Failed to collect dependencies at b:c:jar:2: Could not transfer artifact b:c:pom:2 from/to central (https://repo.maven.apache.org/maven2): Connection reset -> [Help 1]"},
	{"gradle in an outage", "maven", "rf", fault.Outage, "> Could not resolve all files for configuration ':classpath'.\n   > Could not get resource 'https://plugins.gradle.org/m2/a/b/1/b-1.pom'.\n      > Could not GET 'https://plugins.gradle.org/m2/a/b/1/b-1.pom'. Received status code 504 from server: Gateway Time-out"},
	{"gradle at its time limit", "maven", "rf", fault.Timeout, "      > Could not GET 'https://dl.google.com/dl/android/maven2/a/b.pom'.\n         > Read timed out"},
	{"gradle's handshake", "maven", "rf", fault.TLS, "      > Could not GET 'https://repo.example.org/a/b.pom'.\n         > Remote host closed connection during handshake"},
	{"an artifact that is not there", "maven", "u", fault.Dependency, "[ERROR] Failed to execute goal on project app: Could not resolve dependencies for project a:app:jar:1: Could not find artifact com.acme:lib:jar:9.9 in central (https://repo.maven.apache.org/maven2)"},
	{"a compile error under maven", "compile", "u", fault.Compile, "[ERROR] COMPILATION ERROR : \n[ERROR] /app/src/main/java/A.java:[3,8] cannot find symbol\n[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.11.0:compile (default-compile) on project app: Compilation failure"},
	{"a failed test under gradle", "test", "u", fault.Test, "> Task :test FAILED\nAppTest > connects() FAILED\n    java.net.ConnectException: Connection refused\n\n12 tests completed, 1 failed\n\nFAILURE: Build failed with an exception.\n* What went wrong:\nExecution failed for task ':test'.\n> There were failing tests. See the report at: file:///app/build/reports/tests/test/index.html"},

	// cargo, gem, nuget, composer.
	{"crates.io in an outage", "cargo", "rf", fault.Outage, "warning: spurious network error (1 tries remaining): failed to receive HTTP 200 response: got 502; class=Net (12)\nerror: failed to get `clap` as a dependency of package `app v0.1.0 (/app)`"},
	{"cargo without a name", "cargo", "rf", fault.DNS, "warning: spurious network error (3 tries remaining): [6] Couldn't resolve host name (Could not resolve host: index.crates.io)"},
	{"a rustc that is too old", "cargo", "u", fault.Dependency, "error: rustc 1.75.0 is not supported by the following package:\n  clap@4.6.0 requires rustc 1.85"},
	{"rubygems resets", "gem", "rf", fault.Connection, "Gem::RemoteFetcher::FetchError: Errno::ECONNRESET: Connection reset by peer - SSL_connect (https://rubygems.org/gems/rails-8.0.0.gem)\nAn error occurred while installing rails (8.0.0), and Bundler cannot continue."},
	{"a gem that is not there", "gem", "u", fault.Dependency, "Could not find gem 'nope' in rubygems repository https://rubygems.org/ or installed locally."},
	{"nuget in an outage", "other", "rf", fault.Outage, "error NU1301: Unable to load the service index for source https://api.nuget.org/v3/index.json.\nerror NU1301:   Response status code does not indicate success: 503 (Service Unavailable)."},
	{"a nuget package that is not there", "compile", "u", fault.Dependency, "/src/App.csproj : error NU1101: Unable to find package Acme.Nope. No packages exist with this id in source(s): nuget.org"},
	{"composer's packages resist", "other", "u", fault.Dependency, "Your requirements could not be resolved to an installable set of packages.\n  Problem 1\n    - Root composer.json requires acme/nope, it could not be found in any version"},

	// git, curl, wget.
	{"podman knows no registry for a short name", "registry", "u", fault.Config, `Error: creating build container: short-name "golang:1" did not resolve to an alias and no unqualified-search registries are defined in "/etc/containers/registries.conf"`},
	{"a socket that this user may not use", "buildkit", "u", fault.Config, "ERROR: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied"},
	{"a linker on a full disk", "disk", "f", fault.Resource, "ld: final link failed: No space left on device\ncollect2: error: ld returned 1 exit status"},
	{"a lazily pulled layer of the Actions cache", "gha-cache", "rf", fault.Timeout, `#9 ERROR: failed to copy: read tcp 10.0.0.4:4000->203.0.113.19:443: read: connection timed out: Get "https://productionresultssa1.blob.core.windows.net/actions-cache/a-b"`},
	{"a cache in a registry of this machine", "registry-cache", "fu", fault.Config, "#4 importing cache manifest from localhost/a:cache\n#4 ERROR: failed to do request: Head \"http://localhost/v2/a/manifests/cache\": dial tcp 127.0.0.1:80: connect: connection refused"},
	{"gradle's chain of reasons ends with a broken transfer", "maven", "rf", fault.Connection, "> Could not download a.jar (b:a:1)\n  > Could not get resource 'https://maven.example.org/b/a/1/a-1.jar'.\n    > Premature end of Content-Length delimited message body (expected: 30; received: 12)"},
	{"gradle's wrapper gets no answer", "maven", "rf", fault.Timeout, "Exception in thread \"main\" java.io.IOException: Downloading from https://services.example.org/distributions/gradle-8-bin.zip failed: timeout (10000ms)"},
	{"composer has no name, without naming it again", "dns", "rf", fault.DNS, "  curl error 6 while downloading https://pkg.example.org/packages.json: Could not resolve host"},
	{"mix gets no package", "other", "rf", fault.Connection, "** (Mix) Package fetch failed and no cached copy available (https://hex.example.org/tarballs/a-1.tar)"},
	{"bazel knows no such target", "compile", "u", fault.Compile, "ERROR: /src/BUILD.bazel:1:2: no such target '//a:b': target 'b' not declared in package 'a'\nERROR: Build did NOT complete successfully"},
	{"bazel gets no package", "other", "rf", fault.Connection, "ERROR: /src/BUILD:1:2: no such package '@gtest//': Error downloading [https://dl.example.org/a.zip] to /root/x: connection reset by peer"},
	{"cmake that fetches with git", "git", "rf", fault.Connection, "fatal: fetch-pack: invalid index-pack output\nCMake Error at tmp/x-gitclone.cmake:40 (message):\n-- Configuring incomplete, errors occurred!"},
	{"perl lacks a module", "compile", "u", fault.Config, "Can't locate JSON/XS.pm in @INC (you may need to install the JSON::XS module)"},
	{"R gets no index", "other", "rf", fault.Connection, "Warning: unable to access index for repository https://cran.example.org/src/contrib:\n  cannot open URL 'https://cran.example.org/src/contrib/PACKAGES'\nWarning message: package ‘sf’ is not available for this version of R"},
	{"BuildKit goes away at the greeting", "buildkit", "rf", fault.Engine, "error: failed to solve: Unavailable: connection closed before server preface received"},
	{"git breaks off", "git", "rf", fault.Connection, "error: RPC failed; curl 56 GnuTLS recv error (-9): Error decoding the received TLS packet.\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output"},
	{"git in an outage", "git", "rf", fault.Outage, "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 503"},
	{"a branch that is not there", "git", "u", fault.Config, "fatal: Remote branch v9 not found in upstream origin"},
	{"a repository that is not there", "git", "u", fault.Auth, "remote: Repository not found.\nfatal: repository 'https://github.com/acme/nope.git/' not found"},
	{"curl in an outage", "network", "rf", fault.Outage, "curl: (22) The requested URL returned error: 503"},
	{"curl breaks off", "network", "rf", fault.Connection, "curl: (92) HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)"},
	{"curl finds nothing", "other", "u", fault.NotFound, "curl: (22) The requested URL returned error: 404"},
	{"wget in an outage", "network", "rf", fault.Outage, "2026-01-01 10:00:00 ERROR 503: Service Unavailable."},
	{"curl's exit code is all", "network", "rf", fault.Connection, "ERROR: failed to solve: process \"/bin/sh -c curl -fsSL https://dl.example.com/x.tgz | tar xz\" did not complete successfully: exit code: 56"},

	// The engine and the machine.
	{"no daemon", "buildkit", "rf", fault.Engine, "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"},
	{"the builder went away", "buildkit", "rf", fault.Engine, "ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF"},
	{"no space", "disk", "f", fault.Resource, "ERROR: failed to solve: failed to copy files: copy file range failed: no space left on device"},
	{"no memory", "buildkit", "f", fault.Resource, "#12 ERROR: process \"/bin/sh -c make -j8\" did not complete successfully: exit code: 137"},
	{"a compiler without memory", "buildkit", "f", fault.Resource, "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\nmake: *** [Makefile:10: a.o] Error 1"},
	{"no emulation", "buildkit", "", fault.Platform, "exec /bin/sh: exec format error"},
	{"emulation breaks", "buildkit", "f", fault.Platform, "qemu: uncaught target signal 11 (Segmentation fault) - core dumped\nSegmentation fault (core dumped)"},
	{"a snapshot is lost", "buildkit", "rf", fault.Engine, "ERROR: failed to solve: failed to prepare sha256:aa as bb: parent snapshot sha256:aa does not exist: not found"},

	// Dockerfiles and settings.
	{"an instruction that is none", "dockerfile", "u", fault.Dockerfile, "ERROR: failed to solve: dockerfile parse error on line 3: unknown instruction: INSTALL (did you mean LABEL?)"},
	{"a stage that is none", "dockerfile", "u", fault.Dockerfile, "ERROR: failed to solve: buidler: failed to resolve source metadata for docker.io/library/buidler:latest: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"},
	{"a target that is none", "dockerfile", "u", fault.Dockerfile, `ERROR: failed to solve: target stage "prd" could not be found (did you mean prod?)`},
	{"a file that is not there", "dockerfile", "u", fault.MissingFile, `ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref aa::bb: "/package.json": not found`},
	{"a file that is not there, in the classic builder", "dockerfile", "u", fault.MissingFile, "COPY failed: file not found in build context or excluded by .dockerignore: stat package.json: file does not exist"},
	{"no Dockerfile", "dockerfile", "u", fault.MissingFile, "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory"},
	{"a tag in capitals", "dockerfile", "u", fault.Config, `ERROR: invalid tag "ghcr.io/Acme/app": repository name must be lowercase`},
	{"several platforms on the docker driver", "buildkit", "u", fault.Config, "ERROR: Multi-platform build is not supported for the docker driver.\nSwitch to a different driver, or turn on the containerd image store, and try again."},
	{"a script without its bit", "dockerfile", "u", fault.Config, "/bin/sh: 1: ./build.sh: Permission denied"},
	{"a program that is not there", "dockerfile", "u", fault.Config, "/bin/sh: 1: make: not found"},
	{"a step fails without a word", "dockerfile", "u", fault.Build, "ERROR: failed to solve: process \"/bin/sh -c ./configure && make\" did not complete successfully: exit code: 1"},

	// Compilers and tests.
	{"rust", "compile", "u", fault.Compile, "error[E0382]: borrow of moved value: `x`\nerror: could not compile `app` (bin \"app\") due to 1 previous error"},
	{"C", "compile", "u", fault.Compile, "main.c:3:5: error: unknown type name 'strin'"},
	{"a linker", "compile", "u", fault.Compile, "/usr/bin/ld: main.o: in function `main':\nmain.c:(.text+0x1): undefined reference to `foo'\ncollect2: error: ld returned 1 exit status"},
	{"vite", "compile", "u", fault.Compile, "error during build:\n[vite]: Rollup failed to resolve import \"@/x\" from \"src/main.ts\"."},
	{"next", "compile", "u", fault.Compile, "Failed to compile.\n\n./pages/index.tsx:10:5\nType error: Property 'x' does not exist on type 'Y'."},
	{"a go test full of network words", "test", "u", fault.Test, "=== RUN   TestDial\n    dial_test.go:20: dial tcp 127.0.0.1:1: connect: connection refused\n    dial_test.go:21: 503 Service Unavailable: timeout\n--- FAIL: TestDial (0.00s)\nFAIL\nFAIL\texample.com/app\t0.02s"},
	{"pytest", "test", "u", fault.Test, "E   requests.exceptions.ConnectionError: HTTPConnectionPool(host='localhost', port=80): Max retries exceeded\n=========================== short test summary info ============================\nFAILED tests/test_api.py::test_get - requests.exceptions.ConnectionError\n========================= 1 failed, 3 passed in 2.10s ========================="},
	{"jest", "test", "u", fault.Test, "  ● api › answers\n    connect ECONNREFUSED 127.0.0.1:3000\nTests:       1 failed, 4 passed, 5 total"},

	{"a mirror that wants a login", "auth", "f", fault.Auth, "rust:1: pulling from host mirror.example.com failed with status code [manifests 1]: 403 Forbidden"},
	{"runc breaks", "buildkit", "rf", fault.Engine, "failed to solve: executor failed running [/bin/sh -c true]: runc did not terminate sucessfully"},
	{"a record without its lease", "buildkit", "rf", fault.Engine, `failed to get record abc by blobchainid: failed to remove abc: lease "abc": not found`},
	{"a page from a mirror", "registry", "rf", fault.HTML, "#3 [internal] load metadata for docker.io/library/ubuntu:24.04\n#3 ERROR: encountered unknown type text/html; children may not be fetched"},
	{"apt says unsigned where it could not connect", "apt", "rf", fault.Connection, "Err:1 http://security.ubuntu.com/ubuntu noble-security InRelease\n  Connection failed [IP: 203.0.113.3 80]\nE: The repository 'http://security.ubuntu.com/ubuntu noble-security InRelease' is not signed."},
	{"go modules by a resolver that is silent", "dns", "rf", fault.DNS, `go: github.com/a/b@v1.0.0: Get "https://goproxy.cn/github.com/a/b/@v/v1.0.0.mod": dial tcp: lookup goproxy.cn on 192.168.1.1:53: read udp 172.17.0.5:4000->192.168.1.1:53: i/o timeout`},
	{"a python without TLS", "pip", "u", fault.Config, "Could not fetch URL https://pypi.org/simple/pip/: There was a problem confirming the ssl certificate: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded (Caused by SSLError(\"Can't connect to HTTPS URL because the SSL module is not available.\")) - skipping\nERROR: No matching distribution found for Cython"},

	// Nothing that is known.
	{"nothing at all", "other", "", fault.Unknown, ""},
	{"words without meaning", "other", "", fault.Unknown, "the moon is in the wrong phase"},
}

func TestCases(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			d := read(t, tt.text)
			help := ""
			for _, h := range []struct {
				yes  bool
				mark string
			}{{d.Retryable, "r"}, {d.FallbackHelps, "f"}, {d.UserError, "u"}} {
				if h.yes {
					help += h.mark
				}
			}
			if d.Service != tt.service || help != tt.help || d.Kind != tt.kind {
				t.Errorf("got %s %q %s by %s on %q, want %s %q %s", d.Service, help, d.Kind, d.Pattern, d.Evidence.Text, tt.service, tt.help, tt.kind)
			}
		})
	}
}

func read(t testing.TB, text string) diagnose.Diagnosis {
	t.Helper()
	d, err := diagnose.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
