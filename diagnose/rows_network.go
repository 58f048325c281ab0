package diagnose

import "github.com/outlast-build/outlast/fault"

// firstRows come before all others: steps under emulation, where every other
// word may be its doing, and failures to resolve names, in the words of any
// program, whatever service wanted to know the name. A full disk speaks through
// the linker, the archiver or the package manager that met it.
var firstRows = []Pattern{
	{Name: "disk", Service: "disk", Kind: fault.Resource, Weight: Certain, Match: re(`(?i)You don't have enough free space|No space left on device|disk quota exceeded|ENOSPC|There is not enough space|not enough (?:free |disk )space|insufficient (?:disk )?space|disk is full|out of disk`),
		Sample: "E: You don't have enough free space in /var/cache/apt/archives/."},
	{Name: "emulated-step", Service: "buildkit", Kind: fault.Platform, Weight: Vague, Match: re(`process <\.buildkit_qemu|buildkit_qemu_emulator`),
		Sample: `executor failed running [/dev/.buildkit_qemu_emulator /bin/sh -c make]: exit code: 1`, Hint: "the step ran under emulation of another processor: build on that processor, or cross-compile"},
	{Name: "rpm-retired-release", Service: "network", Kind: fault.NotFound, Weight: Specific, Help: Elsewhere, Match: re(`\?release=[5-8](?:-stream|\.\d+\.\d+)?&arch=`),
		Sample: "Could not retrieve mirrorlist http://mirrorlist.example.org/?release=7&arch=x86_64&repo=os&infra=container error was", Hint: "CentOS 5 to 8 are retired, and so is their list of mirrors: use the archive, or a newer base image"},
	{Name: "keyserver-gone", Service: "dns", Kind: fault.NotFound, Weight: Specific, Help: Elsewhere, Match: re(`keyserver receive failed: No name`),
		Sample: "gpg: keyserver receive failed: No name", Hint: "that key server is no more: use keys.openpgp.org or keyserver.ubuntu.com, or keep the key with the source"},
	{Name: "database", Service: "other", Kind: fault.Config, Weight: Specific, Match: re(`(?i)(?:refused|timed? ?out|reach|connect|translate host name).*[ :,"'\]](?:port )?(?:5432|3306|6379|27017|1433|9200|5672|9092|2181|11211)\b|Can't reach database server|P1001|PG::ConnectionBad|Is the server running (?:locally|on (?:that )?host)|Can't connect to (?:local )?(?:MySQL|server on|MariaDB)|SQLSTATE\[HY000\] \[2002\]|Mongo(?:ServerSelection|Network)Error`),
		Sample: "Error: P1001: Can't reach database server at `postgres:5432`", Hint: "a build has no database beside it: do this step at the start of the container"},
	{Name: "resolver", Kind: fault.DNS, Weight: Likely, Match: re(`(?i)no such host|server misbehaving|failure resolving '|could not resolve '|something wicked happened resolving|DNS lookup error|DNS: transient|\[6\] Could|NameResolutionError|\bENOTFOUND\b|temporary failure in name resolution|name or service not known|could(?:n't| not) resolve (?:host|proxy)|unable to resolve host|bad address '|name does not resolve|nodename nor servname|\bEAI_AGAIN\b|getaddrinfo|UnknownHostException|no address associated with hostname|lookup \S+ on \S+:53|keyserver receive failed: No name|Unknown host: |could not translate host name|lookup \S+: (?:i/o timeout|Temporary)|:53: (?:i/o timeout|read|server)|dns error|failed to lookup address|resolve host name`),
		Sample: "dial tcp: lookup files.example.com on 10.0.0.2:53: no such host"},
}

// networkRows are failures of connections and of services, in the words of
// curl, wget and programs that say no more than their library told them.
var networkRows = []Pattern{
	{Name: "tls-handshake", Kind: fault.TLS, Weight: Likely, Match: re(`(?i)TLS handshake timeout|handshake (?:failure|timed out)|TLS connect error|SSL connection could not be established|remote error: tls|unable to establish SSL|SSL_ERROR_SYSCALL|ssl connect error|(?:curl: \(|[Cc](?:url|URL) error:? \(?|curl#)35\b|SSL_connect|gnutls_handshake|decryption failed or bad record|first record does not look like a TLS`),
		Sample: "net/http: TLS handshake timeout"},
	{Name: "certificate-expired", Kind: fault.TLS, Weight: Specific, Help: Elsewhere, Match: re(`(?i)issued certificate has expired|certificate (?:has|is) expired|has expired or is not yet valid|certificate is not yet valid|CERT_HAS_EXPIRED`),
		Sample: "x509: certificate has expired or is not yet valid", Hint: "a certificate has run out, or the clock here is wrong: another mirror would do"},
	{Name: "certificate-unknown", Kind: fault.TLS, Weight: Specific, Help: User, Match: re(`(?i)x509: |unknown authority|self[- ]signed certificate|SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF)|ERR_TLS_CERT|unable to get local issuer|certificate verify failed|CERTIFICATE_VERIFY_FAILED|certificate problem|(?:curl: \(|[Cc](?:url|URL) error:? \(?|curl#)(?:51|58|60|77|83)\b|cannot verify \S+ certificate|certificate verification failed`),
		Sample: "x509: certificate signed by unknown authority", Hint: "a proxy in between signs by itself, or the image lacks certificates: add the authority to the builder or the image"},
	{Name: "libcurl-timeout", Kind: fault.Timeout, Weight: Specific, Match: re(`(?:[Cc](?:url|URL) error:? \(?|curl#)28\b`),
		Sample: "curl error 28 while downloading https://dl.example.com/packages.json: Connection timed out after 10002 milliseconds"},
	{Name: "libcurl-connection", Kind: fault.Connection, Weight: Specific, Match: re(`(?:[Cc](?:url|URL) error:? \(?|curl#)(?:5|7|8|16|18|52|55|56|92|95)\b`),
		Sample: "Curl error (56): Failure when receiving data from the peer for https://mirror.example.org/repomd.xml"},
	{Name: "pinned-checksum", Service: "other", Kind: fault.Dependency, Weight: Likely, Match: re(`^\S+: FAILED(?: open or read)?$`),
		Sample: "tool.tar.gz: FAILED", Hint: "the download is not what the pinned checksum says: look whether upstream changed it"},
	{Name: "curl-not-found", Service: "other", Kind: fault.NotFound, Weight: Specific, Match: re(`curl: \(22\).*error: (?:404|410)|invalid response status 4(?:04|10)|server returned error: HTTP/\S+ 4(?:04|10)|ERROR 404|HTTP/1\.[01] 404|HTTP Error 404`),
		Sample: "curl: (22) The requested URL returned error: 404"},
	{Name: "curl-refused", Service: "network", Kind: fault.Outage, Weight: Specific, Match: re(`curl: \(22\).*error: (?:5\d\d|403|429)|curl: \(22\)|invalid response status (?:5\d\d|403|429)|server returned error: HTTP/\S+ (?:5\d\d|429|403)|ERROR (?:5\d\d|429|403)\b|HTTP/1\.[01] 5\d\d`),
		Sample: "curl: (22) The requested URL returned error: 503"},
	{Name: "curl-timeout", Service: "network", Kind: fault.Timeout, Weight: Specific, Match: re(`curl: \(28\)|curl: \(7\).*timed out|[Ff]ailed to connect to .*[Tt]imeout was reached|keyserver receive failed: (?:Connection )?[Tt]imed? ?out|failed retrieving file .*timed out|Failed to connect to .*: Connection timed out|wget: download timed out|wget: can't connect .*timed out|Connection timed out\.`),
		Sample: "curl: (28) Operation timed out after 30001 milliseconds with 0 bytes received"},
	{Name: "curl-connection", Service: "network", Kind: fault.Connection, Weight: Specific, Match: re(`curl: \((?:5|7|8|16|18|52|55|56|92|95)\)|failed retrieving file '|failed to synchronize all databases|Failed to connect to \S+|wget: (?:error getting response|can't connect|server returned error)|Unable to connect to remote|keyserver receive failed|Read error at byte|Connection closed at byte|transfer closed with|- transfer failed`),
		Sample: "curl: (56) Recv failure: Connection reset by peer"},
	{Name: "aria2", Service: "network", Kind: fault.Timeout, Weight: Specific, Match: re(`errorCode=(?:1|2|6|19|29)\b`),
		Sample: "Exception: [AbstractCommand.cc:351] errorCode=2 URI=https://dl.example.com/a.iso"},
	{Name: "curl-exit", Service: "network", Kind: fault.Connection, Weight: Vague, Match: re(`process <(?:.* )?(?:curl|wget)(?: .*)?> .*(?:code: )(?:4|5|6|7|18|28|35|52|56)$`),
		Sample: `process "/bin/sh -c curl -fsSO https://dl.example.com/x" did not complete successfully: exit code: 56`},
	{Name: "github-api", Service: "network", Kind: fault.RateLimited, Weight: Consequence, Match: re(`(?i)not in gzip format|does not look like a tar archive|File format not recognized|End-of-central-directory`), Command: re(`api\.github\.com`),
		Sample: "RUN V=$(curl -s https://api.github.com/repos/a/b/releases/latest | grep tag_name) && curl -sL https://example.com/$V.tgz | tar xz\ngzip: stdin: not in gzip format", Hint: "the API allows few requests without a token: pin the version, or give a token"},
	{Name: "not-an-archive", Service: "other", Kind: fault.Dependency, Weight: Consequence, Match: re(`(?i)not in gzip format|does not look like a tar archive|not a (?:bzip2|zip|gzip) file|gzip: invalid magic|tar: (?:invalid magic|short read|Unexpected EOF)|File format not recognized|unexpected end of file|End-of-central-directory signature not found|invalid tar magic`),
		Sample: "gzip: stdin: not in gzip format", Hint: "a page came in place of an archive: let curl fail by itself with --fail, and see what the address gives"},
	{Name: "throttled", Kind: fault.RateLimited, Weight: Likely, Match: re(`(?i)too many requests|HTTP Error 429|status(?: code)?:? 429|rate.?limit(?:ed| exceeded)|over the API rate limit|status code: 429|reason phrase: Too Many|\b429\b.*(?:response|error)|secondary rate limit`),
		Sample: "HTTP Error 429: Too Many Requests"},
	{Name: "http-gone", Kind: fault.NotFound, Weight: Likely, Match: re(`\b(?:404|410):? (?:Not Found|Gone)|(?i:status(?: code)?|HTTP(?:/\d\.\d)?|response code|code)\W{1,3}40(?:4)\b|https?://\S+?(?::| -| returned) 404\b`),
		Sample: "Failed to fetch https://dl.example.com/engine.gz - 404 Not Found"},
	{Name: "http-forbidden", Kind: fault.Auth, Weight: Likely, Help: Elsewhere, Match: re(`\b403:? Forbidden|(?i:status(?: code)?|HTTP(?:/\d\.\d)?|response code|code)\W{1,3}403\b`),
		Sample: "Failed to fetch https://dl.example.com/engine.gz - 403 Forbidden."},
	{Name: "http-status", Service: "network", Kind: fault.Outage, Weight: Specific, Match: re(`Error code: HTTP response: (?:5\d\d|429)|server returned code 5\d\d`),
		Sample: "Error code: HTTP response: 503"},
	{Name: "server-error", Kind: fault.Outage, Weight: Likely, Match: re(`(?i)\b50[0234] (?:Internal Server Error|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out|Proxy Error)|(?:status|HTTP|error|code|returned|response)\S*:? (?:code:? )?5(?:0[0-9]|2[0-9])\b|Service Unavailable|Bad Gateway|Gateway Time-?out|stream error: stream ID|INTERNAL_ERROR`),
		Sample: "received 503 Service Unavailable"},
	{Name: "timed-out", Kind: fault.Timeout, Weight: Likely, Match: re(`(?i)i/o timeout|Client\.Timeout|connection timed out|operation timed out|context deadline exceeded|\bE(?:CONN|SOCKET)?TIMEDOUT\b|net/http: request canceled|request timed? ?out|read timed out|connect timed out|network timeout|did not properly respond|timeout awaiting|failed: timeout\b|\btimeout \(\d+ ?ms\)`),
		Sample: "dial tcp 203.0.113.1:443: i/o timeout"},
	{Name: "refused", Kind: fault.Connection, Weight: Wrapper, Help: Elsewhere, Match: re(`^(?:[^:/]*: )?(?:dial tcp [\d.:\[\]a-f]+: )?connect: connection refused$|^(?:[^:/]*: )*[Cc]onnection refused$`),
		Sample: "dial tcp 203.0.113.9:443: connect: connection refused"},
	{Name: "connection", Kind: fault.Connection, Weight: Likely, Match: re(`(?i)connection (?:was )?(?:reset|refused|aborted|closed|broken|lost|failed)|ECONNRE(?:SET|FUSED)|ECONNABORTED|EHOSTUNREACH|ENETUNREACH|EPIPE|socket hang up|broken pipe|no route to host|network is unreachable|unexpected EOF|: EOF$|use of closed network connection|read on closed response body|server closed idle|http2: |GOAWAY|connection error|transport connection|premature close|peer closed|cannot assign requested address|TypeError: fetch failed|Remote end closed|tried to reconnect at offset`),
		Sample: "read tcp 203.0.113.1:5000->203.0.113.2:443: read: connection reset by peer"},
	{Name: "fetch-failed", Kind: fault.Connection, Weight: Vague, Match: re(`(?i)error (?:has occurred )?while retrieving https?://|request to https?://\S+ failed|error downloading \[?https?://|failed to (?:download|fetch|retrieve) .*https?://|unable to (?:download|fetch|retrieve) .*https?://|over the internet|[Cc]ouldn't connect to '?https?://|[Ee]rror when performing the request to https?://|could not download|Failed to fetch .*from Google Fonts`),
		Sample: "request to https://fonts.example.com/inter.woff2 failed, reason:"},
}

// traceRows say that something failed and little of why.
var traceRows = []Pattern{
	{Name: "killed", Service: "buildkit", Kind: fault.Resource, Weight: Vague, Match: re(`(?:exit code|exit status|non-zero code|code):? ?137|exit code: 9$`),
		Sample: `process "/bin/sh -c make" did not complete successfully: exit code: 137`, Hint: "killed, mostly for want of memory: fewer jobs at once, or more memory for the builder"},
	{Name: "canceled", Service: "buildkit", Kind: fault.Canceled, Weight: Trace, Match: re(`(?i)context canceled|\bcancell?ed$|The operation was cancell?ed`),
		Sample: "ERROR: failed to solve: Canceled: context canceled"},
	{Name: "deadline", Service: "buildkit", Kind: fault.Timeout, Weight: Trace, Match: re(`(?i)deadline exceeded|exceeded retry timeout|job was cancelled because|has exceeded the maximum execution time|\btimed out\b`),
		Sample: "The job running on runner has exceeded the maximum execution time of 60 minutes."},
	{Name: "apt-exit", Service: "apt", Kind: fault.Build, Weight: Trace, Match: re(`process <(?:.* )?(?:apt-get|apt)(?: .*)?> .*code: 100$`),
		Sample: `process "/bin/sh -c apt-get update" did not complete successfully: exit code: 100`},
	{Name: "not-found", Service: "registry", Kind: fault.NotFound, Weight: Trace, Match: re(`failed to solve: .*: not found$`),
		Sample: "failed to solve: example.com/app:9: example.com/app:9: not found"},
	{Name: "exit-code", Service: "dockerfile", Kind: fault.Build, Weight: Trace, Match: re(`did not complete successfully: exit code|returned a non-zero code|process <.*>: exit code|while running runtime: exit status`),
		Sample: `process "/bin/sh -c ./configure" did not complete successfully: exit code: 1`},
	{Name: "exception", Service: "compile", Kind: fault.Config, Weight: Trace, Match: re(`^(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)(?: \[\w+\])?: |^(?:rails|rake) aborted!|^Unhandled exception|^Exception in thread|^Uncaught |^Traceback \(most recent`),
		Sample: "ArgumentError: wrong number of arguments"},
	{Name: "make", Service: "compile", Kind: fault.Build, Weight: Trace, Match: re(`^g?make(?:\[\d+\])?: \*\*\* `),
		Sample: "make: *** [Makefile:12: all] Error 2"},
	{Name: "cmake-end", Service: "compile", Kind: fault.Compile, Weight: Trace, Match: re(`^CMake Error at |^(?:-- )?Configuring incomplete, errors occurred`),
		Sample: "-- Configuring incomplete, errors occurred!"},
	{Name: "bazel-end", Service: "compile", Kind: fault.Build, Weight: Trace, Match: re(`Build did NOT complete successfully`),
		Sample: "ERROR: Build did NOT complete successfully"},
	{Name: "gradle-end", Service: "maven", Kind: fault.Build, Weight: Trace, Match: re(`A problem occurred (?:evaluating|configuring)|^FAILURE: Build failed with an exception|BUILD FAILURE|^Execution failed for task`),
		Sample: "A problem occurred evaluating script."},
}
