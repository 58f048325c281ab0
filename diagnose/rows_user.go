package diagnose

import (
	"regexp"

	"github.com/outlast-build/outlast/fault"
)

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// userRows are the mistakes that only the user can mend: in code, tests,
// Dockerfiles and settings.
var userRows = []Pattern{
	// Compilers.
	{Name: "rustc", Service: "compile", Kind: fault.Compile, Weight: Certain, Match: re(`^error\[E\d{4}\]`),
		Sample: "error[E0425]: cannot find value `x` in this scope"},
	{Name: "rustc-end", Service: "compile", Kind: fault.Compile, Weight: Specific, Match: re("^error: (?:could not compile `|aborting due to|linking with|unused|expected one of|cannot find macro)"),
		Sample: "error: could not compile `app` (bin \"app\") due to 2 previous errors"},
	{Name: "tsc", Service: "compile", Kind: fault.Compile, Weight: Certain, Match: re(`(?:error TS\d{3,5}:|^Type error: |TypeScript compilation failed)`),
		Sample: "src/app.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'."},
	{Name: "go-build", Service: "compile", Kind: fault.Compile, Weight: Certain,
		Match:  re(`^(?:\./|\.\./|/)?[\w./@+\-]+\.go:\d+(?::\d+)?: (?:undefined|undeclared|cannot use|cannot convert|cannot assign|cannot infer|imported and not used|declared and not used|.* declared (?:and|but) not used|syntax error|missing return|expected |not enough |too many |assignment mismatch|.* redeclared|invalid |unknown field|.* is not a type|.* does not implement|non-|multiple-value|mismatched types|duplicate|unexpected|label|import cycle|method |missing argument|impossible|use of|unreachable|pattern .*: no matching files|\S+ \(.*\) is not|.* undefined|initialization|implicit assignment)`),
		Sample: "./main.go:14:9: undefined: client.NewThing"},
	{Name: "go-build-tags", Service: "compile", Kind: fault.Compile, Weight: Specific, Match: re(`build constraints exclude all Go files|note: module requires Go 1|import cycle not allowed|use of internal package .* not allowed|C compiler "?\S+"? not found|cgo: C compiler|package \S+ is not in (?:GOROOT|std)`),
		Sample: "package app/internal/x is not in std (/usr/local/go/src/app/internal/x)"},
	{Name: "cc-missing-header", Service: "compile", Kind: fault.MissingFile, Weight: Certain, Match: re(`fatal error: \S+: No such file or directory|fatal error: '\S+' file not found`),
		Sample: "src/a.cpp:3:10: fatal error: zlib.h: No such file or directory"},
	{Name: "cc", Service: "compile", Kind: fault.Compile, Weight: Certain,
		Match:  re(`^[^\s:]+\.(?:c|cc|cpp|cxx|h|hh|hpp|hxx|cu|m|mm|swift|zig|v|f90|pyx):\d+(?::\d+)?: (?:fatal )?error:|undefined reference to|collect2: error: ld returned|\bld: (?:cannot find -l|symbol\(s\) not found)|multiple definition of`),
		Sample: "src/net.c:120:5: error: implicit declaration of function 'foo'"},
	{Name: "javac", Service: "compile", Kind: fault.Compile, Weight: Certain, Match: re(`\.(?:java|groovy|scala):\[?\d+[:,]?\d*\]?:? (?:error|Error|\[?cannot find symbol|package \S+ does not exist)|COMPILATION ERROR|Compilation failure|Compilation failed; see the compiler|^e: .*\.kts?\b|compileJava FAILED|compileKotlin.* FAILED|error: release version \d+ not supported|invalid (?:target|source) release|Unsupported class file major version|UnsupportedClassVersionError`),
		Sample: "[ERROR] /app/src/main/java/A.java:[10,8] cannot find symbol"},
	{Name: "scalac", Service: "compile", Kind: fault.Compile, Weight: Certain, Match: re(`^(?:\[error\] )?\S+\.scala:\d+:\d+: `),
		Sample: "[error] /src/main/scala/A.scala:12:3: not found: value x"},
	{Name: "csc", Service: "compile", Kind: fault.Compile, Weight: Certain, Match: re(`\berror (?:CS|FS|MSB|NETSDK|CA|BC|RZ)\d{4}\b`),
		Sample: "/src/App.cs(5,13): error CS0103: The name 'x' does not exist in the current context"},
	{Name: "bundlers", Service: "compile", Kind: fault.Compile, Weight: Certain,
		Match:  re(`Module not found: (?:Error: )?Can't resolve|^ERROR in (?:\./|\S+\.(?:ts|js|tsx|jsx|scss|vue))|^Failed to compile\b|Rollup failed to resolve import|\[vite\]: Rollup failed|Could not resolve "[./@\w\-]+"$|error during build:|Build failed with \d+ errors?|Build optimization failed|Module parse failed|Unable to compile TypeScript|Cannot find module '(?:\.|/|@/)`),
		Sample: "Module not found: Error: Can't resolve './missing' in '/app/src'"},
	{Name: "python-syntax", Service: "compile", Kind: fault.Compile, Weight: Certain, Match: re(`^(?:SyntaxError|IndentationError|TabError): `),
		Sample: "SyntaxError: invalid syntax"},
	{Name: "python-import", Service: "compile", Kind: fault.Config, Weight: Specific, Match: re(`^(?:E +)?(?:ModuleNotFoundError|ImportError): `),
		Sample: "ModuleNotFoundError: No module named 'app.settings_local'"},
	{Name: "python-config", Service: "compile", Kind: fault.Config, Weight: Specific, Match: re(`ImproperlyConfigured|^(?:KeyError|NameError|AttributeError|TypeError|ValueError): `),
		Sample: "KeyError: 'SECRET_KEY'"},
	{Name: "other-compilers", Service: "compile", Kind: fault.Compile, Weight: Certain,
		Match:  re(`\*\* \((?:CompileError|SyntaxError|Mix)\)|PHP (?:Parse|Fatal) error:|^Parse error: syntax error|error: uncaught exception|Sass ?Error|\(\d+,\d+\): error:|CMake Error at \S+ \((?:find_package|project|add_\w+|target_\w+|include|enable_language)\)|By not providing "Find|^configure: error:|^\S+\.hs:\d+:\d+: error|No rule to make target|^make: \*\*\* No targets|^ld\.lld: error|error: ld returned|^\*\* BUILD FAILED|Compiler error|\[!\] Error: |Cannot find type definition file|error: failed to run custom build command`),
		Sample: "CMake Error at CMakeLists.txt:12 (find_package):"},
	{Name: "js-heap", Service: "compile", Kind: fault.Resource, Weight: Certain, Help: User, Match: re(`JavaScript heap out of memory|Reached heap limit|java\.lang\.OutOfMemoryError|GC overhead limit exceeded`),
		Sample: "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory", Hint: "raise the limit of the program: NODE_OPTIONS=--max-old-space-size=4096, or -Xmx"},
	{Name: "linters", Service: "compile", Kind: fault.Compile, Weight: Specific, Match: re(`✖ \d+ problems? \([1-9]|^\d+ errors? found|Linting errors|error\s+\S+\s+@typescript-eslint/|would reformat|Found \d+ errors? in \d+ files?`),
		Sample: "✖ 3 problems (3 errors, 0 warnings)"},

	// Tests.
	{Name: "go-test", Service: "test", Kind: fault.Test, Weight: Certain, Match: re(`^\s*--- FAIL: |^FAIL(?:\t|\s+\S+\s+\d|$)|^panic: test timed out|^\S+_test\.go:\d+: `),
		Sample: "--- FAIL: TestServer (0.03s)"},
	{Name: "mocha", Service: "test", Kind: fault.Test, Weight: Certain, Match: re(`^\d+ failing$|Timeout of \d+ms exceeded|^\d+\) .*(?:hook|should )|Test failed\.\s+See above|no test specified|\bTests?:\s+\d+ failed|Test Suites: \d+ failed|^FAIL (?:src|test|\S+\.(?:test|spec))|^● .* › |✕ |Jest: `),
		Sample: "Tests:       2 failed, 40 passed, 42 total"},
	{Name: "pytest", Service: "test", Kind: fault.Test, Weight: Certain, Match: re(`^=+ .*\b\d+ (?:failed|error)|^FAILED \S+::|^E\s+(?:assert|AssertionError)|^AssertionError|^FAILED \((?:failures|errors)=\d`),
		Sample: "=========== 1 failed, 12 passed in 3.21s ==========="},
	{Name: "junit", Service: "test", Kind: fault.Test, Weight: Certain, Match: re(`Tests run: \d+, (?:Failures: [1-9]|Failures: \d+, Errors: [1-9])|There (?:are|were) (?:test failures|failing tests)|> There were failing tests|Tests failed: |Execution failed for task ':?\S*:?test'|\.AssertionError|AssertionFailedError|ComparisonFailure`),
		Sample: "[ERROR] Tests run: 12, Failures: 1, Errors: 0, Skipped: 0"},
	{Name: "other-tests", Service: "test", Kind: fault.Test, Weight: Certain, Match: re(`test result: FAILED|^thread '.*' panicked at|\d+ examples?, [1-9]\d* failures?|^FAILURES!|tests failed out of|Failed!\s+- Failed:|^not ok \d+ |\d+ tests?, \d+ assertions?, [1-9]|^\d+ scenarios? \(.*failed|\d+ passed, \d+ failed|\bFAILED: Test|^Error: Test failed|expected .* (?:to equal|to be|but got|but was) `),
		Sample: "test result: FAILED. 10 passed; 1 failed; 0 ignored"},

	// The Dockerfile.
	{Name: "dockerfile-parse", Service: "dockerfile", Kind: fault.Dockerfile, Weight: Certain,
		Match:  re(`(?i)dockerfile parse error|unknown instruction:|failed to parse stage name|no FROM statement|no build stage in current context|the Dockerfile cannot be empty|file with no instructions|contains no stages to build|base name .* should not be blank|empty base name|can't find = in|requires (?:at least|exactly|either) (?:one|two|\d)|unterminated heredoc|circular dependency detected|target stage .* could not be found|failed to reach build target|cannot copy from stage|variable expansion is not supported for --from|invalid name for build stage|unsupported modifier|missing ':' in substitution|Unknown flag: (?:mount|chmod|link|network|security)|failed to parse platform|invalid field '|unexpected key '\w+' (?:in|for)|Please provide a source image with .from. prior to commit|When using (?:COPY|ADD) with more than one source file|unknown shorthand flag in Dockerfile|empty platform value|failed to process ".*\$|heredoc|Bad flag|unable to process Dockerfile`),
		Sample: "dockerfile parse error on line 7: unknown instruction: INSTALL"},
	{Name: "dockerfile-stage", Service: "dockerfile", Kind: fault.Dockerfile, Weight: Certain,
		Match:  re(`invalid from flag value [\w\-]+: |failed to solve: [\w\-]+: (?:pull access denied|failed to resolve source metadata for docker\.io/library/)|(?:pull access denied for|docker\.io/library/[\w\-.]+:latest: pull access denied|repository) (?:library/)?[a-z\-_0-9]*(?:build|builder|base|stage|deps|dependencies|dev|prod|production|runtime|app|web|server|compile|compiler|install)[a-z\-_0-9]*(?:,|:)`),
		Sample: "invalid from flag value builder: pull access denied for builder, repository does not exist or may require 'docker login'", Hint: "no stage has this name: check AS and --from in the Dockerfile"},
	{Name: "missing-file", Service: "dockerfile", Kind: fault.MissingFile, Weight: Certain,
		Match:  re(`(?:failed to (?:compute cache key|calculate checksum of ref)|checksum of ref \S+|compute cache key).*"/?[^"]*": not found|^(?:.*: )?(?:COPY|ADD) failed: |no source files were specified|failed to read dockerfile: .*(?:no such file|not found)|[Cc]annot locate (?:specified )?Dockerfile|unable to prepare context|unable to evaluate symlinks in (?:Dockerfile|context) path|[Ff]orbidden path outside the build context|failed to walk |excluded by \.dockerignore|file not found in build context|copier: stat: |building at STEP "(?:COPY|ADD)|process <> : .*no such file|failed to (?:get|read|load) .*[Dd]ockerfile.*no such file|[Dd]ockerfile: no such file|no such file or directory: .*[Dd]ockerfile|resolve : lstat .*: no such file|lstat \S+: no such file or directory|failed to evaluate path|path ".*" (?:does not exist|not found)|no items matching glob|invalid file request`),
		Sample: `failed to calculate checksum of ref abc::def: "/requirements.txt": not found`},
	{Name: "build-settings", Service: "dockerfile", Kind: fault.Config, Weight: Certain,
		Match:  re(`could not find any target matching|SSH_AUTH_SOCK|ssh-auth\.sock|invalid empty ssh agent|failed to (?:find target|parse \S+\.hcl|load bake)|unknown flag: --|flag needs an argument|unknown shorthand flag|requires (?:exactly )?1 argument|invalid argument "\S*" for|invalid tag "|invalid reference format|repository name .*must be lowercase|entitlement \S+ is not allowed|granting entitlements?|failed to stat \S+: stat \S+: no such file|secret \S+ not found|secret \S+: not found|invalid value for|docker-compose\.ya?ml|(?:^|: )services\.\w+|(?:variable|argument) "?\w+"? (?:is )?not (?:set|defined)|bind source path does not exist|invalid (?:platform|output|type|secret|ssh)\b|unsupported (?:export|output|cache) |unknown (?:export|cache) type|Additional property|is not a valid|undefined variable|not a directory: unknown|no such service`),
		Sample: "ERROR: invalid tag \"My/App\": repository name must be lowercase"},
	{Name: "builder-settings", Service: "buildkit", Kind: fault.Config, Weight: Certain,
		Match:  re(`multiple platforms feature is currently not supported|(?:Cache export|cache export|[Mm]anifest lists?|OCI exporter|docker exporter|Attestation|attestations?)\S* .*(?:is |are )?not (?:currently )?support|no builder .* found|existing instance for|is not supported (?:for|by) the docker driver|feature is currently not supported for docker driver|requires (?:API version|Docker Buildx)|buildx: command not found|'buildx' is not a docker command|unknown driver|BuildKit is enabled but the buildx component is missing|the --mount option requires BuildKit|docker driver|Client sent an HTTP request to an HTTPS server`),
		Sample: "ERROR: Cache export is not supported for the docker driver."},
	{Name: "no-shell", Service: "dockerfile", Kind: fault.Config, Weight: Specific, Match: re(`exec: "[^"]+": (?:stat \S+: no such file|executable file not found)|starting container process caused.*no such file`),
		Sample: `runc run failed: unable to start container process: exec: "/bin/bash": stat /bin/bash: no such file or directory`, Hint: "the image has no such program or shell"},
	{Name: "engine-socket", Service: "buildkit", Kind: fault.Engine, Weight: Specific, Help: AgainOnly, Match: re(`(?:buildkitd|docker|podman|containerd)\S*\.sock\S*(?: |").*(?:no such file|refused|permission denied)|dial unix .*(?:no such file|refused)`),
		Sample: `dial unix /run/buildkit/buildkitd.sock: connect: no such file or directory`},
	{Name: "permission", Service: "dockerfile", Kind: fault.Config, Weight: Vague, Match: re(`(?i)\bPermission denied(?:$|[:,] )|EACCES|operation not permitted|are you root\?`),
		Sample: "/bin/sh: ./build.sh: Permission denied", Hint: "check the file's mode and the USER of the stage"},
	{Name: "command-not-found", Service: "dockerfile", Kind: fault.Config, Weight: Consequence, Match: re(`^(?:/\S+/)?(?:ba|da|a|z|k)?sh: .*: (?:command )?not found|: line \d+: .*(?:command )?not found|^\S+: command not found|exit code: 127|non-zero code: 127|executable file not found in \$PATH`),
		Sample: "/bin/sh: 1: npm: not found", Hint: "the image lacks the program, or an earlier step failed to install it without saying so"},
	{Name: "script-line-ends", Service: "dockerfile", Kind: fault.Config, Weight: Certain, Match: re(`bad interpreter|\^M|\$'\\r'|\\r: (?:not found|No such file)`),
		Sample: "/bin/sh: /install.sh: /bin/bash^M: bad interpreter: No such file or directory", Hint: "the script has Windows line ends: set eol=lf in .gitattributes"},
	{Name: "no-such-file", Service: "dockerfile", Kind: fault.MissingFile, Weight: Vague, Match: re(`^(?:\w+: )*[^:]*[Nn]o such file or directory$|: [Nn]o such file or directory$|can't open '|cannot (?:access|stat|open|find|create directory) ['‘]|ENOENT`),
		Sample: "ls: cannot access '/opt/app': No such file or directory"},
}
