package diagnose_test

import "testing"

// Lines that builds print when nothing is wrong, or nothing that fails them.
// None may pass for the cause of a step that fails without a word.
var usual = []string{
	"added 214 packages, and audited 215 packages in 9s",
	"found 0 vulnerabilities",
	"npm notice New minor version of npm available! 10.5.0 -> 10.9.0",
	"npm warn deprecated request@2.88.2: request has been deprecated",
	"npm WARN EBADENGINE Unsupported engine {",
	"Get:1 http://deb.example.org/debian trixie InRelease [140 kB]",
	"Ign:3 http://deb.example.org/debian trixie InRelease",
	"Fetched 15.5 MB in 1s (10.1 MB/s)",
	"Setting up libconnection-timeout-perl (1.0-1) ...",
	"debconf: delaying package configuration, since apt-utils is not installed",
	"debconf: unable to initialize frontend: Dialog",
	"debconf: (TERM is not set, so the dialog frontend is not usable.)",
	"dpkg-preconfigure: unable to re-open stdin: No such file or directory",
	"invoke-rc.d: could not determine current runlevel",
	"invoke-rc.d: policy-rc.d denied execution of start.",
	"update-alternatives: warning: skip creation of /usr/share/man/man1/pg.1.gz because associated file does not exist",
	"W: Target Packages is configured multiple times in /etc/apt/sources.list",
	"WARNING: Running pip as the 'root' user can result in broken permissions",
	"[notice] A new release of pip is available: 23.0.1 -> 23.1.1",
	"Collecting retry-timeout==1.0",
	"Downloading urllib3-2.5.0-py3-none-any.whl (129 kB)",
	"go: downloading github.com/pkg/errors v0.9.1",
	"   Compiling error-chain v0.12.4",
	"   Compiling tokio-io-timeout v1.2.0",
	"warning: unused variable: `connection_reset`",
	"warning: `app` (bin \"app\") generated 3 warnings",
	"(5/5) Installing ca-certificates-bundle (20250619-r0)",
	"OK: 243 MiB in 73 packages",
	"[INFO] BUILD SUCCESS",
	"[INFO] Tests run: 12, Failures: 0, Errors: 0, Skipped: 1",
	"[INFO] Downloading from central: https://repo.maven.apache.org/maven2/a/b/1/b-1.pom",
	"ok  \texample.com/app/timeout\t0.412s",
	"=== RUN   TestConnectionRefused",
	"--- PASS: TestConnectionRefused (0.00s)",
	"    ✓ answers 503 when the upstream is down (4 ms)",
	"test result: ok. 31 passed; 0 failed; 0 ignored",
	"Test Suites: 4 passed, 4 total",
	"12 passing (48ms)",
	"checking for gethostbyname... no",
	"checking whether the compiler sets errno... yes",
	"configure: WARNING: unrecognized options: --with-timeout",
	"make[1]: Nothing to be done for 'all'.",
	"-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)",
	"Cloning into '/src'...",
	"Note: switching to 'v1.2.3'.",
	"Cache not found for input keys: node-modules-0a1b",
	"Cache restored successfully",
	"time=\"2026-01-02T03:04:05Z\" level=debug msg=\"stopping session\" spanID=aa",
	"time=\"2026-01-02T03:04:05Z\" level=warning msg=\"The \\\"TAG\\\" variable is not set. Defaulting to a blank string.\"",
	"WARN[0000] /app/docker-compose.yml: the attribute `version` is obsolete, it will be ignored",
	" 1 warning found (use docker --debug to expand):",
	" - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)",
	"100   551  100   551    0     0   4495      0 --:--:-- --:--:-- --:--:--  4516",
	"2026-01-02 03:04:05 (9.33 MB/s) - 'x.tgz' saved [10485760/10485760]",
	"HTTP request sent, awaiting response... 200 OK",
	"Browserslist: caniuse-lite is outdated. Please run:",
	"(!) Some chunks are larger than 500 kB after minification.",
	"(!) Circular dependency: a.js -> b.js -> a.js",
	"- [6] one more item of a list",
	"total 500",
}

func TestUsualLinesAreNoCause(t *testing.T) {
	const end = "\nERROR: failed to solve: process \"/bin/sh -c ./run.sh\" did not complete successfully: exit code: 1\n"
	for _, line := range usual {
		if d := read(t, line+end); d.Pattern != "exit-code" || d.Service != "dockerfile" {
			t.Errorf("got %s, %s for %q", d.Pattern, d.Service, line)
		}
		if d := read(t, line+"\n"); d.Retryable || d.UserError {
			t.Errorf("got %+v for %q alone", d, line)
		}
	}
}
