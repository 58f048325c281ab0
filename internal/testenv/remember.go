package testenv

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
)

// Remember answers from next, and asks it once for each address and Accept: so
// many requests cost the registries of the world one. It keeps answers with
// status 200 in memory, not compressed, and serves ranges of them.
func Remember(next http.Handler) http.Handler {
	var mu sync.Mutex
	slots := make(map[string]*slot)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.RequestURI() + "\n" + r.Header.Get("Accept")
		mu.Lock()
		s := slots[key]
		if s == nil {
			s = new(slot)
			slots[key] = s
		}
		mu.Unlock()
		s.get(next, r).serve(w, r)
	})
}

// A slot has the answer to one question, once there is one.
type slot struct {
	mu     sync.Mutex
	answer *answer
}

// get asks next for the whole of what r may want a part of.
func (s *slot) get(next http.Handler, r *http.Request) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		return s.answer
	}
	whole := r.Clone(r.Context())
	whole.Method = http.MethodGet
	for name := range whole.Header {
		if name == "Range" || name == "Accept-Encoding" || strings.HasPrefix(name, "If-") {
			whole.Header.Del(name)
		}
	}
	a := &answer{header: make(http.Header)}
	next.ServeHTTP(a, whole)
	if a.status == http.StatusOK {
		s.answer = a
	}
	return a
}

// An answer is an http.ResponseWriter that keeps what is written.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) serve(w http.ResponseWriter, r *http.Request) {
	for name, values := range a.header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	if a.status != http.StatusOK {
		w.WriteHeader(a.status)
		w.Write(a.body.Bytes())
		return
	}
	// The zero time, where there is no such header, means that none is known.
	modified, _ := http.ParseTime(a.header.Get("Last-Modified"))
	http.ServeContent(w, r, "", modified, bytes.NewReader(a.body.Bytes()))
}
