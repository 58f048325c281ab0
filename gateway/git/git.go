// Package git passes on what git asks a web server for when it reads: the smart
// protocol over HTTP (git's gitprotocol-http, version 2 of gitprotocol-v2). A
// request that fails is made again, at the mirrors of its place too; an answer
// is served when all of it is there, and is kept for when nobody answers. What a
// commit holds is proved by git itself; for what a branch stands for, its own
// server is asked first. Nothing that writes is passed on, and no login.
package git

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/gateway"
)

// Prefix is where repositories are served, as POINT/SCHEME/HOST/PATH below it.
// The point tells the uses of a repository apart, so that a builder that keeps
// what it has of an address asks for each in the same words every time.
const Prefix = "/git/"

// The bounds of an exchange. What git asks for grows with what it has and
// wants; BuildKit's asks for one commit, with nothing in hand.
const (
	maxRequest  = 16 << 20
	maxListing  = 128 << 20 // a listing of a million branches
	maxAnswer   = 16 << 30
	rounds      = 3 // how often all sources are asked
	maxRemember = 4096
)

// A Proxy passes git's requests on. Its fields must not change after the first
// request; it may serve many at once.
type Proxy struct {
	Fetcher   *fetch.Fetcher // connects, within its limits and under its Permit; never nil
	Store     gateway.Store  // nil keeps nothing
	Upstreams func(origin string) []gateway.Upstream
	Offline   bool // nobody is asked: the store has the answer, or nobody
	OnTry     func(fetch.Try)
	OnServe   func(gateway.Served)

	mu     sync.Mutex
	last   map[string]string    // by repository: who answered
	failed map[string]time.Time // by endpoint: when it did not, and has not since
}

// Address returns where below a gateway, HOST:PORT, the repository at an address
// is served for the sake of a branch, a tag or a commit, or false where it is
// left to its own server.
func Address(gatewayAt, address, point string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.EscapedPath() != u.Path {
		return "", false
	}
	if _, err := gateway.Origin(u.Scheme, u.Host); err != nil || !clean(u.Path) {
		return "", false
	}
	return fmt.Sprintf("http://%s%s%.4x/%s/%s%s", gatewayAt, Prefix, sha256.Sum256([]byte(point)), u.Scheme, u.Host, u.Path), true
}

// clean reports whether p names one repository in every server's eyes.
func clean(p string) bool {
	return len(p) > 1 && len(p) <= 1024 && path.Clean(p) == strings.TrimSuffix(p, "/") &&
		!strings.ContainsFunc(p, func(r rune) bool { return r <= 0x20 || r >= 0x7f || strings.ContainsRune(`\%?#"<>`, r) })
}

// A question is one request of git's.
type question struct {
	gateway.Asset        // of the answer, with its key in the store
	repository    string // SCHEME://HOST/PATH
	end           string // of the address, behind the repository's
	method        string
	header        http.Header
	body          []byte
	media         string // of a good answer
	moves         bool   // its own server knows best
	lasts         bool   // the answer is as good at any time: what commits hold
	limit         int64
}

// The kinds of request that read, and the media types of their answers.
const (
	advertisement = "application/x-git-upload-pack-advertisement"
	result        = "application/x-git-upload-pack-result"
)

// read reads a request.
func read(w http.ResponseWriter, r *http.Request) (question, error) {
	_, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), "/")
	scheme, rest, _ := strings.Cut(rest, "/")
	host, rest, _ := strings.Cut(rest, "/")
	origin, err := gateway.Origin(scheme, host)
	if err != nil {
		return question{}, err
	}
	q := question{method: r.Method, header: http.Header{}, limit: maxListing}
	if version := r.Header.Get("Git-Protocol"); version == "version=2" || version == "version=1" {
		q.header.Set("Git-Protocol", version)
	}
	repository, lists := strings.CutSuffix("/"+rest, "/info/refs")
	switch {
	case r.Header.Get("Authorization") != "":
		return q, refuse(http.StatusForbidden, "what needs a login is left to its own host")
	case lists && r.Method == http.MethodGet && r.URL.RawQuery == "service=git-upload-pack":
		q.media, q.end = advertisement, "/info/refs?service=git-upload-pack"
		q.moves = q.header.Get("Git-Protocol") != "version=2" // which says here what it can do, and no more
	case strings.HasSuffix("/"+rest, "/git-upload-pack") && r.Method == http.MethodPost && r.URL.RawQuery == "":
		q.media, q.end = result, "/git-upload-pack"
		repository = strings.TrimSuffix("/"+rest, q.end)
		if q.body, err = bodyOf(w, r); err != nil {
			return q, err
		}
		q.header.Set("Content-Type", "application/x-git-upload-pack-request")
		q.moves = bytes.Contains(q.body, []byte("command=ls-refs")) || bytes.Contains(q.body, []byte("want-ref "))
		if !q.moves {
			q.limit, q.lasts = maxAnswer, true
		}
	default:
		return q, refuse(http.StatusForbidden, "the gateway only reads repositories, by the smart protocol")
	}
	if r.URL.EscapedPath() != r.URL.Path || !clean(repository) {
		return q, refuse(http.StatusBadRequest, "%.200q is no path of a repository", repository)
	}
	q.header.Set("Accept", q.media)
	q.header.Set("User-Agent", "git/2.40 (outlast)") // servers tell git from browsers by it
	q.repository, q.Origin, q.Written, q.Name = origin+repository, origin, true, host+repository
	q.Path = repository + q.end
	q.Key = q.key(q.body)
	return q, nil
}

// bodyOf reads the body of a request, which git compresses where that pays.
func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	in := io.Reader(http.MaxBytesReader(w, r.Body, maxRequest))
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the request is not compressed as it says")
		}
		in = z
	}
	body, err := io.ReadAll(io.LimitReader(in, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a request has at most %d bytes", maxRequest)
	}
	return body, nil
}

func refuse(code int, format string, args ...any) error {
	return &gateway.AnswerError{Code: code, Err: fmt.Errorf(format, args...)}
}

// ServeHTTP answers one request of git's.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := read(w, r)
	if err == nil && len(p.Upstreams(q.Origin)) == 0 {
		err = refuse(http.StatusForbidden, "%s is named neither in the settings nor in this build; name it under packages.files in the settings", q.Origin)
	}
	if err != nil {
		fail(w, err)
		return
	}
	a, err := p.answer(r.Context(), q)
	if p.OnServe != nil {
		p.OnServe(gateway.Served{Asset: q.Asset, From: a.from, Stale: a.stale, Err: err})
	}
	if err != nil {
		fail(w, err)
		return
	}
	defer a.Close()
	w.Header().Set("Content-Type", q.media)
	w.Header().Set("Cache-Control", "no-cache")
	if !a.stale.IsZero() {
		w.Header().Set("X-Outlast-Stale", a.stale.UTC().Format(http.TimeFormat))
	}
	// An error means that the client is gone: there is nobody left to tell.
	_, _ = io.Copy(w, io.NewSectionReader(a, 0, a.size))
}

func fail(w http.ResponseWriter, err error) {
	code := http.StatusBadGateway
	var own *gateway.AnswerError
	switch {
	case errors.As(err, &own):
		code = own.Code
	case fault.Of(err) == fault.NotFound:
		code = http.StatusNotFound
	case fault.Of(err) == fault.Auth:
		code = http.StatusForbidden
	}
	http.Error(w, err.Error(), code)
}

// answer asks the sources until one has a good answer, and the store where none
// has. A no of the repository's own server is passed on.
func (p *Proxy) answer(ctx context.Context, q question) (answer, error) {
	if q.lasts {
		if a, err := p.recall(q); err == nil && a.proved {
			return a, nil
		}
	}
	sources := p.sources(q)
	failure := &fetch.Failure{Name: q.Name}
	kept := func() (answer, bool) { a, err := p.recall(q); return a, err == nil }
	for round := 1; round <= rounds && !p.Offline; round++ {
		failure = &fetch.Failure{Name: q.Name}
		for _, s := range sources {
			a, try := p.ask(ctx, q, s)
			if p.OnTry != nil {
				p.OnTry(try)
			}
			p.note(q, s.Endpoint, try)
			if try.Err == nil {
				p.keep(q, a, s.Origin)
				return a, nil
			}
			failure.Tries = append(failure.Tries, try)
			if ctx.Err() != nil {
				return answer{}, context.Cause(ctx)
			}
		}
		if kind := failure.Kind(); kind == fault.NotFound || kind == fault.Auth || kind == fault.Config {
			return answer{}, failure
		}
		if a, ok := kept(); ok {
			return a, nil
		}
		if round < rounds && !sleep(ctx, round, failure.After()) {
			return answer{}, context.Cause(ctx)
		}
	}
	if a, ok := kept(); ok {
		return a, nil
	}
	return answer{}, failure
}

// maxPatience bounds what a server that asks for patience gets between rounds.
const maxPatience = 10 * time.Second

func sleep(ctx context.Context, failures int, after time.Duration) bool {
	wait := time.NewTimer(min(backoff.Policy{}.Wait(failures, rand.Float64(), after), maxPatience))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// rest is how long who failed is asked after all others.
const rest = 30 * time.Second

// sources are in the order of the settings. Its own server comes first where a
// branch is asked about, else who answered last; who failed just now, last.
func (p *Proxy) sources(q question) []fetch.Source {
	var all []fetch.Source
	for _, u := range p.Upstreams(q.Origin) {
		if at, ok := u.Locate(q.Asset); ok {
			all = append(all, fetch.Source{Endpoint: u.Endpoint, URL: at, Transport: u.Transport, Origin: u.Origin})
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	place := func(s fetch.Source) int {
		switch {
		case time.Since(p.failed[s.Endpoint]) < rest:
			return 2
		case q.moves && s.Origin, !q.moves && s.Endpoint == p.last[q.repository]:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b fetch.Source) int { return cmp.Compare(place(a), place(b)) })
	return all
}

// note remembers how a source did.
func (p *Proxy) note(q question, endpoint string, try fetch.Try) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || len(p.last) >= maxRemember {
		p.last, p.failed = make(map[string]string), make(map[string]time.Time)
	}
	switch {
	case try.Err == nil:
		p.last[q.repository] = endpoint
		delete(p.failed, endpoint)
	case try.Kind.Blames():
		p.failed[endpoint] = time.Now()
	}
}
