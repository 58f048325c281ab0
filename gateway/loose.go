package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// The notes beside loose content by which its server tells whether it changed.
const (
	etagNote     = "etag"
	modifiedNote = "modified"
)

// loose returns content that web servers have: what they say now, the stored
// copy where that is the same, and the stored copy, marked as stale, where
// nobody could say.
func (m *Mirror) loose(ctx context.Context, a Asset) (*Body, error) {
	if a.Digest != "" {
		if b, err := m.copyOf(a, a.Digest); err == nil {
			return b, nil
		}
	}
	if b, ok := m.spooled.Load(a.place()); ok { // it came just now
		return b.(*Body).share(m, b.(*Body).asset)
	}
	b, err := m.content.do(ctx, m.run, a.place(), func(ctx context.Context) (*Body, error) { return m.fetchLoose(ctx, a) })
	if err != nil {
		return nil, err
	}
	got, err := b.share(m, b.asset)
	if err == nil {
		got.asset, got.stale = b.asset, b.stale
	}
	return got, err
}

// copyOf returns the stored bytes of a, which have this digest.
func (m *Mirror) copyOf(a Asset, d digest.Digest) (*Body, error) {
	if m.Store == nil {
		return nil, fs.ErrNotExist
	}
	n, err := m.Store.Name(a.Key)
	if err != nil {
		return nil, err
	}
	if n.Digest != d {
		return nil, fs.ErrNotExist
	}
	a.Digest, a.Type, a.Modified = d, n.MediaType, n.Note[modifiedNote]
	return m.open(a)
}

// keptCopy is copyOf for those who share a flight.
func (m *Mirror) keptCopy(a Asset, d digest.Digest) (*Body, error) {
	b, err := m.copyOf(a, d)
	if err == nil {
		b.Close()
		b.file, b.kept = nil, true
	}
	return b, err
}

func (m *Mirror) fetchLoose(ctx context.Context, a Asset) (*Body, error) {
	if a.Digest != "" {
		return m.spoolLoose(ctx, a, m.ask(a, false), cas.Name{})
	}
	last, lastErr := m.last(a)
	if lastErr == nil && !fault.IsHTML(last.MediaType, nil) {
		a.HTML = false // it was no page before
	}
	b, err := m.askLoose(ctx, a, last)
	if err == nil || definite(err) || lastErr != nil {
		return b, err
	}
	old, openErr := m.keptCopy(a, last.Digest)
	if openErr != nil {
		return nil, err
	}
	old.stale = last.At
	return old, nil
}

// askLoose asks who there is for the head, where that could save something, and
// then who answered first for the content. A head that is refused says nothing:
// an address may be signed for one method alone.
func (m *Mirror) askLoose(ctx context.Context, a Asset, last cas.Name) (*Body, error) {
	ask := m.ask(a, true)
	at, sources := "", ask.Sources
	if last.Digest != "" || len(sources) > 1 {
		quick := ask
		quick.Budget = &fetch.Budget{Wait: -1}
		head, err := m.Fetcher.Head(ctx, quick)
		if err == nil && unchanged(head.Header, last, m.base(a, head.Endpoint)) {
			if b, openErr := m.keptCopy(a, last.Digest); openErr == nil {
				last.At = time.Now()
				_ = m.Store.SetName(a.Key, last) // a store that cannot be written is skipped
				return b, nil
			}
		}
		if err != nil && last.Digest != "" && !spoken(err) {
			return nil, err
		}
		at = head.Endpoint
	}
	sources = from(at, sources)
	b, err := m.getLoose(ctx, a, ask, sources, last, -1)
	if err == nil || definite(err) || last.Digest != "" || len(sources) == 0 {
		return b, err
	}
	return m.getLoose(ctx, a, ask, sources, last, 0)
}

// spoken reports whether anybody answered at all.
func spoken(err error) bool {
	var failure *fetch.Failure
	return errors.As(err, &failure) && slices.ContainsFunc(failure.Tries, func(t fetch.Try) bool {
		return t.Status != 0 && t.Kind != fault.Outage && t.Kind != fault.RateLimited
	})
}

// getLoose asks one source after the other. With wait 0, each is waited for as
// long as the budget says; with -1, for nobody.
func (m *Mirror) getLoose(ctx context.Context, a Asset, ask fetch.Ask, sources []fetch.Source, last cas.Name, wait time.Duration) (*Body, error) {
	if len(sources) == 0 {
		_, err := m.Fetcher.Head(ctx, ask)
		return nil, err
	}
	var failures []error
	for _, s := range sources {
		one := ask
		one.Sources = []fetch.Source{s}
		if wait != 0 {
			one.Budget = &fetch.Budget{Wait: wait}
		}
		b, err := m.spoolLoose(ctx, a, oneAnswer(one), last)
		if err == nil || ctx.Err() != nil {
			return b, err
		}
		failures = append(failures, err)
	}
	return nil, together(failures)
}

// together is one failure of all tries. What is no such failure comes first.
func together(failures []error) error {
	var all *fetch.Failure
	for _, err := range failures {
		var f *fetch.Failure
		if !errors.As(err, &f) {
			return err
		}
		if all == nil {
			own := *f
			all = &own
			continue
		}
		all.Tries = append(slices.Clone(all.Tries), f.Tries...)
	}
	return all
}

// from puts the source at endpoint in front.
func from(endpoint string, sources []fetch.Source) []fetch.Source {
	var first, rest []fetch.Source
	for _, s := range sources {
		if s.Endpoint == endpoint {
			first = append(first, s)
			continue
		}
		rest = append(rest, s)
	}
	return append(first, rest...)
}

// unchanged reports whether a head from base tells of what is stored.
func unchanged(h http.Header, last cas.Name, base string) bool {
	if last.Digest == "" || last.Note[spokenBy] != base {
		return false
	}
	if etag := h.Get("ETag"); etag != "" || last.Note[etagNote] != "" {
		return etag == last.Note[etagNote]
	}
	modified := h.Get("Last-Modified")
	return modified != "" && modified == last.Note[modifiedNote]
}

// oneAnswer has parts put together only where they are of the same content, by
// what its server calls it, and takes no less than that announced: no digest
// would tell.
func oneAnswer(ask fetch.Ask) fetch.Ask {
	var mu sync.Mutex
	var first http.Header
	ask.Check = func(got fetch.Answer) error {
		mu.Lock()
		defer mu.Unlock()
		if first == nil || got.Status == http.StatusOK {
			first = got.Header
		}
		etag, modified := got.Header.Get("ETag"), got.Header.Get("Last-Modified")
		same := etag == first.Get("ETag") && modified == first.Get("Last-Modified")
		if got.Status == http.StatusPartialContent && (!same || etag == "" && modified == "") {
			return &fault.Error{Op: "resume", Kind: fault.Corrupt, Err: errors.New("it may have changed meanwhile")}
		}
		return nil
	}
	ask.Prove = func(_ io.ReaderAt, size int64) error {
		mu.Lock()
		defer mu.Unlock()
		if announced := first.Get("Content-Length"); announced != "" && announced != strconv.FormatInt(size, 10) {
			return fmt.Errorf("it ended after %d of %.20s bytes", size, announced)
		}
		return nil
	}
	return ask
}

// spoolLoose brings a into the store, or into a file without a name.
func (m *Mirror) spoolLoose(ctx context.Context, a Asset, ask fetch.Ask, last cas.Name) (*Body, error) {
	if m.Store != nil {
		b, err := m.storeLoose(ctx, a, ask, last)
		if fault.Of(err) != fault.Resource {
			return b, err
		}
	}
	b, answer, err := m.spoolFile(ctx, a, ask)
	if err == nil {
		m.told(&b.asset, answer, last)
	}
	return b, err
}

func (m *Mirror) storeLoose(ctx context.Context, a Asset, ask fetch.Ask, last cas.Name) (*Body, error) {
	w, err := m.Store.Create()
	if err != nil {
		return nil, storeError(err)
	}
	place := a.place()
	answer, err := m.Fetcher.Spool(ctx, ask, w)
	if err == nil && a.Digest == "" {
		a.Digest, err = digestOf(w, answer.Size)
	}
	if err == nil {
		err = w.Verify(a.Digest)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	n := m.told(&a, answer, last)
	return m.serveSpool(place, a, answer, w, func() { _ = m.Store.SetName(a.Key, n) })
}

// told takes what the answer's head says of a. Who stands in for a server may
// have another date for the same bytes: the one that was told first stays.
func (m *Mirror) told(a *Asset, answer fetch.Answer, last cas.Name) cas.Name {
	a.Type, a.Modified = answer.Header.Get("Content-Type"), answer.Header.Get("Last-Modified")
	if last.Digest == a.Digest && !m.isOrigin(*a, answer.Endpoint) {
		a.Modified = last.Note[modifiedNote]
	}
	return cas.Name{Digest: a.Digest, MediaType: a.Type, Size: answer.Size, At: time.Now(), Note: map[string]string{
		spokenBy: m.base(*a, answer.Endpoint), etagNote: answer.Header.Get("ETag"), modifiedNote: a.Modified}}
}
