package faultnet

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of what is kept in memory of one exchange.
const (
	maxManifest = 4 << 20  // as registries themselves limit it
	maxBuffered = 1 << 20  // of a body whose length is to be learned
	maxRequest  = 64 << 20 // of a request's body, read before a fault acts
)

// errEnded is what a backend gets for writing to an answer that a fault has
// ended.
var errEnded = errors.New("the script has ended this answer")

// A wire is the connection under an exchange.
type wire interface {
	Close() error // in good order
	Reset() error // what was written arrives, then comes a reset
}

// An exchange is one request and its answer under a fault. It stands as the
// http.ResponseWriter between the backend and the connection.
type exchange struct {
	fault   Fault
	entry   *entry
	w       http.ResponseWriter
	r       *http.Request
	wire    wire
	configs *Configs

	// What the fault's shape sets.
	stop   func(*exchange)                // what to do after stopAt bytes of the body
	stopAt int64                          //
	rate   int64                          // bytes a second; 0 is no limit
	onHead func(length int64, known bool) // sees the head before it goes out

	// What the answer has come to.
	wrote    bool  // the head is decided
	length   int64 // that the backend announced; -1 when it did not
	flipAt   int64 // index in this body of the byte to spoil; -1 is none
	sent     int64
	ended    bool
	swallow  bool   // the rest of the body goes nowhere
	hold     bool   // buffered holds the body until its length is known
	buffered []byte //
	held     func() // lets the held head go
	manifest []byte // seen of a manifest, to learn its configuration
}

// perform serves one request as its entry says. It panics with
// http.ErrAbortHandler where the connection must not be used again.
func (s *stage) perform(w http.ResponseWriter, r *http.Request, e *entry, c wire) {
	defer e.finish()
	x := &exchange{fault: e.request.Fault, entry: e, w: w, r: r, wire: c, configs: s.configs, length: -1, flipAt: -1}
	if x.fault.wait > 0 && !x.pause(x.fault.wait) {
		panic(http.ErrAbortHandler)
	}
	how := x.fault.how
	if how != nil && how.answer != nil {
		how.answer(x)
	} else {
		if how != nil {
			how.shape(x)
		}
		s.backend.ServeHTTP(x, x.r)
		x.release()
	}
	if x.ended {
		panic(http.ErrAbortHandler)
	}
}

// pause waits for d, and reports whether the client is still there.
func (x *exchange) pause(d time.Duration) bool {
	x.drain()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
		x.ended = true
		return false
	}
}

// drain reads what is left of the request. Only then does net/http notice that
// a client has gone, and only then does closing send no reset of its own.
func (x *exchange) drain() { io.CopyN(io.Discard, x.r.Body, maxRequest) }

func (x *exchange) hang() {
	x.drain()
	<-x.r.Context().Done()
	x.ended = true
}

func (x *exchange) reset() {
	x.drain()
	x.wire.Reset()
	x.ended = true
}

func (x *exchange) close() {
	x.drain()
	x.wire.Close()
	x.ended = true
}

func (x *exchange) reply() {
	f, h := x.fault, x.w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(f.text)))
	if f.till > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(f.till), 10))
	}
	x.WriteHeader(f.code)
	io.WriteString(x, f.text)
}

// stopWith shapes an answer that ends in this way after the fault's number of
// bytes.
func stopWith(stop func(*exchange)) func(*exchange) {
	return func(x *exchange) { x.stop, x.stopAt = stop, x.fault.n }
}

func (x *exchange) noRange() {
	x.r = x.r.Clone(x.r.Context())
	x.r.Header.Del("Range")
	x.r.Header.Del("If-Range")
	x.onHead = func(int64, bool) { x.w.Header().Del("Accept-Ranges") }
}

func (x *exchange) flipMiddle(length int64, known bool) {
	x.flipAt = 0
	if known {
		x.flipAt = length / 2
	}
}

func (x *exchange) flipOffset(int64, bool) {
	x.flipAt = x.fault.n - rangeStart(x.w.Header().Get("Content-Range"))
}

// bendLength announces a wrong length, as soon as the right one is known.
func (x *exchange) bendLength(length int64, known bool) {
	if !known {
		x.hold = x.r.Method != http.MethodHead
		return
	}
	wrong := max(0, length+x.fault.n)
	x.w.Header().Set("Content-Length", strconv.FormatInt(wrong, 10))
	x.w.Header().Set("Connection", "close")
	if wrong < length {
		x.stop, x.stopAt = func(x *exchange) { x.swallow = true }, wrong
	}
}

// rangeStart is the first offset that a Content-Range header names, or 0.
func rangeStart(value string) int64 {
	value, ok := strings.CutPrefix(value, "bytes ")
	if !ok {
		return 0
	}
	first, _, _ := strings.Cut(value, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Header is http.ResponseWriter's.
func (x *exchange) Header() http.Header { return x.w.Header() }

// WriteHeader is http.ResponseWriter's.
func (x *exchange) WriteHeader(code int) {
	if x.wrote || x.ended {
		return
	}
	if code < http.StatusOK {
		x.w.WriteHeader(code)
		return
	}
	x.wrote = true
	length, err := strconv.ParseInt(x.w.Header().Get("Content-Length"), 10, 64)
	known := err == nil && length >= 0
	if known {
		x.length = length
	}
	if code == http.StatusNoContent || code == http.StatusNotModified {
		x.head(code)
		return
	}
	if x.onHead != nil {
		x.onHead(length, known)
	}
	if x.hold {
		x.held = func() { x.head(code) }
		return
	}
	x.head(code)
}

func (x *exchange) head(code int) {
	x.entry.status.Store(int64(code))
	x.w.WriteHeader(code)
}

// Write is http.ResponseWriter's.
func (x *exchange) Write(p []byte) (int, error) {
	if !x.wrote {
		x.WriteHeader(http.StatusOK)
	}
	switch {
	case x.ended:
		return 0, errEnded
	case x.r.Method == http.MethodHead:
		return len(p), nil
	}
	x.learn(p)
	if !x.hold {
		return x.send(p)
	}
	x.buffered = append(x.buffered, p...)
	if len(x.buffered) > maxBuffered {
		x.release()
	}
	return len(p), nil
}

// ReadFrom is io.ReaderFrom's. A healthy answer goes from a file to a socket
// within the kernel, so that a benchmark measures its client.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	fast, ok := x.w.(io.ReaderFrom)
	place := x.entry.request.Place
	if !ok || x.fault.how != nil || x.r.Method == http.MethodHead || place == Tag || place == Manifest {
		return io.Copy(struct{ io.Writer }{x}, src)
	}
	if !x.wrote {
		x.WriteHeader(http.StatusOK)
	}
	n, err := fast.ReadFrom(src)
	x.sent += n
	x.entry.add(n)
	return n, err
}

// release lets go what was held until the length was known.
func (x *exchange) release() {
	if !x.hold {
		return
	}
	x.hold = false
	x.length = int64(len(x.buffered))
	x.bendLength(x.length, true)
	x.held()
	x.send(x.buffered)
	x.buffered = nil
}

// send writes p as the fault has it.
func (x *exchange) send(p []byte) (int, error) {
	done := 0
	for done < len(p) || x.atStop() {
		if x.swallow {
			return len(p), nil
		}
		piece := p[done:]
		if x.stop != nil {
			room := x.stopAt - x.sent
			if room <= 0 {
				x.flush()
				x.stop(x)
				if x.ended {
					return done, errEnded
				}
				continue
			}
			piece = piece[:min(int64(len(piece)), room)]
		}
		if x.rate > 0 {
			piece = piece[:min(int64(len(piece)), max(1, x.rate/dripsPerSecond))]
		}
		n, err := x.put(piece)
		done += n
		if err != nil {
			return done, err
		}
		if x.rate > 0 {
			x.flush()
			if !x.pause(time.Duration(n) * time.Second / time.Duration(x.rate)) {
				return done, errEnded
			}
		}
	}
	return done, nil
}

// dripsPerSecond is into how many pieces Drip cuts what a second may carry.
const dripsPerSecond = 20

// atStop reports whether the moment of the fault has come, and the body would
// go on: then a backend that takes its time does not put it off.
func (x *exchange) atStop() bool {
	return x.stop != nil && !x.swallow && x.sent >= x.stopAt && x.sent < x.length
}

func (x *exchange) put(p []byte) (int, error) {
	if i := x.flipAt - x.sent; x.flipAt >= 0 && i >= 0 && i < int64(len(p)) {
		p = append([]byte(nil), p...)
		p[i] ^= 1
	}
	n, err := x.w.Write(p)
	x.sent += int64(n)
	x.entry.add(int64(n))
	return n, err
}

func (x *exchange) flush() { http.NewResponseController(x.w).Flush() }

// Flush is http.Flusher's.
func (x *exchange) Flush() {
	if !x.ended && !x.hold {
		x.flush()
	}
}

// learn looks at a manifest on its way. It does so before the bytes go out:
// the client's next request may come before this one's handler ends.
func (x *exchange) learn(p []byte) {
	if place := x.entry.request.Place; place != Tag && place != Manifest || len(x.manifest)+len(p) > maxManifest {
		return
	}
	x.manifest = append(x.manifest, p...)
	x.configs.learn(x.manifest)
}
