package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// smallLimit bounds what is held in memory for one answer: manifests are at
// most 4 MiB by the distribution specification ("Pushing Manifests").
const smallLimit = 4 << 20

// Store holds content by digest and names beside it. *cas.Store is one.
type Store interface {
	Get(digest.Digest) (*cas.Content, error)
	Stat(digest.Digest) (int64, error)
	Create() (*cas.Writer, error)
	Put(digest.Digest, io.Reader) error
	Name(string) (cas.Name, error)
	SetName(string, cas.Name) error
}

// A Mirror serves one ecosystem. Its fields must not change after the first
// request. All methods may be called at once from many places; Close ends
// what it still fetches.
type Mirror struct {
	Ecosystem Ecosystem
	Store     Store          // nil keeps nothing beyond the answer
	Fetcher   *fetch.Fetcher // never nil
	// Upstreams returns the places that may have an origin's content, in the
	// order of preference, the origin itself where it is one. None means that
	// the gateway does not forward there.
	Upstreams func(origin string) []Upstream
	// Serves is what requests to upstreams are counted for: "go". Empty means
	// the origin that the content is of.
	Serves string
	// Offline asks no upstream: what the store has is served, and nothing else.
	Offline bool
	// OnServe, if not nil, is told of each answer. It must not block.
	OnServe func(Served)

	run     context.Context
	stop    context.CancelCauseFunc
	content flights[*Body]
	spooled sync.Map       // of *Body by key: proved, and not yet durable
	commits sync.WaitGroup // of what is spooled
	answers flights[answer]
}

// Served tells how a request was answered.
type Served struct {
	Asset Asset
	From  string    // "store", or the endpoint that the last byte came from
	Stale time.Time // when the answer was last good; zero where it is fresh
	Err   error     // why it was not answered; nil when it was
}

// Start readies the mirror, which fetches on behalf of its clients until ctx
// ends or Close is called. It must be called once, before the first request.
func (m *Mirror) Start(ctx context.Context) {
	m.run, m.stop = context.WithCancelCause(ctx)
	if l, ok := m.Ecosystem.(Looker); ok {
		l.Look(func(ctx context.Context, a Asset) (*Body, error) { return m.find(ctx, a, false) })
	}
}

// Close ends all fetches under way, and waits until the store has what came.
func (m *Mirror) Close() {
	m.stop(errors.New("the gateway stops"))
	m.commits.Wait()
}

// ServeHTTP answers GET and HEAD.
func (m *Mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if own, ok := m.Ecosystem.(Responder); ok && own.Respond(w, r) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		m.fail(w, r, &AnswerError{http.StatusMethodNotAllowed, fmt.Errorf("%s: the gateway only reads", r.Method)})
		return
	}
	a, err := m.Ecosystem.Asset(r)
	if err != nil {
		if failure := (*fetch.Failure)(nil); errors.As(err, &failure) {
			m.tell(Served{Asset: a, Err: err})
		}
		m.fail(w, r, err)
		return
	}
	m.answerTo(w, r, a)
}

// Find returns the content of a, from the store or from upstreams. With head
// set, large content may be missing: only its size is known. Loose content is
// asked for anew each time, and is the stored one where its server says that it
// did not change; where its digest is known, the stored one is what is wanted.
// The caller closes what it gets.
func (m *Mirror) Find(ctx context.Context, a Asset, head bool) (*Body, error) {
	b, err := m.find(ctx, a, head)
	told := Served{Asset: a, Err: err}
	if b != nil {
		told.From, told.Stale = b.from, b.stale
	}
	m.tell(told)
	return b, err
}

func (m *Mirror) tell(s Served) {
	if m.OnServe != nil {
		m.OnServe(s)
	}
}

func (m *Mirror) find(ctx context.Context, a Asset, head bool) (*Body, error) {
	if len(m.Upstreams(a.Origin)) == 0 {
		return nil, &AnswerError{http.StatusForbidden,
			fmt.Errorf("%s is named neither in the settings nor in this build; name it under registries in the settings", a.Origin)}
	}
	switch {
	case a.Loose:
		return m.loose(ctx, a)
	case a.Digest != "":
		return m.fixed(ctx, a, head)
	case a.Prove != nil:
		return m.once(ctx, a, head)
	}
	return m.moving(ctx, a)
}

func (m *Mirror) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	code := statusOf(err)
	if own, ok := m.Ecosystem.(ErrorWriter); ok {
		own.WriteError(w, r, code, err)
		return
	}
	http.Error(w, err.Error(), code)
}

// statusOf says with which status an error is answered. What is no definite no
// is 502: clients such as containerd go on to their next host, or tell the
// user, and none of them takes it for "does not exist".
func statusOf(err error) int {
	var own *AnswerError
	if errors.As(err, &own) {
		return own.Code
	}
	var failure *fetch.Failure
	if errors.As(err, &failure) {
		switch failure.Kind() {
		case fault.NotFound:
			return http.StatusNotFound
		case fault.Auth:
			return http.StatusForbidden
		}
	}
	return http.StatusBadGateway
}

// sources lists where a may be had; with moving set, only who may say what a
// tag stands for, the origin first: it knows, the others believe.
func (m *Mirror) sources(a Asset, moving bool) []fetch.Source {
	if m.Offline {
		return nil
	}
	var sources []fetch.Source
	for _, u := range m.Upstreams(a.Origin) {
		s, ok := u.source(a)
		switch {
		case !ok || moving && !u.Moving:
		case moving && u.Origin:
			sources = slices.Insert(sources, 0, s)
		default:
			sources = append(sources, s)
		}
	}
	return sources
}

// originPatience is how long an origin that was never asked before may think
// about a tag until a mirror that is trusted for tags is asked beside it: a
// token and an answer take three round trips, and it is the origin's word that
// counts.
const originPatience = time.Second

func (m *Mirror) ask(a Asset, moving bool) fetch.Ask {
	ask := fetch.Ask{Name: a.Name, Serves: cmp.Or(m.Serves, a.Origin), Sources: m.sources(a, moving), Digest: a.Digest, Size: a.Size, Limit: a.limit(),
		HTML: a.HTML, Compressed: a.Packed, Ordered: moving}
	if moving {
		ask.Patience = originPatience
	}
	if check := a.Check; check != nil {
		ask.Check = func(got fetch.Answer) error { return check(got.Body) }
	}
	if a.Accept != "" {
		ask.Header = http.Header{"Accept": {a.Accept}}
	}
	return ask
}
