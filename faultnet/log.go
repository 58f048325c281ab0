package faultnet

import (
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// A Request is what a service was asked, and what it did about it.
type Request struct {
	At     time.Time     // when it came
	Took   time.Duration // until its answer ended; 0 while it goes on
	Method string
	Host   string      // as the client named it
	Path   string      // decoded
	Query  string      // as it came
	Header http.Header // as it came, credentials included
	Place  Place
	Fault  Fault // what was done to it
	Status int   // of the answer; 0 when no head was sent
	Sent   int64 // bytes of the body that went out
	Done   bool  // the answer has ended, in whatever way
}

// Authorization is the credential that came along, "" when none did.
func (r Request) Authorization() string { return r.Header.Get("Authorization") }

// Range is the value of the request's Range header.
func (r Request) Range() string { return r.Header.Get("Range") }

// String names r in one line: "GET /v2/app/blobs/sha256:… bytes=0-9 -> 206 10 B (cut after 400 kB)".
func (r Request) String() string {
	s := r.Method + " " + r.Path
	if r.Query != "" {
		s += "?" + r.Query
	}
	if r.Range() != "" {
		s += " " + r.Range()
	}
	answer := "no answer"
	if r.Status != 0 {
		answer = statusName(r.Status) + " " + bytesName(r.Sent)
	}
	s += " -> " + answer
	if !r.Fault.IsZero() {
		s += " (" + r.Fault.String() + ")"
	}
	return s
}

// A Log is what a service was asked, oldest first.
type Log []Request

// At returns the requests for any of these places.
func (l Log) At(places ...Place) Log {
	return l.Where(func(r Request) bool { return slices.Contains(places, r.Place) })
}

// Where returns the requests that keep says yes to.
func (l Log) Where(keep func(Request) bool) Log {
	var kept Log
	for _, r := range l {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// Sent is the number of body bytes that went out in all.
func (l Log) Sent() int64 {
	var n int64
	for _, r := range l {
		n += r.Sent
	}
	return n
}

// entry is a request while it is served. Its atomics change until done.
type entry struct {
	request Request
	status  atomic.Int64
	sent    atomic.Int64
	total   *atomic.Int64 // of the script that the request came under
	took    atomic.Int64
	done    atomic.Bool
}

func (e *entry) add(n int64) {
	e.sent.Add(n)
	e.total.Add(n)
}

func (e *entry) finish() {
	if e.took.CompareAndSwap(0, max(1, int64(time.Since(e.request.At)))) {
		e.done.Store(true)
	}
}

func (e *entry) snapshot() Request {
	r := e.request
	r.Header = r.Header.Clone()
	r.Took = time.Duration(e.took.Load())
	r.Status = int(e.status.Load())
	r.Sent = e.sent.Load()
	r.Done = e.done.Load()
	return r
}
