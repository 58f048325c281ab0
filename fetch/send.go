package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/outlast-build/outlast/fault"
)

const (
	// sniffed bytes are enough to know a page for people.
	sniffed = 512
	// patienceForText is how long the text of an error may take. It is of use,
	// but nothing waits for it.
	patienceForText = 500 * time.Millisecond
	// maxPage bounds content that looks like a page and may all the same be
	// what its digest says.
	maxPage = 1 << 20
)

// A reply is an answer with a good head, and its body. Close it.
type reply struct {
	placement
	status int
	header http.Header

	endpoint string
	f        *Fetcher
	ctx      context.Context // of this one transfer
	cancel   context.CancelCauseFunc
	watch    *watch
	idle     time.Duration
	body     io.ReadCloser
	buf      *[]byte // what the body is read into; back to the pool on close
	ready    []byte  // the part of buf that next has not returned yet
	rerr     error   // what came after ready

	undelimited bool // the end of the connection is the end of the body
}

// send sends the request of a flight and judges the head of the answer. An
// error is errNoRange, errOtherSize, or a *fault.Error. The reply, or send
// where there is none, ends the flight.
func (j *job) send(fl *flight, method string, w want) (*reply, error) {
	guard := &watch{cancel: fl.cancel, until: time.Now().Add(headRounds * j.limits.Header)}
	step := func() { guard.step(j.limits.Header) }
	step()
	resp, err := client(&fl.c.Source, j.f.base).Do(j.request(trace(fl.ctx, step), fl.c, method, w))
	guard.headCame()
	fl.headCame()
	if err != nil {
		err = fail(fl.ctx, fl.c.Endpoint, fault.Connection, err)
		fl.cancel(nil)
		return nil, err
	}
	fl.try.Status = resp.StatusCode
	r := &reply{f: j.f, endpoint: fl.c.Endpoint, ctx: fl.ctx, cancel: fl.cancel, watch: guard, idle: j.limits.Idle,
		status: resp.StatusCode, header: resp.Header, body: resp.Body,
		undelimited: resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor < 2}
	if err = r.judge(j.ask, method, w, resp); err == nil {
		return r, nil
	}
	r.close()
	var judged *fault.Error
	if errors.As(err, &judged) {
		judged.Endpoint = fl.c.Endpoint
		if host := resp.Request.URL.Host; host != fl.c.host {
			judged.Err = &scrubbed{"at " + host + ": " + judged.Err.Error(), judged.Err}
		}
	}
	return nil, err
}

func (j *job) request(ctx context.Context, c *candidate, method string, w want) *http.Request {
	// newJob has parsed the address.
	req, err := http.NewRequestWithContext(ctx, method, c.URL, nil)
	if err != nil {
		panic(err)
	}
	// What arrives must be what its digest was made from; without a word, any
	// coding would be welcome (RFC 9110, section 12.5.3).
	req.Header.Set("Accept-Encoding", "identity")
	for name, values := range j.ask.Header {
		req.Header[name] = values
	}
	if j.ask.Compressed {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if w.ranged {
		req.Header.Set("Range", rangeHeader(w.span))
	}
	return req
}

func rangeHeader(s span) string {
	text := "bytes=" + strconv.FormatInt(s.off, 10) + "-"
	if s.end != unknown {
		text += strconv.FormatInt(s.end-1, 10)
	}
	return text
}

// trace calls step for each sign of life on the way to the head of an answer.
func trace(ctx context.Context, step func()) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { step() },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { step() },
		GotFirstResponseByte: step,
	})
}

// fail turns an error of the transport into a *fault.Error. What has no
// kind is of kind usual.
func fail(ctx context.Context, endpoint string, usual fault.Kind, err error) error {
	cause := context.Cause(ctx)
	var limit *limitError
	if errors.As(cause, &limit) {
		return &fault.Error{Endpoint: endpoint, Kind: fault.Timeout, Err: limit}
	}
	if cause != nil {
		return &fault.Error{Endpoint: endpoint, Kind: fault.Canceled, Err: cause}
	}
	kind := fault.Of(err)
	if kind == fault.Unknown || kind == fault.Canceled {
		kind = usual
	}
	return &fault.Error{Endpoint: endpoint, Kind: kind, After: fault.After(err), Err: redact(err)}
}

// judge looks at the head, and at the first bytes where they matter.
func (r *reply) judge(a *Ask, method string, w want, resp *http.Response) error {
	h := head{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	if encoded(h.header) && w.size != unknown && h.length != w.size {
		h.length = -1 // of another form than the one whose size is known
	}
	good := h.status < 300
	if !good {
		// The text of an error tells a page from an API, where the type does not.
		h.first = r.sniff(patienceForText)
	}
	if good && method != http.MethodHead && h.status != http.StatusPartialContent {
		// What came before it broke off is taken over, however little it is.
		if h.first = r.sniff(r.idle); len(h.first) == 0 && r.rerr != nil && r.rerr != io.EOF {
			return r.fault(r.rerr)
		}
	}
	p, err := judge(a, w, h, time.Now())
	r.placement = p
	if good && a.Digest != "" && method != http.MethodHead && fault.Of(err) == fault.HTML && r.isContent(a) {
		return nil
	}
	return err
}

// sniff reads the first bytes of the body.
func (r *reply) sniff(limit time.Duration) []byte {
	r.buf = r.f.chunks.Get().(*[]byte)
	for mayBePage(r.ready) && r.rerr == nil {
		r.watch.allow(limit, noBytes(limit))
		n, err := r.body.Read((*r.buf)[len(r.ready):])
		r.watch.rest()
		r.ready, r.rerr = (*r.buf)[:len(r.ready)+n], err
	}
	return r.ready[:min(len(r.ready), sniffed)]
}

// mayBePage reports whether a body that begins so may turn out to be a page
// with its next bytes. It says no early: what is held here is lost to the next
// source if it is the last that comes.
func mayBePage(first []byte) bool {
	return len(first) == 0 || len(first) < 16 && bytes.IndexByte([]byte("<\xef \t\r\n"), first[0]) >= 0
}

// isContent reports whether a body that looks like a page is what the digest
// proves: an artefact may well be a page. It is kept for next where it is.
func (r *reply) isContent(a *Ask) bool {
	var whole bytes.Buffer
	for {
		chunk, err := r.next()
		whole.Write(chunk)
		if err == io.EOF {
			break
		}
		if err != nil || whole.Len() > maxPage {
			return false
		}
	}
	if a.Digest.Algorithm().FromBytes(whole.Bytes()) != a.Digest {
		return false
	}
	n := int64(whole.Len())
	r.placement = placement{span{0, n}, n}
	r.ready, r.rerr = whole.Bytes(), io.EOF
	return true
}

// next returns the next bytes of the body, at least one without an error. They
// are good until the next call. An error is io.EOF or a *fault.Error.
func (r *reply) next() ([]byte, error) {
	if len(r.ready) > 0 {
		chunk := r.ready
		r.ready = nil
		return chunk, nil
	}
	if r.rerr != nil {
		return nil, r.fault(r.rerr)
	}
	if r.buf == nil {
		r.buf = r.f.chunks.Get().(*[]byte)
	}
	for {
		r.watch.allow(r.idle, noBytes(r.idle))
		n, err := r.body.Read(*r.buf)
		r.watch.rest()
		r.rerr = err
		if n > 0 {
			return (*r.buf)[:n], nil
		}
		if err != nil {
			return nil, r.fault(err)
		}
	}
}

func (r *reply) fault(err error) error {
	if err == io.EOF {
		return err
	}
	return fail(r.ctx, r.endpoint, fault.Truncated, err)
}

// close ends the transfer, whether it is complete or not.
func (r *reply) close() {
	r.watch.rest()
	r.cancel(nil)
	r.body.Close()
	if r.buf != nil {
		r.f.chunks.Put(r.buf)
		r.buf, r.ready = nil, nil
	}
}
