package fetch

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
)

// A span is a part of the content: bytes off to end, end not included.
type span struct{ off, end int64 }

// unknown is the end of content whose size is not known.
const unknown = math.MaxInt64

func (s span) len() int64 { return s.end - s.off }

// A head is what is known of an answer before its body is taken over.
type head struct {
	status int
	header http.Header
	length int64  // of the body; -1 where it is not known
	first  []byte // the body's first bytes, if they were looked at
}

// A want is what a request was sent for.
type want struct {
	span
	ranged bool  // it asked for the span, not for the whole
	size   int64 // of the whole content; unknown where nobody told yet
	proved bool  // size is what the caller knows, not what a source claims
}

// A placement says where in the content the body of a good answer lies.
type placement struct {
	span
	total int64 // size of the whole content, or unknown
}

// errNoRange is an answer with the whole where a part was asked for. It is no
// failure: its source is of use when nobody can do better.
var errNoRange = errors.New("does not serve ranges")

// errOtherSize is an answer whose size is not what another source claimed. It
// is not known who is right.
var errOtherSize = errors.New("another size than the other sources have")

// judge decides on the head of an answer: where its body belongs, or an error,
// which is errNoRange, errOtherSize or a *fault.Error without an endpoint.
func judge(a *Ask, w want, h head, now time.Time) (placement, error) {
	page := !a.HTML && fault.IsHTML(h.header.Get("Content-Type"), h.first)
	switch {
	case h.status == http.StatusNotModified && conditional(a.Header):
		return placement{span{0, 0}, unknown}, nil
	case h.status == http.StatusRequestedRangeNotSatisfiable && w.within() && !disagrees(h.header, w.size):
		// The part is there: it is parts that this source does not give.
		return placement{}, errNoRange
	case h.status == http.StatusRequestedRangeNotSatisfiable && w.ranged && !w.proved && tellsSize(h.header):
		return judgeBeyond(w, h)
	case fault.OfStatus(h.status) != fault.None:
		return placement{}, refusal(a, h, page, now)
	case h.status == http.StatusPartialContent && w.ranged:
		return judgePart(w, h)
	case h.status != http.StatusOK && h.status != http.StatusNonAuthoritativeInfo:
		return placement{}, &fault.Error{Kind: fault.Rejected, Err: errors.New(statusLine(h.status))}
	case page:
		return placement{}, &fault.Error{Kind: fault.HTML, Err: errors.New("a web page with status 200")}
	}
	p := placement{span{0, unknown}, unknown}
	if h.length >= 0 {
		p.end, p.total = h.length, h.length
		if err := judgeTotal(w, h.length); err != nil {
			return p, err
		}
	}
	if w.ranged {
		return p, errNoRange
	}
	return p, nil
}

func conditional(h http.Header) bool {
	return h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != ""
}

// refusal says what a status that is no success means. A page for people tells
// of something in between; but what says of itself that it is not well, or
// asks for patience, is believed however it looks.
func refusal(a *Ask, h head, page bool, now time.Time) error {
	kind, text := fault.OfStatus(h.status), statusLine(h.status)
	believed := kind == fault.Outage || kind == fault.RateLimited || kind == fault.Timeout || kind == fault.NotFound && a.PageIsNo
	if page && !believed {
		kind, text = fault.HTML, "a web page with "+text
	}
	e := &fault.Error{Kind: kind, Err: errors.New(text)}
	if kind == fault.RateLimited || kind == fault.Outage {
		e.After = fault.RetryAfter(h.header.Get("Retry-After"), now)
	}
	return e
}

func statusLine(code int) string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", code, http.StatusText(code)))
}

// judgePart decides on a 206. A source may send less than it was asked for,
// from the beginning on (RFC 9110, section 15.3.7).
func judgePart(w want, h head) (placement, error) {
	text := h.header.Get("Content-Range")
	p, ok := parseContentRange(text)
	if !ok || p.off != w.off || p.end > w.end || h.length >= 0 && h.length != p.len() {
		return p, &fault.Error{Kind: fault.Rejected, Err: fmt.Errorf("bytes %d- were asked for, and %.60q came", w.off, text)}
	}
	if p.total == unknown {
		return p, nil
	}
	return p, judgeTotal(w, p.total)
}

// judgeBeyond decides on an answer that there is nothing where w begins, which
// tells the size of the content instead (RFC 9110, section 15.5.17).
func judgeBeyond(w want, h head) (placement, error) {
	total, _ := number(strings.TrimPrefix(h.header.Get("Content-Range"), "bytes */"))
	p := placement{span{w.off, w.off}, total}
	switch {
	case w.size == unknown && total == w.off:
		// Nothing is left: what was cut off was the news that it was the end.
		return p, nil
	case w.size == unknown || total == w.size:
		return p, &fault.Error{Kind: fault.Rejected, Err: errors.New(statusLine(h.status))}
	}
	return p, errOtherSize
}

func tellsSize(h http.Header) bool {
	text, ok := strings.CutPrefix(h.Get("Content-Range"), "bytes */")
	_, err := number(text)
	return ok && err == nil
}

// within reports whether w is for a part that is known to be there.
func (w want) within() bool { return w.ranged && w.size != unknown && w.off < w.size }

// disagrees reports whether an answer tells another size than size.
func disagrees(h http.Header, size int64) bool {
	return tellsSize(h) && h.Get("Content-Range") != "bytes */"+strconv.FormatInt(size, 10)
}

// judgeTotal compares the size that an answer tells with the one known.
func judgeTotal(w want, total int64) error {
	switch {
	case w.size == unknown || total == w.size:
		return nil
	case !w.proved:
		return errOtherSize
	}
	return &fault.Error{Kind: fault.Corrupt, Err: fmt.Errorf("wrong length: %d bytes, not %d", total, w.size)}
}

// parseContentRange reads "bytes 0-99/1234" and "bytes 0-99/*".
func parseContentRange(text string) (placement, bool) {
	text, ok := strings.CutPrefix(text, "bytes ")
	if !ok {
		return placement{}, false
	}
	part, total, ok := strings.Cut(text, "/")
	first, last, ok2 := strings.Cut(part, "-")
	if !ok || !ok2 {
		return placement{}, false
	}
	off, err1 := number(first)
	end, err2 := number(last)
	p := placement{span{off, end + 1}, unknown}
	if err1 != nil || err2 != nil || end < off {
		return p, false
	}
	if total == "*" {
		return p, true
	}
	n, err := number(total)
	p.total = n
	return p, err == nil && n > end
}

// number reads digits and nothing else, far enough from overflow to be added to.
func number(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 62)
	return int64(n), err
}
