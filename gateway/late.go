package gateway

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// lateHead is how long a client of large content waits for the head of its
// answer. The Docker Engine gives up on an answer whose head takes 30 s, which
// a layer of a gigabyte may well take to arrive and be proved.
const lateHead = 15 * time.Second

// A found is what Find returned.
type found struct {
	body *Body
	err  error
}

// answerTo serves a: head and body once it is there, or, where that takes long,
// the head ahead of the body. After such a head an error can only be told by
// ending the connection before the first byte.
func (m *Mirror) answerTo(w http.ResponseWriter, r *http.Request, a Asset) {
	arrived := make(chan found, 1)
	go func() {
		b, err := m.Find(r.Context(), a, r.Method == http.MethodHead)
		arrived <- found{b, err}
	}()
	timer := time.NewTimer(lateHead)
	defer timer.Stop()
	select {
	case f := <-arrived:
		m.finish(w, r, f)
	case <-timer.C:
		if a.Small || a.Loose || a.Digest == "" && a.Prove == nil || r.Method != http.MethodGet || r.Header.Get("Range") != "" {
			m.finish(w, r, <-arrived)
			return
		}
		m.ahead(w, a)
		f := <-arrived
		if f.err != nil {
			panic(http.ErrAbortHandler)
		}
		defer f.body.Close()
		// An error means that the client is gone: there is nobody left to tell.
		_, _ = io.Copy(w, f.body.rest())
	}
}

func (m *Mirror) finish(w http.ResponseWriter, r *http.Request, f found) {
	if f.err != nil {
		m.fail(w, r, f.err)
		return
	}
	defer f.body.Close()
	if own, ok := m.Ecosystem.(Rewriter); ok && f.body.data != nil {
		a := f.body.asset
		data, err := own.Rewrite(r, &a, f.body.data)
		if err != nil {
			m.fail(w, r, err)
			return
		}
		f.body = f.body.rewritten(a, data)
	}
	f.body.serve(w, r, m)
}

// ahead sends the head of an answer whose body is to come.
func (m *Mirror) ahead(w http.ResponseWriter, a Asset) {
	m.head(w.Header(), a)
	if a.Size > 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(a.Size, 10))
	}
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
}
