package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/fetch"
)

// saysGzip serves b and says that it is compressed.
func saysGzip(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		blob(b).ServeHTTP(w, r)
	})
}

// A source that compresses what nobody asked it to.
func TestWhoCompressesUnasked(t *testing.T) {
	proved := func(a *fetch.Ask) { a.Digest, a.Size = digest.FromString(good), int64(len(good)) }
	judged := func(a *fetch.Ask) {
		a.Limit = 1000
		a.Check = func(got fetch.Answer) error {
			if !bytes.HasPrefix(got.Body, []byte("{")) {
				return errors.New("no JSON")
			}
			return nil
		}
	}
	bomb := zipped(bytes.Repeat([]byte("a"), 1<<20))
	for _, row := range []struct {
		name string
		has  []byte
		ask  func(*fetch.Ask)
		want string // empty: it is of no use
	}{
		{"content without a digest, which the caller knows", zipped([]byte(good)), judged, good},
		{"content that nobody knows, which may be an archive", zipped([]byte(good)), func(*fetch.Ask) {}, string(zipped([]byte(good)))},
		{"content with a digest and a size", zipped([]byte(good)), proved, good},
		{"it says so, and did not", []byte(good), proved, good},
		{"other content", zipped([]byte("other")), proved, ""},
		{"what grows beyond the limit", bomb, judged, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.add(saysGzip(row.has))
				ask := w.ask()
				row.ask(&ask)
				got, err := w.fetch.Bytes(t.Context(), ask)
				if string(got.Body) != row.want || (err == nil) != (row.want != "") {
					t.Errorf("got %.60q, %v; want %.60q", got.Body, err, row.want)
				}
			})
		})
	}
	t.Run("a layer, and the next source does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			want := content(100_000)
			w := newWorld(t)
			w.add(saysGzip(zipped(want)))
			w.add(blob(want))
			if _, _, err := w.spool(want, func(a *fetch.Ask) { a.Size = int64(len(want)) }); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("the length in a head is not the content's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.add(saysGzip(zipped([]byte(good))))
			if got, err := w.fetch.Head(t.Context(), w.ask()); err != nil || got.Size != -1 {
				t.Errorf("got size %d, %v; want none", got.Size, err)
			}
		})
	})
}

// noResume breaks off the first answer, and to a request for the rest it gives
// the status code.
func noResume(b []byte, code int, contentRange string) http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n++; {
		case r.Header.Get("Range") != "":
			if contentRange != "" {
				w.Header().Set("Content-Range", contentRange)
			}
			w.WriteHeader(code)
		case n == 1:
			w.Header().Set("Content-Length", strconv.Itoa(len(b)))
			w.Write(b[:len(b)/2])
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Length", strconv.Itoa(len(b)))
			w.Write(b)
		}
	})
}

// The only source breaks off, and cannot go on from the middle: it is asked for
// everything, and what was had is not written again.
func TestWhoCannotGoOnIsAskedForAll(t *testing.T) {
	want := content(200_000)
	for _, row := range []struct {
		name         string
		code         int
		contentRange string
	}{
		{"416", 416, ""},
		{"416, with the size", 416, "bytes */200000"},
		{"416, with nonsense", 416, "bytes */-1"},
	} {
		for _, size := range []int64{0, int64(len(want))} {
			t.Run(fmt.Sprintf("%s, size %d", row.name, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.add(noResume(want, row.code, row.contentRange))
					_, m, err := w.spool(want, func(a *fetch.Ask) { a.Size = size })
					if err != nil || m.twice != 0 {
						t.Errorf("got %v, and %d bytes written twice", err, m.twice)
					}
				})
			})
		}
	}
}

// Content that changes under its address while it is fetched is caught by its
// digest, whatever the ETag says.
func TestAnETagThatChangesOnResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(200_000)
		n := 0
		w := newWorld(t)
		w.add(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
			b := want
			if n == 2 {
				b = spoil(want, 150_000)
			}
			blob(b).ServeHTTP(w, r)
		}), first(faultnet.CutAfter(100_000)))
		if _, _, err := w.spool(want); err != nil {
			t.Errorf("got %v, want the content, which the source has at the third request", err)
		}
	})
}

// raw answers as servers of old do: no length, and the end of the connection is
// the end of the body.
func raw(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		buf.WriteString("HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
		buf.Write(b)
		buf.Flush()
	})
}

// HTTP/1.0 tells no end from a break: only the digest does.
func TestHTTP10(t *testing.T) {
	want := content(100_000)
	for _, row := range []struct {
		name string
		ups  []http.Handler
	}{
		{"whole", []http.Handler{raw(want)}},
		{"broken off, and another source", []http.Handler{raw(want[:60_000]), blob(want)}},
		{"broken off each time but at the last", []http.Handler{raw(want[:60_000]), raw(want)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			ask := fetch.Ask{Name: "it", Digest: digest.FromBytes(want)}
			for _, h := range row.ups {
				up := httptest.NewServer(h)
				defer up.Close()
				ask.Sources = append(ask.Sources, fetch.Source{Endpoint: up.URL, URL: up.URL})
			}
			f := &fetch.Fetcher{Backoff: backoff.Policy{Base: time.Millisecond}}
			defer f.CloseIdleConnections()
			m := new(memory)
			if _, err := f.Spool(t.Context(), ask, m); err != nil || m.twice != 0 || !bytes.Equal(m.data, want) {
				t.Errorf("got %d bytes, %v, and %d written twice", len(m.data), err, m.twice)
			}
			if got, err := f.Bytes(t.Context(), ask); err != nil || !bytes.Equal(got.Body, want) {
				t.Errorf("got %d bytes, %v", len(got.Body), err)
			}
		})
	}
}

// to redirects every request.
func to(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, address, http.StatusTemporaryRedirect)
	})
}

// Redirects that lead nowhere are failures of who gave them.
func TestRedirectsThatLeadNowhere(t *testing.T) {
	want := content(100_000)
	for _, row := range []struct{ name, address string }{
		{"to itself", "/blob"},
		{"to a host that is not there", "http://nowhere.example/x"},
		{"to another scheme", "ftp://b.example/x"},
		{"to no address", "http://%zz/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				a := w.add(to(row.address))
				w.add(blob(want))
				start := time.Now()
				if _, _, err := w.spool(want); err != nil || time.Since(start) > time.Second {
					t.Errorf("got %v after %v", err, time.Since(start))
				}
				if got := len(a.Log()); got > 11 {
					t.Errorf("got %d requests, want a bounded number", got)
				}
			})
		})
	}
	t.Run("a storage that is down, behind the only source, for a moment", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.add(to("http://b.example/x"))
			storage := w.add(blob(want), faultnet.Row{On: faultnet.First(2), Fault: faultnet.Status(503)})
			ask := w.ask()
			ask.Digest, ask.Sources = digest.FromBytes(want), ask.Sources[:1]
			if _, err := w.fetch.Spool(t.Context(), ask, new(memory)); err != nil {
				t.Errorf("got %v after %v", err, storage.Log())
			}
		})
	})
}

// A part that nobody asked for is no answer.
func TestAPartWhereAllWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(100_000)
		w := newWorld(t)
		w.add(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-49999/100000")
			w.Header().Set("Content-Length", "50000")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(want[:50_000])
		}))
		w.add(blob(want))
		if _, _, err := w.spool(want); err != nil {
			t.Error(err)
		}
		wantKinds(t, w, "a.example rejected", "b.example ok")
	})
}

// SHA-512 proves as SHA-256 does.
func TestSHA512(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := content(100_000)
		w := newWorld(t)
		w.add(blob(spoil(want, 7)))
		w.add(blob(want))
		proved := func(a *fetch.Ask) { a.Digest = digest.SHA512.FromBytes(want) }
		if got, _, err := w.spool(want, proved); err != nil || got.Endpoint != "b.example" {
			t.Errorf("got %q, %v; want b.example's", got.Endpoint, err)
		}
		ask := w.ask()
		proved(&ask)
		if got, err := w.fetch.Bytes(t.Context(), ask); err != nil || got.Endpoint != "b.example" {
			t.Errorf("got %q, %v; want b.example's", got.Endpoint, err)
		}
	})
}
