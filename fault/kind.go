// Package fault names the ways in which a build can fail. One table says of
// each kind what can help, whether the service that showed it is to blame, and
// what to tell a person. The package decides nothing else, does no I/O and
// imports nothing of the project.
package fault

// A Kind is one way to fail. The zero Kind, None, is success.
type Kind string

// The kinds of failure. Their texts are part of the interface: they stand in
// reports, in JSON and in the history.
const (
	None        Kind = ""
	DNS         Kind = "dns"                 // a name did not resolve
	Connection  Kind = "connection"          // refused, reset, unreachable
	Timeout     Kind = "timeout"             // silence: dial, head of the answer, or mid-body
	TLS         Kind = "tls"                 // no handshake, or a certificate that does not prove the host
	Outage      Kind = "outage"              // the service says itself that it is not well: 5xx
	RateLimited Kind = "rate-limited"        // 429, or a quota in other words
	HTML        Kind = "html-instead-of-api" // a page for people where an API was asked
	Truncated   Kind = "truncated"           // the body ended before its known end
	Corrupt     Kind = "corrupt"             // bytes that do not match their digest
	Auth        Kind = "auth"                // 401, 403, or a token that was refused
	NotFound    Kind = "not-found"           // a definite no: 404, 410
	Rejected    Kind = "rejected"            // another 4xx: the service did not take the request
	TooLarge    Kind = "too-large"           // more than the limit of what was asked for
	CacheImport Kind = "cache-import"        // a build cache could not be read
	CacheExport Kind = "cache-export"        // a build cache could not be written
	Resource    Kind = "resource"            // disk, memory, quota of this machine
	Engine      Kind = "daemon-lost"         // no build engine, or it went away
	Platform    Kind = "platform"            // this machine cannot run that platform
	Dockerfile  Kind = "user-dockerfile"     // the Dockerfile itself
	Compile     Kind = "user-compile"        // the user's code does not compile
	Test        Kind = "user-test"           // the user's tests fail
	MissingFile Kind = "user-missing-file"   // a file that the build names is not there
	Dependency  Kind = "user-dependency"     // a dependency that does not exist or does not fit
	Config      Kind = "user-config"         // settings, flags, credentials of the user
	Build       Kind = "build"               // a step failed for a reason of its own
	Canceled    Kind = "canceled"            // somebody stopped it
	Unknown     Kind = "unknown"             // nothing that is known here
)

// An Action is what can help after a failure.
type Action int

// The actions, from least to most.
const (
	Stop  Action = iota // nothing that the same build, unchanged, could do
	Next                // another endpoint; this one will say the same again
	Retry               // another endpoint, and this one too after a while
)

// String returns the word for a in reports.
func (a Action) String() string {
	switch a {
	case Next:
		return "next"
	case Retry:
		return "retry"
	}
	return "stop"
}

type row struct {
	kind   Kind
	action Action
	blames bool   // lowers the endpoint's score
	user   bool   // the cause lies in the user's repository, settings or credentials
	verb   string // what the service does: "docker.io does not answer"
	hint   string // what to do, for people; no capital, no full stop
}

var rows = []row{
	{None, Stop, false, false, "answers", ""},
	{DNS, Retry, true, false, "has a name that does not resolve", "the name did not resolve: check the resolver, or name a mirror on another host"},
	{Connection, Retry, true, false, "cannot be reached, or breaks the connection", "the service cannot be reached: name a mirror, or fill the local store while it is up"},
	{Timeout, Retry, true, false, "does not answer", "the service accepts and stays silent: name a mirror, or raise the limits under fetch: in the settings"},
	{TLS, Next, true, false, "cannot be trusted: no secure connection", "the connection could not be secured: check the certificate, the clock, and proxies in between"},
	{Outage, Retry, true, false, "reports an outage", "the service reports an outage of its own: see its status page; a mirror would carry the build"},
	{RateLimited, Retry, true, false, "limits the rate", "log in for a higher limit, or pull through the gateway so that each file is asked for once"},
	{HTML, Retry, true, false, "answers with an HTML page", "a web page came where an API was asked: an outage page, or a proxy or login page in between"},
	{Truncated, Retry, true, false, "breaks off transfers", "transfers break off: check proxies in between, or name a mirror"},
	{Corrupt, Next, true, false, "serves spoiled bytes", "bytes do not match their digest: drop this mirror until its operator has repaired it"},
	{Auth, Next, false, true, "refuses access", "check the saved login of this registry (docker login), or log out where the image is public"},
	{NotFound, Next, false, true, "does not have it", "check the name and the tag"},
	{Rejected, Next, true, false, "rejects the request", "the service did not take the request: check the address in the settings"},
	{TooLarge, Next, true, false, "sends more than was asked for", "the answer is larger than anything that was asked for: check the address in the settings"},
	{CacheImport, Retry, true, false, "does not give the cache", "the build goes on without this cache"},
	{CacheExport, Retry, true, false, "does not take the cache", "the image is not affected: the cache will be filled by a later build"},
	{Resource, Stop, false, true, "runs out of resources", "free disk space or memory: docker buildx prune, or fewer builds at once"},
	{Engine, Retry, true, false, "is not there", "check that the builder runs: docker buildx ls"},
	{Platform, Stop, false, true, "cannot run the platform", "install emulation for this platform, or cross-compile with FROM --platform=$BUILDPLATFORM"},
	{Dockerfile, Stop, false, true, "fails", "mend the Dockerfile at the line shown"},
	{Compile, Stop, false, true, "fails", "mend the code at the place that the compiler names"},
	{Test, Stop, false, true, "fails", "mend the test or the code it tests"},
	{MissingFile, Stop, false, true, "fails", "add the file, or check .dockerignore and the build context"},
	{Dependency, Stop, false, true, "fails", "check the version of the dependency that is named"},
	{Config, Stop, false, true, "fails", "check the flags and the settings"},
	{Build, Stop, false, true, "fails", "see the output of the step"},
	{Canceled, Stop, false, false, "was stopped", ""},
	{Unknown, Stop, false, false, "fails in a way that is not known", "the cause is not known: see the lines shown"},
}

var table = func() map[Kind]row {
	m := make(map[Kind]row, len(rows))
	for _, r := range rows {
		m[r.kind] = r
	}
	return m
}()

// Kinds lists every kind of failure, None left out, in the order of the table.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(rows))
	for _, r := range rows {
		if r.kind != None {
			kinds = append(kinds, r.kind)
		}
	}
	return kinds
}

func (k Kind) row() row {
	if r, ok := table[k]; ok {
		return r
	}
	return table[Unknown]
}

// Action says what can help after a failure of kind k. A kind that is not in
// the table is treated as Unknown: nothing helps that is known.
func (k Kind) Action() Action { return k.row().action }

// Blames reports whether a failure of kind k lowers the score of the endpoint
// that showed it. A 404 or a refused login says nothing about a service's
// health.
func (k Kind) Blames() bool { return k.row().blames }

// User reports whether the cause of k lies with the user: in the repository,
// the settings or the credentials.
func (k Kind) User() bool { return k.row().user }

// Verb says what a service does that shows k, to follow its name: "does not
// answer".
func (k Kind) Verb() string { return k.row().verb }

// Hint says in a clause what a person can do about k. It is empty where there
// is nothing to do.
func (k Kind) Hint() string { return k.row().hint }
