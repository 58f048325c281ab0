package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// An answer says what moving content stands for now.
type answer struct {
	pinned Asset // with its digest
	stale  time.Time
	body   *Body  // in memory
	spoke  string // the endpoint that said so
}

// moving returns content that moves: a fresh answer, else what the upstreams
// say that may speak for it, else the last good answer, marked as stale.
func (m *Mirror) moving(ctx context.Context, a Asset) (*Body, error) {
	if a.Stored {
		return m.remembered(a)
	}
	got, err := m.answers.do(ctx, m.run, a.Key, func(ctx context.Context) (answer, error) { return m.answer(ctx, a) })
	if err != nil {
		return nil, err
	}
	b := *got.body
	b.stale = got.stale
	return &b, nil
}

// remembered returns the last good answer about a, whatever its age.
func (m *Mirror) remembered(a Asset) (*Body, error) {
	last, err := m.last(a)
	if err != nil {
		return nil, err
	}
	got, err := m.recall(a, last)
	if err != nil {
		return nil, err
	}
	return got.body, nil
}

func (m *Mirror) answer(ctx context.Context, a Asset) (answer, error) {
	last, lastErr := m.last(a)
	if lastErr == nil && a.Fresh > 0 && time.Since(last.At) < a.Fresh {
		if got, err := m.recall(a, last); err == nil {
			return got, nil
		}
	}
	got, err := m.resolve(ctx, a, lastErr == nil)
	if err == nil {
		m.note(a, got)
		return got, nil
	}
	if definite(err) || lastErr != nil {
		return answer{}, err
	}
	got, recallErr := m.recall(a, last)
	if recallErr != nil {
		return answer{}, err
	}
	got.stale = last.At
	return got, nil
}

// definite reports whether somebody who knows said no: then an old yes does
// not count.
func definite(err error) bool {
	var failure *fetch.Failure
	if !errors.As(err, &failure) {
		return false
	}
	kind := failure.Kind()
	return kind == fault.NotFound || kind == fault.Auth
}

// spokenBy is the note beside an answer that says who gave it.
const spokenBy = "from"

// last returns the last good answer about a. It counts only where the settings
// of now let who gave it speak for tags: settings differ from project to
// project, and the store is one.
func (m *Mirror) last(a Asset) (cas.Name, error) {
	if m.Store == nil {
		return cas.Name{}, fs.ErrNotExist
	}
	last, err := m.Store.Name(a.Key)
	if err != nil {
		return cas.Name{}, err
	}
	if !m.speaks(a, last.Note[spokenBy]) {
		return cas.Name{}, fs.ErrNotExist
	}
	return last, nil
}

// speaks reports whether the upstream at base may say what a stands for.
func (m *Mirror) speaks(a Asset, base string) bool {
	return slices.ContainsFunc(m.Upstreams(a.Origin), func(u Upstream) bool { return u.Moving && u.Base == base })
}

// base returns the address of the upstream that answered.
func (m *Mirror) base(a Asset, endpoint string) string {
	for _, u := range m.Upstreams(a.Origin) {
		if u.Moving && u.Endpoint == endpoint {
			return u.Base
		}
	}
	return ""
}

// note keeps an answer as the last good one. It counts as good with its bytes
// in hand only.
func (m *Mirror) note(a Asset, got answer) {
	if m.Store == nil || !m.keep(got.pinned, got.body.data) {
		return
	}
	n := cas.Name{
		Digest: got.pinned.Digest, MediaType: got.body.asset.Type, Size: got.body.size, At: time.Now(),
		Note: map[string]string{spokenBy: m.base(a, got.spoke)},
	}
	// A store that cannot be written is skipped.
	_ = m.Store.SetName(a.Key, n)
	if _, ok := m.Ecosystem.(Successor); ok && m.isOrigin(a, got.spoke) {
		_ = m.Store.SetName(originsWord(a), n)
	}
}

// recall returns a stored answer with its bytes.
func (m *Mirror) recall(a Asset, last cas.Name) (answer, error) {
	pinned := m.pinned(a, last.Digest)
	if pinned.Type == "" {
		pinned.Type = last.MediaType
	}
	b, err := m.stored(pinned)
	if err != nil {
		return answer{}, err
	}
	if b.data == nil {
		b.Close()
		return answer{}, fs.ErrNotExist
	}
	return answer{pinned: pinned, body: b}, nil
}

func (m *Mirror) pinned(a Asset, d digest.Digest) Asset {
	if p, ok := m.Ecosystem.(Pinner); ok {
		return p.Pinned(a, d)
	}
	a.Key, a.Digest, a.Small = a.Key+"@"+d.String(), d, true
	return a
}

// resolve asks the upstreams that may speak for a. With fallback set there is
// an old answer to fall back on, and nobody waits for services to come back.
func (m *Mirror) resolve(ctx context.Context, a Asset, fallback bool) (answer, error) {
	ask := m.ask(a, true)
	if fallback {
		ask.Budget = &fetch.Budget{Wait: -1}
	}
	p, ok := m.Ecosystem.(Pinner)
	if !ok {
		return m.read(ctx, a, ask, nil)
	}
	if a.Headless {
		return m.read(ctx, a, ask, p)
	}
	head, err := m.Fetcher.Head(ctx, ask)
	if err != nil {
		if ask.Sources = headless(err, ask.Sources); definite(err) || len(ask.Sources) == 0 {
			return answer{}, err
		}
		got, readErr := m.read(ctx, a, ask, p)
		if readErr != nil && !definite(readErr) {
			readErr = err // which knows of all sources
		}
		return got, readErr
	}
	d := p.Pin(head.Header)
	if d == "" {
		return m.read(ctx, a, ask, p)
	}
	pinned := p.Pinned(a, d)
	b, err := m.fixed(ctx, pinned, false)
	if err != nil && disowned(err, head.Endpoint) {
		if got, readErr := m.read(ctx, a, ask, p); readErr == nil {
			return got, nil
		}
	}
	if err != nil {
		return answer{}, err
	}
	return answer{pinned: pinned, body: b, spoke: head.Endpoint}, nil
}

// disowned reports whether the endpoint that named a digest has no such content,
// or other bytes: then its head was wrong, and what it gives for the name counts.
func disowned(err error, endpoint string) bool {
	var failure *fetch.Failure
	return errors.As(err, &failure) && slices.ContainsFunc(failure.Tries, func(t fetch.Try) bool {
		return t.Endpoint == endpoint && (t.Kind == fault.NotFound || t.Kind == fault.Corrupt)
	})
}

// headless lists the sources that did not take a HEAD as such: a GET may fare
// better there. Of one that was silent or reports an outage, it would not.
func headless(err error, sources []fetch.Source) []fetch.Source {
	var failure *fetch.Failure
	if !errors.As(err, &failure) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(sources), func(s fetch.Source) bool {
		return !slices.ContainsFunc(failure.Tries, func(t fetch.Try) bool {
			return t.Endpoint == s.Endpoint && t.Status != 0 && (t.Kind == fault.Rejected || t.Status == http.StatusNotImplemented)
		})
	})
}

// read gets a's bytes whole. They must match the digest that the upstream
// names, where it names one.
func (m *Mirror) read(ctx context.Context, a Asset, ask fetch.Ask, p Pinner) (answer, error) {
	if s, ok := m.Ecosystem.(Successor); ok {
		ask.Check = m.succeeding(a, s, ask.Check)
	}
	if p != nil {
		ask.Check = func(got fetch.Answer) error { return matches(p, got.Header, got.Body) }
	}
	got, err := m.Fetcher.Bytes(ctx, ask)
	if err != nil {
		return answer{}, err
	}
	pinned := m.pinned(a, digest.FromBytes(got.Body))
	if p == nil {
		pinned.Type = got.Header.Get("Content-Type")
	}
	return answer{pinned: pinned, body: m.inMemory(pinned, got.Endpoint, got.Body), spoke: got.Endpoint}, nil
}

// matches judges a body that came without a digest to ask for.
func matches(p Pinner, head http.Header, body []byte) error {
	named := p.Pin(head)
	if named != "" && named.Algorithm().FromBytes(body) != named {
		return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf("the body does not match %s", named)}
	}
	_, err := p.Judge(body)
	return err
}
