// Package fetch gets one artefact from the best of several upstreams: ordered
// by their health, hedged, retried within a budget, resumed where another
// broke off, and verified. It keeps nothing, knows no protocol but HTTP, and
// never hands on a byte of content whose digest it was given and did not find.
package fetch

import (
	"io"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// A Source is one upstream that may have what is asked for.
type Source struct {
	// Endpoint is the host, or host:port, that the source is known by on the
	// health.Board and in messages.
	Endpoint string
	// URL is where this source has it. It must be absolute.
	URL string
	// Transport sends requests to the host of URL, and may add what that host
	// alone may see. A redirect to another host, or another port, goes through
	// the Fetcher's own transport. Nil means the Fetcher's own.
	Transport http.RoundTripper
	// Origin says that this source's "not found" is the truth.
	Origin bool
}

// An Ask says what is wanted and who may have it.
type Ask struct {
	Name    string   // for people: "docker.io/library/golang:1.26"
	Serves  string   // what it is content of, for who counts: "docker.io", "go"
	Sources []Source // in the order of preference

	// Header is sent with each request, to redirect targets too, apart from
	// what could be a secret: it is for Accept and the like.
	Header http.Header
	Digest digest.Digest // proves the content; empty where it is not known
	// Prove, if not nil, proves content whose digest is not known, once all of
	// it is there: only Spool takes it. Its error says what is wrong with the
	// content, unless it is of kind fault.Resource. It reads from one goroutine
	// at a time.
	Prove func(r io.ReaderAt, size int64) error
	Size  int64 // of the whole content, in bytes; 0 means unknown
	Limit int64 // most bytes that Bytes holds in memory; 0 means DefaultLimit

	// Compressed says that Bytes asks for a compressed answer, and decodes what
	// comes so. Limit, Digest and Check are of what comes out.
	Compressed bool
	// HTML says that a page for people is a proper answer. Where it is not, a
	// page is a failure of its upstream, whatever its status.
	HTML bool
	// PageIsNo says that a 404 may come as a page for people, as file servers
	// send it, and is a definite no all the same.
	PageIsNo bool
	// Ordered says that the order of Sources matters for more than speed: the
	// board does not change it. The circuit breaker does.
	Ordered bool
	// Patience is how long a source may be silent at least before the next one
	// is asked beside it. Zero means what the source usually takes, or
	// DefaultPatience while that is not known.
	Patience time.Duration
	// Check, if not nil, judges an answer that passed all other judgements:
	// for Bytes with its body, else by its head. A *fault.Error that it
	// returns says of which kind the failure is; any other is Rejected. It may
	// be called from several goroutines at once.
	Check func(Answer) error
	// Budget, if not nil, is used in place of the Fetcher's.
	Budget *Budget
}

// DefaultLimit is the most that Bytes holds in memory: the distribution
// specification has registries take manifests of at least 4 MiB.
const DefaultLimit = 4 << 20

// An Answer is what came back.
type Answer struct {
	Endpoint string      // who gave it; of spooled content, who gave the first byte
	Status   int         // 200, or 304 where Ask.Header made the request conditional
	Header   http.Header // of the answer that Endpoint gave
	Body     []byte      // from Bytes only
	Size     int64       // of the whole content, in bytes; -1 where a HEAD did not tell
}

// A Try is one request to one source, and how it ended.
type Try struct {
	Name     string        // of the Ask
	Serves   string        // of the Ask
	Endpoint string        // of the Source
	At       time.Time     // when it began
	Took     time.Duration // until the head of the answer, or until it failed without
	Kind     fault.Kind    // fault.None is success; Canceled is one that was given up because another was faster
	Status   int           // of the answer; 0 where none came
	Bytes    int64         // of the body that were taken over
	Err      error         // nil on success
	Resumed  bool          // it asked for a part that follows what others gave
	Hedged   bool          // it was sent because another was slow
	Origin   bool          // of the Source
}
