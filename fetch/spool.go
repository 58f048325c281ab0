package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/outlast-build/outlast/fault"
)

// A Sink takes spooled content. It is written in any order, from several
// goroutines at once, and read back to be verified. What lies beyond
// Answer.Size when Spool returns is no part of the content; a Sink that has
// Truncate(int64) error is cut there.
type Sink interface {
	io.WriterAt
	io.ReaderAt
}

// Spool gets content of a known digest into w, and proves it there. Where it
// returns an error, what w holds is not to be used. The error is a *Failure
// where no source was left, or a *fault.Error: of kind Resource where w is to
// blame.
func (f *Fetcher) Spool(ctx context.Context, ask Ask, w Sink) (Answer, error) {
	j, err := f.newJob(&ask)
	if err != nil {
		return Answer{}, err
	}
	if ask.Digest == "" {
		return Answer{}, &fault.Error{Op: ask.Name, Kind: fault.Rejected, Err: errors.New("spooling needs a digest")}
	}
	var got int64
	var answer Answer
	for {
		wt := ask.wholeOf()
		wt.off = got
		wt.ranged = got > 0
		r := race{j: j, wait: true, need: need{part: got > 0}, do: func(fl *flight) (*reply, error) {
			wt := wt
			if fl.whole {
				wt.off, wt.ranged = 0, false
			}
			return j.send(fl, http.MethodGet, wt)
		}}
		l, err := r.run(ctx)
		if err != nil {
			return Answer{}, err
		}
		if answer.Endpoint == "" {
			answer = Answer{Endpoint: l.fl.c.Endpoint, Status: 200, Header: l.reply.header}
		}
		l.fl.try.Resumed = got > 0
		got, err = j.copy(l, w, got)
		l.reply.close()
		if fault.Of(err) == fault.Resource {
			return Answer{}, err
		}
		if err == nil {
			err = j.verify(l, w, got)
			if err != nil {
				got = 0
			}
		}
		if err != nil {
			if ctx.Err() != nil {
				return Answer{}, j.canceled(ctx)
			}
			j.lost(l.fl, err)
			continue
		}
		j.ended(l.fl.c, *l.fl.try)
		answer.Size = got
		return answer, nil
	}
}

func (j *job) copy(l landing, w Sink, got int64) (int64, error) {
	at := l.reply.off
	for {
		chunk, err := l.reply.next()
		if err == io.EOF {
			if l.reply.total != unknown && at < l.reply.total {
				return got, &fault.Error{Endpoint: l.fl.c.Endpoint, Kind: fault.Truncated, Err: io.ErrUnexpectedEOF}
			}
			return got, nil
		}
		if err != nil {
			return got, err
		}
		l.fl.got(len(chunk))
		skip := min(max(0, got-at), int64(len(chunk)))
		at += skip
		chunk = chunk[skip:]
		if _, err := w.WriteAt(chunk, at); err != nil {
			return got, &fault.Error{Op: "write", Kind: fault.Resource, Err: err}
		}
		l.fl.try.Bytes += int64(len(chunk))
		at += int64(len(chunk))
		got = max(got, at)
	}
}

func (j *job) verify(l landing, w Sink, size int64) error {
	v := j.ask.Digest.Verifier()
	if _, err := io.Copy(v, io.NewSectionReader(w, 0, size)); err != nil {
		return &fault.Error{Op: "read", Kind: fault.Resource, Err: err}
	}
	if !v.Verified() {
		return &fault.Error{Endpoint: l.fl.c.Endpoint, Kind: fault.Corrupt, Err: fmt.Errorf("the bytes do not match %s", j.ask.Digest)}
	}
	return nil
}
