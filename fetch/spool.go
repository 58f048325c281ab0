package fetch

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
)

// A Sink takes spooled content. It is written in any order, from several
// goroutines at once, and read back to be verified. What it holds beyond
// Answer.Size when Spool returns is no part of the content; a Sink that has
// Truncate(int64) error is cut there.
type Sink interface {
	io.WriterAt
	io.ReaderAt
}

// Spool gets content of a known digest, or with a proof of its own, into w, and
// proves it there. Large
// content comes in parts from several sources at once, and what breaks off
// goes on elsewhere. Where Spool returns an error, what w holds is not to be
// used; nothing is written to w any more when it has returned. The error is a
// *Failure where no source was left, or a *fault.Error: of kind Resource where
// w is to blame.
func (f *Fetcher) Spool(ctx context.Context, ask Ask, w Sink) (Answer, error) {
	j, err := f.newJob(&ask)
	if err != nil {
		return Answer{}, err
	}
	if ask.Digest == "" && ask.Prove == nil {
		return Answer{}, &fault.Error{Op: ask.Name, Kind: fault.Rejected, Err: errors.New("spooling needs a digest or a proof")}
	}
	j.resumes = true
	s := spool{j: j, w: w}
	answer, err := s.run(ctx)
	for errors.As(err, new(*Failure)) && j.reprieve() {
		answer, err = s.run(ctx)
	}
	return answer, err
}

// A spool is content of a known digest on its way into a sink.
type spool struct {
	j       *job
	w       Sink
	spoiled []print // of copies that did not match
}

// run collects copies until one is good. Each round that yields none leaves
// one source less.
func (s *spool) run(ctx context.Context) (Answer, error) {
	for {
		left := s.j.left()
		t, err := s.collect(ctx, nil)
		if err == nil {
			return s.finish(t)
		}
		if !errors.Is(err, errSpoiled) && !s.j.contested() {
			return Answer{}, err
		}
		if s.j.left() < left {
			continue // it is known who it was
		}
		t, err = s.alone(ctx)
		if err == nil {
			return s.finish(t)
		}
		if errors.As(err, new(*fault.Error)) && !errors.As(err, new(*Failure)) || s.j.left() == left || s.j.left() == 0 {
			return Answer{}, err
		}
	}
}

// alone has each source bring a copy of its own. Those that had no part in a
// spoiled copy come first.
func (s *spool) alone(ctx context.Context) (*transfer, error) {
	for _, c := range s.j.bySuspicion(s.spoiled) {
		t, err := s.collect(ctx, c)
		var failure *Failure
		if err == nil || !errors.Is(err, errSpoiled) && !errors.As(err, &failure) {
			return t, err
		}
	}
	return nil, s.j.failure()
}

// errSpoiled is a copy that does not match its digest.
var errSpoiled = errors.New("spoiled")

// collect brings one copy, from only alone unless that is nil, and proves it.
func (s *spool) collect(ctx context.Context, only *candidate) (*transfer, error) {
	buf := s.j.f.chunks.Get().(*[]byte)
	defer s.j.f.chunks.Put(buf)
	t := &transfer{j: s.j, w: s.w, only: only, ends: make(chan workEnd),
		ground: newGround(s.j.ask.wholeOf().size),
		proof:  newProof(s.w, s.j.ask, *buf)}
	defer t.proof.stop()
	s.j.forgive()
	if err := t.run(ctx); err != nil {
		return t, err
	}
	good, err := t.proof.matches(t.ground.size)
	if err != nil || good {
		return t, err
	}
	senders := t.ground.done.senders()
	if len(senders) == 1 {
		s.j.blame(senders[0], t.ground.done, t.proof.wrong())
		return t, errSpoiled
	}
	p, err := take(s.w, t.ground.done)
	if err != nil {
		return t, err
	}
	s.spoiled = append(s.spoiled, p)
	return t, errSpoiled
}

// finish closes the books on a good copy.
func (s *spool) finish(t *transfer) (Answer, error) {
	size := t.ground.size
	if err := cut(s.w, size); err != nil {
		return Answer{}, err
	}
	for _, p := range s.spoiled {
		if err := p.compare(s.w, size, s.j); err != nil {
			return Answer{}, err
		}
	}
	t.answer.Size = size
	return t.answer, nil
}

// digestOf returns the digest of a part of w.
func digestOf(w io.ReaderAt, p span) (digest.Digest, error) {
	d, err := digest.FromReader(io.NewSectionReader(w, p.off, p.len()))
	if err != nil {
		return "", sinkError("read back", err)
	}
	return d, nil
}
