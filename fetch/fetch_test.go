package fetch_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func sink(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func source(s *httptest.Server) fetch.Source {
	return fetch.Source{Endpoint: strings.TrimPrefix(s.URL, "http://"), URL: s.URL + "/blob"}
}

func TestSpoolGoesOnWhereOneBreaksOff(t *testing.T) {
	want := content(300_000)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "300000")
		w.Write(want[:100_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	whole := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Range"); !strings.HasPrefix(got, "bytes=") {
			t.Errorf("got Range %q, want one", got)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(want))
	}))
	defer whole.Close()
	f := &fetch.Fetcher{}
	w := sink(t)
	a, err := f.Spool(t.Context(), fetch.Ask{Name: "blob", Digest: digest.FromBytes(want), Sources: []fetch.Source{source(cut), source(whole)}}, w)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(io.NewSectionReader(w, 0, a.Size))
	if !bytes.Equal(got, want) {
		t.Errorf("got %d other bytes, want the content", len(got))
	}
}

func TestBytesFromTheNextSource(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<!doctype html><title>we will be back</title>")
	}))
	defer page.Close()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"ok":true}`)
	}))
	defer good.Close()
	var tries []fetch.Try
	f := &fetch.Fetcher{OnTry: func(t fetch.Try) { tries = append(tries, t) }}
	a, err := f.Bytes(t.Context(), fetch.Ask{Name: "x", Sources: []fetch.Source{source(page), source(good)}})
	if err != nil || string(a.Body) != `{"ok":true}` {
		t.Errorf("got %q, %v", a.Body, err)
	}
	if len(tries) != 2 || tries[0].Kind != fault.HTML || tries[1].Kind != fault.None {
		t.Errorf("got %+v, want a page, then success", tries)
	}
	_, err = f.Bytes(t.Context(), fetch.Ask{Name: "x", Sources: []fetch.Source{source(page)}, Budget: &fetch.Budget{Wait: -1}})
	var failure *fetch.Failure
	if !errors.As(err, &failure) || fault.Of(err) != fault.HTML {
		t.Errorf("got %v, want a failure of kind %s", err, fault.HTML)
	}
	t.Log(err)
}
