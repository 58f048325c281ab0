// Package gateway serves an ecosystem's content from the local store and from
// several upstreams: a Mirror is written once, and each protocol is a small
// package beside it that says what a request asks for. Nothing with a known
// digest leaves it unproved, and no failure of the local store fails a request.
package gateway

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fetch"
)

// An Ecosystem is one protocol: it says what a request asks for. An error is
// an *AnswerError or is answered with 400.
type Ecosystem interface {
	Asset(r *http.Request) (Asset, error)
}

// A Responder answers some requests by itself: pings, listings. It reports
// whether it did.
type Responder interface {
	Respond(w http.ResponseWriter, r *http.Request) bool
}

// An ErrorWriter puts errors into the form that the ecosystem's clients read.
// Without one, errors are plain text.
type ErrorWriter interface {
	WriteError(w http.ResponseWriter, r *http.Request, code int, err error)
}

// A Pinner is an ecosystem whose moving content is named by a digest: a tag
// is resolved first, and its bytes are then content that never changes.
type Pinner interface {
	// Pin reads the digest from the head of an upstream's answer. It
	// returns "" where the answer names none.
	Pin(head http.Header) digest.Digest
	// Pinned returns the asset that a resolved as d, of the given media type.
	Pinned(a Asset, d digest.Digest) Asset
	// Judge looks at a body that has no digest to prove it yet, and returns
	// its media type, or an error where it cannot be what was asked for.
	Judge(body []byte) (media string, err error)
}

// A Learner is an ecosystem that learns from content what it needs to know of
// other content: a manifest tells the sizes of its blobs. It is called with
// proved bytes only, and at once from many places.
type Learner interface {
	Learn(a Asset, body []byte)
}

// A Header is an ecosystem whose clients read more in the head of an answer
// than HTTP has.
type Header interface {
	Header(h http.Header, a Asset)
}

// A Typer is an ecosystem that tells an asset's media type from its proved
// bytes where the upstream's own word is not to be trusted.
type Typer interface {
	Type(body []byte) string
}

// A Looker is an ecosystem that needs more of its own content to judge what is
// asked for: an index, to prove a package by. It is given a way to find it
// before the first request; what it finds so is no answer to a client. The
// caller of find closes what it gets.
type Looker interface {
	Look(find func(context.Context, Asset) (*Body, error))
}

// A Rewriter is an ecosystem whose content names addresses that clients are to
// ask the gateway for instead. The store keeps what upstreams said.
type Rewriter interface {
	// Rewrite returns body, which is a's, for the client that sent r, and may
	// change a's media type. It must not change body itself. An error is
	// answered with 502, if it is no *AnswerError.
	Rewrite(r *http.Request, a *Asset, body []byte) ([]byte, error)
}

// A Successor is an ecosystem whose moving content keeps to what it once said:
// the hash of a version that is out never changes. The origin's word is taken
// as it comes; who stands in for it may not contradict what was said before.
type Successor interface {
	// Succeed returns an error where next cannot follow before.
	Succeed(before, next []byte) error
}

// An Asset is what a request asks for.
type Asset struct {
	Key      string        // the name of the content in the store; private content has its registry and repository in it
	Name     string        // for people: docker.io/library/golang:1.26
	Origin   string        // whose upstreams have it: a registry's host
	Path     string        // below an upstream's base; an Upstream's Locate turns it into an address
	Digest   digest.Digest // proves the content; empty for what moves, and where Prove does it
	Accept   string        // the media types that the client takes; empty means any
	Type     string        // the media type to answer with; empty means the upstream's
	Size     int64         // known size in bytes; 0 means unknown
	Small    bool          // fits in memory: a manifest, an index
	Headless bool          // a HEAD would say nothing of it: a Pinner's listing, which has no digest
	Limit    int64         // most bytes of what is small; 0 means 4 MiB
	Stored   bool          // moving content that only the store is asked for, however old
	HTML     bool          // a page is what is asked for: Check tells a good one from others
	Packed   bool          // upstreams may send it compressed: an index of text that moves
	Fresh    time.Duration // how long an answer about moving content needs no new one
	Loose    bool          // content of any size that may change, as web servers have it: see Mirror.Find
	Written  bool          // Path is as in an address: escaped, and with its query
	Modified string        // when it last changed, in the form of HTTP; empty where nobody says

	// Prove, if not nil, says that the content never changes under Key although
	// no digest is known ahead: the bytes that were seen first stay. It judges
	// what an upstream sent, and may be called at once from many places.
	Prove Prove
	// Check, if not nil, judges what an upstream says of moving content.
	Check func(body []byte) error
}

// limit is the most that a may be in memory.
func (a Asset) limit() int64 {
	if a.Limit > 0 {
		return a.Limit
	}
	return smallLimit
}

// A Prove judges a whole body of content whose digest is not known ahead.
type Prove func(ctx context.Context, body io.ReaderAt, size int64) (Proof, error)

// A Proof is what came of a Prove.
type Proof struct {
	// Mark is what the content is known by where upstreams may send it in
	// several forms: other bytes with the same mark are the same content. Empty
	// means that its bytes are what it is known by.
	Mark string
	// Sure says that somebody who knows vouches for the content, whoever sent
	// it. Else it counts only for those who trust its sender.
	Sure bool
}

// An Upstream is one place that may have an origin's content.
type Upstream struct {
	Endpoint  string            // host, or host:port: its key on the board and its name in messages
	Base      string            // its whole address, which says who spoke for a tag
	Origin    bool              // its no is definite
	Moving    bool              // it may say what a tag stands for
	Transport http.RoundTripper // carries the credentials of its host, and of no other; nil for none
	Locate    func(a Asset) (url string, ok bool)
}

// source returns u as a source of a, or false where u never has it.
func (u Upstream) source(a Asset) (fetch.Source, bool) {
	url, ok := u.Locate(a)
	return fetch.Source{Endpoint: u.Endpoint, URL: url, Transport: u.Transport, Origin: u.Origin}, ok
}

// An AnswerError is an error with the status that the client gets.
type AnswerError struct {
	Code int
	Err  error
}

// Error returns the text of the cause.
func (e *AnswerError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *AnswerError) Unwrap() error { return e.Err }
