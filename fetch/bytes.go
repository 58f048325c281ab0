package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/outlast-build/outlast/fault"
)

// Head asks for the head of an artefact. The error is a *Failure, or a
// *fault.Error where ctx ended or the Ask makes no sense.
func (f *Fetcher) Head(ctx context.Context, ask Ask) (Answer, error) {
	return f.small(ctx, ask, (*job).head)
}

// Bytes gets a whole artefact of at most Ask.Limit bytes. Where Ask.Digest is
// set, the body matches it. The error is a *Failure, or a *fault.Error where
// ctx ended or the Ask makes no sense.
func (f *Fetcher) Bytes(ctx context.Context, ask Ask) (Answer, error) {
	return f.small(ctx, ask, (*job).bytes)
}

func (f *Fetcher) small(ctx context.Context, ask Ask, do func(*job, *flight) error) (Answer, error) {
	j, err := f.newJob(&ask)
	if err != nil {
		return Answer{}, err
	}
	r := race{j: j, wait: true, do: func(fl *flight) (*reply, error) { return nil, do(j, fl) }}
	l, err := r.run(ctx)
	for errors.As(err, new(*Failure)) && j.reprieve() {
		l, err = r.run(ctx)
	}
	if err != nil {
		return Answer{}, err
	}
	j.ended(l.fl.c, *l.fl.try)
	return l.fl.answer, nil
}

// wholeOf is what a request for everything wants.
func (a *Ask) wholeOf() want {
	w := want{span: span{0, unknown}, size: unknown}
	if a.Size > 0 {
		w.end, w.size, w.proved = a.Size, a.Size, true
	}
	return w
}

func (j *job) head(fl *flight) error {
	r, err := j.send(fl, http.MethodHead, j.ask.wholeOf())
	if err != nil {
		return err
	}
	defer r.close()
	fl.answer = Answer{Endpoint: fl.c.Endpoint, Status: r.status, Header: r.header, Size: -1}
	if r.total != unknown && r.header.Get("Content-Encoding") == "" {
		fl.answer.Size = r.total
	}
	return j.check(fl.c, fl.answer)
}

func (j *job) bytes(fl *flight) error {
	r, err := j.send(fl, http.MethodGet, j.ask.wholeOf())
	if err != nil {
		return err
	}
	defer r.close()
	fl.answer = Answer{Endpoint: fl.c.Endpoint, Status: r.status, Header: r.header}
	if r.status == http.StatusNotModified {
		return j.check(fl.c, fl.answer)
	}
	body, err := j.read(fl, r)
	if err == nil && j.ask.Compressed {
		body, err = decode(r, body, j.ask.limit())
	}
	if err != nil {
		return err
	}
	err = j.accept(fl, r, body)
	if err != nil && encoded(r.header) {
		// Some caches compress what nobody asked to be. Where only the header
		// says so, as object stores do of layers, the bytes are what was wanted.
		if plain, failed := decode(r, body, j.ask.limit()); failed == nil {
			err = j.accept(fl, r, plain)
		}
	}
	return err
}

// accept makes a whole body the answer of fl, if it is what was asked for.
func (j *job) accept(fl *flight, r *reply, body []byte) error {
	if err := j.prove(r, body); err != nil {
		return err
	}
	fl.answer.Body, fl.answer.Size = body, int64(len(body))
	return j.check(fl.c, fl.answer)
}

// encoded reports whether an answer says that it is compressed.
func encoded(h http.Header) bool {
	c := strings.ToLower(h.Get("Content-Encoding"))
	return c != "" && c != "identity"
}

func (j *job) read(fl *flight, r *reply) ([]byte, error) {
	limit := j.ask.limit()
	tooLarge := tooLarge(r, limit)
	if r.total != unknown && r.total > limit {
		return nil, tooLarge
	}
	var body []byte
	if r.total != unknown {
		body = make([]byte, 0, r.total)
	}
	for {
		chunk, err := r.next()
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		fl.got(len(chunk))
		fl.try.Bytes += int64(len(chunk))
		if int64(len(body)+len(chunk)) > limit {
			return nil, tooLarge
		}
		body = append(body, chunk...)
	}
}

func (a *Ask) limit() int64 {
	if a.Limit > 0 {
		return a.Limit
	}
	return DefaultLimit
}

func tooLarge(r *reply, limit int64) error {
	return &fault.Error{Endpoint: r.endpoint, Kind: fault.TooLarge, Err: fmt.Errorf("more than %d bytes", limit)}
}

// prove judges a whole body.
func (j *job) prove(r *reply, body []byte) error {
	a := j.ask
	wrong := func(kind fault.Kind, format string, args ...any) error {
		return &fault.Error{Endpoint: r.endpoint, Kind: kind, Err: fmt.Errorf(format, args...)}
	}
	page := !a.HTML && fault.IsHTML(r.header.Get("Content-Type"), body)
	switch {
	case a.Digest != "" && a.Digest.Algorithm().FromBytes(body) == a.Digest:
		return nil
	case page:
		return wrong(fault.HTML, "a web page with status %d", r.status)
	case a.Size > 0 && int64(len(body)) != a.Size:
		return wrong(fault.Corrupt, "wrong length: %d bytes, not %d", len(body), a.Size)
	case a.Digest != "":
		return wrong(fault.Corrupt, "the bytes do not match %s", a.Digest)
	}
	return nil
}

// check asks the caller.
func (j *job) check(c *candidate, answer Answer) error {
	if j.ask.Check == nil {
		return nil
	}
	err := j.ask.Check(answer)
	if err == nil {
		return nil
	}
	kind := fault.Of(err)
	if kind == fault.Unknown {
		kind = fault.Rejected
	}
	return &fault.Error{Endpoint: c.Endpoint, Kind: kind, After: fault.After(err), Err: redact(err)}
}
