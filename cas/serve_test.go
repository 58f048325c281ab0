package cas_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/outlast-build/outlast/cas"
)

// The kernel copies what net/http can see to be a file: the embedded *os.File
// lends Content what the net package asks for.
var _ syscall.Conn = (*cas.Content)(nil)

func TestContentIsServedByHTTP(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	data := noise(1, 100_000)
	d := put(t, s, data)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := s.Get(d)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, c)
	}))
	defer srv.Close()
	for rng, want := range map[string][]byte{"": data, "bytes=99000-": data[99_000:], "bytes=1-3": data[1:4]} {
		req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
		must(t, err)
		if rng != "" {
			req.Header.Set("Range", rng)
		}
		res, err := srv.Client().Do(req)
		must(t, err)
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != string(want) {
			t.Errorf("range %q: got %d bytes, %v; want %d", rng, len(got), err, len(want))
		}
	}
}
