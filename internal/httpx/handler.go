// Package httpx is what every HTTP server of Outlast shares: handlers that
// return errors, one place that answers them and writes one log line for each
// request, and servers with limits that stop gracefully. It knows no protocol
// and keeps no state.
package httpx

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// A HandlerFunc answers a request, or returns why it did not. It must not do
// both, but for an answer that broke off: then the connection is cut, so that
// no client takes what it got for the whole.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// A StatusError is an error that is answered with a status of its own. Its
// text is shown to the client, and so holds no secrets.
type StatusError struct {
	Code int
	Err  error
}

// Error returns the text of the cause.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StatusError) Unwrap() error { return e.Err }

// Handle makes f a handler. An error is answered in plain text: a StatusError
// with its code and its text, any other with 500 and no more, as it may hold
// what is nobody's business. Each request makes one line in log; nil writes
// none.
func Handle(log *slog.Logger, f HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		finished := false
		var err error
		defer func() {
			if !finished {
				err = errors.New("panic")
			}
			writeLine(log, r, rec, time.Since(start), err)
		}()
		err = f(rec, r)
		finished = true
		if err == nil {
			return
		}
		if rec.status != 0 {
			panic(http.ErrAbortHandler)
		}
		answer(rec, err)
	})
}

func answer(w http.ResponseWriter, err error) {
	var own *StatusError
	if errors.As(err, &own) {
		http.Error(w, own.Error(), own.Code)
		return
	}
	http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}

// writeLine leaves the query out: signed addresses carry their secret there.
func writeLine(log *slog.Logger, r *http.Request, rec *recorder, took time.Duration, err error) {
	if log == nil {
		return
	}
	attrs := []any{"method", r.Method, "path", r.URL.Path, "status", rec.status, "bytes", rec.bytes, "took", took.Round(time.Microsecond)}
	switch {
	case err == nil:
		log.Info("answered", attrs...)
	case r.Context().Err() != nil:
		log.Info("client left", attrs...)
	default:
		log.Error("failed", append(attrs, "error", err.Error())...)
	}
}

// A recorder remembers what was answered. It keeps the writer's ReadFrom, by
// which the kernel copies files to sockets.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the head is written
	bytes  int64
}

func (r *recorder) WriteHeader(code int) {
	if r.status == 0 && code >= 200 {
		r.status = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom copies src to the client.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes += n
	return n, err
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
