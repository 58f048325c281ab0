package faultnet

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// OutagePage is the page that a large content network showed with status 400
// for hours, to everybody and to every API client.
const OutagePage = "<h2>Our services aren't available right now</h2>" +
	"<p>We're working to restore all services as soon as possible. Please check back soon.</p>"

// A Fault is one way to fail. The zero Fault is health: the backend's answer
// goes out as it is. Faults are values and compare with ==.
//
// Offsets and sizes count the bytes of one answer's body; where the body ends
// before the fault would act, the answer is whole. At HEAD, which has no body,
// the faults of the body leave the answer well, and those of the connection,
// the head and the status act as at GET.
type Fault struct {
	how  *how
	n    int64         // bytes, an offset, or a difference
	code int           // of a canned answer
	wait time.Duration // before the first byte
	till time.Duration // Retry-After
	kind string        // media type of a canned answer
	text string        // body of a canned answer
}

// how says what a kind of fault is called and what it does. A fault has
// an answer or a shape; one that acts before a request has a dial and a serve
// too.
type how struct {
	name   func(Fault) string
	whole  bool                 // acts before a request can be read
	answer func(*exchange)      // takes the place of the backend's answer
	shape  func(*exchange)      // bends the backend's answer
	dial   func(*caller) error  // in memory: what a dial comes to
	serve  func(*Service) error // on a port: what becomes of it
}

// Refuse refuses connections: nobody listens there.
//
// Refuse, DropSYN and HangTLS act before a request can be read. On a Service
// they take the whole of it, when their row matches every request; in a row
// that selects some requests the connection is there already, and Refuse
// becomes Reset, the other two become Hang. A Transport applies them to just
// the requests that match.
func Refuse() Fault { return Fault{how: &refuse} }

// DropSYN lets connecting go unanswered, as a firewall or a dead host does: a
// dial ends when its own limit does.
func DropSYN() Fault { return Fault{how: &dropSYN} }

// HangTLS accepts connections and never finishes the TLS handshake. On a
// Service without TLS it accepts, and never says a word.
func HangTLS() Fault { return Fault{how: &hangTLS} }

// Hang reads the request and never answers.
func Hang() Fault { return Fault{how: &hang} }

// HangAfter sends the head and n bytes of the body, and then nothing more; the
// connection stays open. At HEAD the answer is well.
func HangAfter(n int64) Fault { return Fault{how: &hangAfter, n: atLeast(0, n)} }

// Drip sends the body at the given number of bytes a second, at least 1.
func Drip(perSecond int64) Fault { return Fault{how: &drip, n: atLeast(1, perSecond)} }

// Reset reads the request and resets the connection (RST) before the answer.
func Reset() Fault { return Fault{how: &reset} }

// ResetAfter sends the head and n bytes of the body, then resets the
// connection. At HEAD the answer is well.
func ResetAfter(n int64) Fault { return Fault{how: &resetAfter, n: atLeast(0, n)} }

// CutAfter announces the full length, sends n bytes of the body and closes the
// connection in good order (FIN). At HEAD the answer is well.
func CutAfter(n int64) Fault { return Fault{how: &cutAfter, n: atLeast(0, n)} }

// CloseAt0 is CutAfter(0): a good head, and not one byte of the body.
func CloseAt0() Fault { return CutAfter(0) }

// NoAnswer reads the request and closes the connection in good order, without
// a byte of an answer.
func NoAnswer() Fault { return Fault{how: &noAnswer} }

// WrongByte sends the right number of bytes, one of which is wrong: the one in
// the middle of this answer, or the first where the length is not known.
// Headers tell the truth, a digest among them.
func WrongByte() Fault { return Fault{how: &wrongByte} }

// WrongByteAt is wrong in the byte at this offset of the content, as a damaged
// file is: an answer to a Range request is wrong only if it covers the offset.
func WrongByteAt(offset int64) Fault { return Fault{how: &wrongByteAt, n: atLeast(0, offset)} }

// WrongLength announces a Content-Length that is off by this many bytes. With
// a negative difference the body ends there, and the connection with it; with
// a positive one the connection closes after the whole body, which is too
// short. At HEAD the length is wrong too. An answer without a length is
// buffered up to a mebibyte to learn it.
func WrongLength(difference int64) Fault { return Fault{how: &wrongLength, n: difference} }

// Status answers with this status and an error body as registries send it.
func Status(code int) Fault {
	return StatusBody(code, "application/json", errorBody(code))
}

// StatusHTML answers with this status and a web page. An empty page means
// OutagePage.
func StatusHTML(code int, page string) Fault {
	if page == "" {
		page = OutagePage
	}
	return Fault{how: &statusHTML, code: code, kind: "text/html; charset=utf-8", text: page}
}

// StatusBody answers with this status, media type and body.
func StatusBody(code int, mediaType, body string) Fault {
	return Fault{how: &status, code: code, kind: mediaType, text: body}
}

// OKHTML answers 200 with OutagePage as text/html.
func OKHTML() Fault { return StatusHTML(http.StatusOK, "") }

// OKHTMLAs answers 200 with OutagePage, and calls it by another media type,
// such as application/json.
func OKHTMLAs(mediaType string) Fault {
	f := OKHTML()
	f.kind = mediaType
	return f
}

// TooMany answers 429 as registries do, with a Retry-After in whole seconds,
// rounded up; with 0 there is no such header.
func TooMany(retryAfter time.Duration) Fault {
	f := Status(http.StatusTooManyRequests)
	f.how, f.till = &tooMany, retryAfter
	return f
}

// NoRange ignores Range and answers 200 with the whole content. At HEAD the
// answer is well, but no ranges are offered.
func NoRange() Fault { return Fault{how: &noRange} }

// Slow answers well, but the first byte comes only after d.
func Slow(d time.Duration) Fault { return Fault{}.After(d) }

// After returns f with a silence of d before its first byte. It changes
// nothing about faults that act before a request can be read.
func (f Fault) After(d time.Duration) Fault {
	f.wait = max(0, d)
	return f
}

// IsZero reports whether f is health.
func (f Fault) IsZero() bool { return f == Fault{} }

// Equal reports whether f and g are the same fault.
func (f Fault) Equal(g Fault) bool { return f == g }

// BeforeRequest reports whether f acts before a request can be read, and so
// takes the whole of a Service: Refuse, DropSYN and HangTLS.
func (f Fault) BeforeRequest() bool { return f.how != nil && f.how.whole }

// String names f as tables do: "cut after 400 kB", "503 HTML", "healthy".
func (f Fault) String() string {
	switch {
	case f.how == nil && f.wait == 0:
		return "healthy"
	case f.how == nil:
		return "slow " + f.wait.String()
	case f.wait > 0:
		return fmt.Sprintf("%s after %s", f.how.name(f), f.wait)
	}
	return f.how.name(f)
}

var (
	refuse  = how{name: word("refuse"), whole: true, dial: (*caller).refused, serve: (*Service).refuse, answer: (*exchange).reset}
	dropSYN = how{name: word("drop SYN"), whole: true, dial: (*caller).unanswered, serve: (*Service).dropSYN, answer: (*exchange).hang}
	hangTLS = how{name: word("hang in TLS handshake"), whole: true, dial: (*caller).stuck, serve: (*Service).holdAll, answer: (*exchange).hang}

	hang     = how{name: word("hang"), answer: (*exchange).hang}
	reset    = how{name: word("reset"), answer: (*exchange).reset}
	noAnswer = how{name: word("close without an answer"), answer: (*exchange).close}

	hangAfter   = how{name: size("hang after "), shape: stopWith((*exchange).hang)}
	resetAfter  = how{name: size("reset after "), shape: stopWith((*exchange).reset)}
	cutAfter    = how{name: cutName, shape: stopWith((*exchange).close)}
	drip        = how{name: func(f Fault) string { return "drip " + bytesName(f.n) + "/s" }, shape: func(x *exchange) { x.rate = x.fault.n }}
	wrongByte   = how{name: word("wrong byte"), shape: func(x *exchange) { x.onHead = x.flipMiddle }}
	wrongByteAt = how{name: size("wrong byte at "), shape: func(x *exchange) { x.onHead = x.flipOffset }}
	wrongLength = how{name: func(f Fault) string { return fmt.Sprintf("length off by %+d", f.n) }, shape: func(x *exchange) { x.onHead = x.bendLength }}
	noRange     = how{name: word("no ranges"), shape: (*exchange).noRange}

	status     = how{name: func(f Fault) string { return strconv.Itoa(f.code) }, answer: (*exchange).reply}
	statusHTML = how{name: htmlName, answer: (*exchange).reply}
	tooMany    = how{name: func(f Fault) string {
		if f.till <= 0 {
			return "429"
		}
		return fmt.Sprintf("429 retry after %ds", seconds(f.till))
	}, answer: (*exchange).reply}
)

func word(name string) func(Fault) string { return func(Fault) string { return name } }

func size(prefix string) func(Fault) string {
	return func(f Fault) string { return prefix + bytesName(f.n) }
}

func cutName(f Fault) string {
	if f.n == 0 {
		return "close at byte 0"
	}
	return "cut after " + bytesName(f.n)
}

func htmlName(f Fault) string {
	name := strconv.Itoa(f.code) + " HTML"
	if f.kind != "text/html; charset=utf-8" {
		name += " as " + f.kind
	}
	return name
}

func bytesName(n int64) string {
	switch {
	case n > 0 && n%1e6 == 0:
		return fmt.Sprintf("%d MB", n/1e6)
	case n > 0 && n%1e3 == 0:
		return fmt.Sprintf("%d kB", n/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

func atLeast(least, n int64) int64 { return max(least, n) }

// codes are the error codes of the OCI distribution specification by status.
var codes = map[int]string{
	http.StatusUnauthorized:       "UNAUTHORIZED",
	http.StatusForbidden:          "DENIED",
	http.StatusNotFound:           "NAME_UNKNOWN",
	http.StatusMethodNotAllowed:   "UNSUPPORTED",
	http.StatusTooManyRequests:    "TOOMANYREQUESTS",
	http.StatusServiceUnavailable: "UNAVAILABLE",
}

// errorBody is the body of an error as the OCI distribution specification has
// it.
func errorBody(code int) string {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	name, ok := codes[code]
	if !ok {
		name = "UNKNOWN"
	}
	body, _ := json.Marshal(map[string][]problem{"errors": {{name, http.StatusText(code)}}})
	return string(body)
}

// sendError answers with status code as registries do.
func sendError(w http.ResponseWriter, code int) {
	body := errorBody(code)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	io.WriteString(w, body)
}
