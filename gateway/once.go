package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// The notes beside content that says who vouches for it.
const (
	markNote = "mark" // its Proof.Mark
	sureNote = "sure" // set where its Proof.Sure was
)

// once returns content that never changes under its key, although no digest is
// known ahead: what was seen first, else what an upstream sends and a.Prove
// takes.
func (m *Mirror) once(ctx context.Context, a Asset, head bool) (*Body, error) {
	seen := m.seen(a)
	if b, err := m.recallOnce(a, seen); err == nil {
		return b, nil
	}
	if head && !a.Small {
		return m.sized(ctx, a)
	}
	if b, ok := m.spooled.Load(a.place()); ok {
		return b.(*Body).share(m, b.(*Body).asset)
	}
	b, err := m.content.do(ctx, m.run, a.place(), func(ctx context.Context) (*Body, error) { return m.fetchOnce(ctx, a) })
	if err != nil {
		return nil, err
	}
	return b.share(m, b.asset)
}

// A record is what is known of content that was seen before.
type record struct {
	digest digest.Digest // empty where nothing is known
	mark   string
}

// seen returns what is known of a. It counts where somebody vouched for it, or
// where the settings of now trust who sent it: the store is one for all
// projects.
func (m *Mirror) seen(a Asset) record {
	if m.Store == nil {
		return record{}
	}
	n, err := m.Store.Name(a.Key)
	if err != nil || n.Note[sureNote] == "" && !m.speaks(a, n.Note[spokenBy]) {
		return record{}
	}
	return record{n.Digest, n.Note[markNote]}
}

func (m *Mirror) recallOnce(a Asset, seen record) (*Body, error) {
	if seen.digest == "" {
		return nil, errors.New("never seen")
	}
	a.Digest = seen.digest
	return m.open(a)
}

// fetchOnce brings a into the store, or into memory, or where the store cannot
// be written into a file without a name.
func (m *Mirror) fetchOnce(ctx context.Context, a Asset) (*Body, error) {
	seen := m.seen(a)
	// Another flight may have brought it since the caller looked.
	if b, err := m.recallOnce(a, seen); err == nil {
		if b.file != nil {
			b.Close()
			b.file, b.kept = nil, true
		}
		return b, nil
	}
	switch {
	case a.Small:
		return m.readOnce(ctx, a, seen)
	case m.Store != nil:
		b, err := m.spoolOnce(ctx, a, seen)
		if fault.Of(err) != fault.Resource {
			return b, err
		}
	}
	return m.spoolAside(ctx, a)
}

// An onceAsk is an Ask whose proof is remembered.
type onceAsk struct {
	fetch.Ask
	mu    sync.Mutex
	proof Proof
}

// askOnce asks for a, and has each answer proved: by a itself, and against what
// was seen before.
func (m *Mirror) askOnce(ctx context.Context, a Asset, seen record) *onceAsk {
	o := &onceAsk{Ask: m.ask(a, false)}
	o.Ordered = true // where nothing but its sender speaks for it, the user's order counts
	o.Prove = func(r io.ReaderAt, size int64) error {
		p, err := a.Prove(ctx, r, size)
		if err == nil {
			err = seen.agrees(p, r, size)
		}
		if err != nil {
			return err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.proof = p
		return nil
	}
	return o
}

// agrees fails where content is not what was seen first.
func (s record) agrees(p Proof, r io.ReaderAt, size int64) error {
	if s.digest == "" || p.Sure || p.Mark != "" && p.Mark == s.mark {
		return nil
	}
	d, err := digest.FromReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	if d != s.digest {
		return &fault.Error{Op: "verify", Kind: fault.Corrupt, Err: fmt.Errorf("it was %s when it was first seen", s.digest)}
	}
	return nil
}

func (m *Mirror) readOnce(ctx context.Context, a Asset, seen record) (*Body, error) {
	ask := m.askOnce(ctx, a, seen)
	prove := ask.Prove
	ask.Prove = nil
	ask.Check = func(got fetch.Answer) error {
		err := prove(bytes.NewReader(got.Body), int64(len(got.Body)))
		if fault.Of(err) == fault.Unknown {
			err = &fault.Error{Kind: fault.Corrupt, Err: err}
		}
		return err
	}
	answer, err := m.Fetcher.Bytes(ctx, ask.Ask)
	if err != nil {
		return nil, err
	}
	a.Digest = digest.FromBytes(answer.Body)
	if m.Store != nil && m.Store.Put(a.Digest, bytes.NewReader(answer.Body)) == nil {
		m.rememberOnce(a, answer, ask.proof)
	}
	return m.inMemory(a, answer.Endpoint, answer.Body), nil
}

func (m *Mirror) spoolOnce(ctx context.Context, a Asset, seen record) (*Body, error) {
	place := a.place()
	w, err := m.Store.Create()
	if err != nil {
		return nil, storeError(err)
	}
	ask := m.askOnce(ctx, a, seen)
	answer, err := m.Fetcher.Spool(ctx, ask.Ask, w)
	if err == nil {
		a.Digest, err = digestOf(w, answer.Size)
	}
	if err == nil {
		err = w.Verify(a.Digest)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return m.serveSpool(place, a, answer, w, func() { m.rememberOnce(a, answer, ask.proof) })
}

func digestOf(r io.ReaderAt, size int64) (digest.Digest, error) {
	d, err := digest.FromReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return "", storeError(err)
	}
	return d, nil
}

// rememberOnce notes what was seen. A store that cannot be written is skipped.
func (m *Mirror) rememberOnce(a Asset, answer fetch.Answer, p Proof) {
	n := cas.Name{Digest: a.Digest, MediaType: a.Type, Size: answer.Size, At: time.Now(),
		Note: map[string]string{spokenBy: m.base(a, answer.Endpoint)}}
	if p.Mark != "" {
		n.Note[markNote] = p.Mark
	}
	if p.Sure {
		n.Note[sureNote] = "yes"
	}
	_ = m.Store.SetName(a.Key, n)
}
