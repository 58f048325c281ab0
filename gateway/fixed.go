package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// fixed returns content that its digest proves: from the store where this
// very asset was fetched before, else from any upstream.
func (m *Mirror) fixed(ctx context.Context, a Asset, head bool) (*Body, error) {
	if b, err := m.stored(a); err == nil {
		return b, nil
	}
	if head && !a.Small {
		b, err := m.sized(ctx, a)
		if len(headless(err, m.sources(a, false))) == 0 && !saysPage(err) {
			return b, err
		}
		// Somebody takes no HEAD, or calls content a page, which it may be: the
		// content itself tells its size.
	}
	if b, ok := m.spooled.Load(a.place()); ok {
		return b.(*Body).share(m, a)
	}
	b, err := m.content.do(ctx, m.run, a.place(), func(ctx context.Context) (*Body, error) { return m.fetch(ctx, a) })
	if err != nil {
		return nil, err
	}
	return b.share(m, a)
}

// place is what a is known by while it is under way. A key alone may have had
// another digest before.
func (a Asset) place() string { return a.Key + "@" + a.Digest.String() }

// saysPage reports whether a source answered well, with what it calls a page.
func saysPage(err error) bool {
	var failure *fetch.Failure
	return errors.As(err, &failure) && slices.ContainsFunc(failure.Tries, func(t fetch.Try) bool {
		return t.Kind == fault.HTML && t.Status == http.StatusOK
	})
}

// stored returns a from the store. The name counts as much as the bytes: it
// says that this asset was had from one of its own upstreams, so that a digest
// alone opens nothing that another registry was asked for.
func (m *Mirror) stored(a Asset) (*Body, error) {
	if m.Store == nil {
		return nil, fs.ErrNotExist
	}
	known, err := m.Store.Name(a.Key)
	if err != nil {
		return nil, err
	}
	if known.Digest != a.Digest {
		return nil, fs.ErrNotExist
	}
	return m.open(a)
}

// open returns a's bytes from the store, whoever had them fetched.
func (m *Mirror) open(a Asset) (*Body, error) {
	c, err := m.Store.Get(a.Digest)
	if err != nil {
		return nil, err
	}
	if !a.Small {
		return &Body{asset: a, from: "store", file: c.File, size: c.Size}, nil
	}
	defer c.Close()
	if c.Size > a.limit() {
		return nil, fs.ErrNotExist
	}
	data, err := io.ReadAll(c)
	if err != nil {
		return nil, err
	}
	return m.inMemory(a, "store", data), nil
}

// inMemory wraps proved bytes, and learns from them.
func (m *Mirror) inMemory(a Asset, from string, data []byte) *Body {
	if t, ok := m.Ecosystem.(Typer); ok && a.Type == "" {
		a.Type = t.Type(data)
	}
	if l, ok := m.Ecosystem.(Learner); ok {
		l.Learn(a, data)
	}
	return &Body{asset: a, from: from, data: data, size: int64(len(data))}
}

// sized answers a HEAD for large content without fetching it.
func (m *Mirror) sized(ctx context.Context, a Asset) (*Body, error) {
	answer, err := m.Fetcher.Head(ctx, m.ask(a, false))
	if err != nil {
		return nil, err
	}
	return &Body{asset: a, from: answer.Endpoint, size: answer.Size}, nil
}

// fetch brings a's bytes into the store, or into memory, or where the store
// cannot be written into a file without a name.
func (m *Mirror) fetch(ctx context.Context, a Asset) (*Body, error) {
	// Another flight may have brought it since the caller looked.
	if b, err := m.present(a); err == nil {
		return b, nil
	}
	b, err := m.admit(ctx, a)
	if err == nil || definite(err) || m.Store != nil && !errors.Is(err, fs.ErrNotExist) && len(headless(err, m.sources(a, false))) == 0 {
		return b, err
	}
	if a.Small {
		answer, err := m.Fetcher.Bytes(ctx, m.ask(a, false))
		if err != nil {
			return nil, err
		}
		m.keep(a, answer.Body)
		return m.inMemory(a, answer.Endpoint, answer.Body), nil
	}
	if m.Store != nil {
		b, err := m.spool(ctx, a)
		if fault.Of(err) != fault.Resource {
			return b, err
		}
	}
	return m.spoolAside(ctx, a)
}

// present is stored for those who share a flight: what is in a file is opened
// by each of them.
func (m *Mirror) present(a Asset) (*Body, error) {
	b, err := m.stored(a)
	if err != nil || b.file == nil {
		return b, err
	}
	b.Close()
	b.file, b.kept = nil, true
	return b, nil
}

// admit gives bytes that the store has from elsewhere, once an upstream of
// this asset has shown that it would give them too. Its error is
// fs.ErrNotExist where the store has none.
func (m *Mirror) admit(ctx context.Context, a Asset) (*Body, error) {
	if m.Store == nil {
		return nil, fs.ErrNotExist
	}
	size, err := m.Store.Stat(a.Digest)
	if err != nil {
		return nil, fs.ErrNotExist
	}
	if _, err := m.Fetcher.Head(ctx, m.ask(a, false)); err != nil {
		return nil, err
	}
	if !m.remember(a, size) {
		return nil, fs.ErrNotExist
	}
	return m.present(a)
}

// keep stores small proved bytes. A store that cannot be written is skipped.
func (m *Mirror) keep(a Asset, data []byte) bool {
	if m.Store == nil || m.Store.Put(a.Digest, bytes.NewReader(data)) != nil {
		return false
	}
	return m.remember(a, int64(len(data)))
}

func (m *Mirror) remember(a Asset, size int64) bool {
	name := cas.Name{Digest: a.Digest, MediaType: a.Type, Size: size, At: time.Now(), Note: map[string]string{sureNote: "yes"}}
	return m.Store.SetName(a.Key, name) == nil
}

// spool fetches a into the store. It is served once it is proved, while the
// store makes it durable. The error is of kind Resource where the store is at
// fault.
func (m *Mirror) spool(ctx context.Context, a Asset) (*Body, error) {
	w, err := m.Store.Create()
	if err != nil {
		return nil, storeError(err)
	}
	answer, err := m.Fetcher.Spool(ctx, m.ask(a, false), w)
	if err == nil {
		err = w.Verify(a.Digest)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return m.serveSpool(a.place(), a, answer, w, func() { m.remember(a, answer.Size) })
}

// serveSpool returns what w holds, proved to be a's, and has the store make it
// durable; then it calls kept. Until then it is found at place. It closes w.
func (m *Mirror) serveSpool(place string, a Asset, answer fetch.Answer, w *cas.Writer, kept func()) (*Body, error) {
	f, err := w.File()
	if err != nil {
		w.Close()
		return nil, storeError(err)
	}
	b := &Body{asset: a, from: answer.Endpoint, size: answer.Size, file: f.File, shared: true, spool: w}
	m.spooled.Store(place, b)
	m.commits.Go(func() {
		defer m.spooled.Delete(place)
		defer w.Close()
		// A store that cannot be written is skipped: who waits has the spool.
		if w.Commit(a.Digest) == nil {
			kept()
		}
	})
	return b, nil
}

func storeError(err error) error {
	return &fault.Error{Op: "store", Kind: fault.Resource, Err: err}
}

// spoolAside fetches a into a file without a name in the folder for temporary
// files. It goes away with its last reader.
func (m *Mirror) spoolAside(ctx context.Context, a Asset) (*Body, error) {
	ask := m.ask(a, false)
	if a.Prove != nil {
		ask = m.askOnce(ctx, a, record{}).Ask
	}
	b, _, err := m.spoolFile(ctx, a, ask)
	return b, err
}

func (m *Mirror) spoolFile(ctx context.Context, a Asset, ask fetch.Ask) (*Body, fetch.Answer, error) {
	f, err := os.CreateTemp("", "outlast-*")
	if err != nil {
		return nil, fetch.Answer{}, storeError(err)
	}
	os.Remove(f.Name())
	answer, err := m.Fetcher.Spool(ctx, ask, aside{f})
	if err == nil && a.Digest != "" {
		err = proved(f, a.Digest)
	}
	if err != nil {
		f.Close()
		return nil, answer, err
	}
	return &Body{asset: a, from: answer.Endpoint, file: f, size: answer.Size, shared: true}, answer, nil
}

// aside is a plain file as a sink.
type aside struct{ *os.File }

// proved reads f once more, since no store has hashed what the disk holds.
func proved(f *os.File, d digest.Digest) error {
	if !d.Algorithm().Available() {
		return errors.New("unknown digest algorithm")
	}
	verifier := d.Verifier()
	if _, err := io.Copy(verifier, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return storeError(err)
	}
	if !verifier.Verified() {
		return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: errors.New("the file does not match its digest")}
	}
	return nil
}

var _ fetch.Sink = aside{}
