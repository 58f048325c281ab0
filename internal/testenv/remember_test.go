package testenv

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRememberAsksOnce(t *testing.T) {
	asked := 0
	h := Remember(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch {
		case r.Header.Get("Range") != "":
			t.Error("it asked for a part")
		case asked == 1:
			w.WriteHeader(http.StatusBadGateway)
		default:
			io.WriteString(w, "0123456789")
		}
	}))
	for _, want := range []struct {
		method, part, body string
		status             int
	}{
		{"GET", "", "", 502}, // is not kept
		{"HEAD", "", "", 200},
		{"GET", "bytes=2-4", "234", 206},
		{"GET", "", "0123456789", 200},
	} {
		r := httptest.NewRequest(want.method, "/a", nil)
		if want.part != "" {
			r.Header.Set("Range", want.part)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want.status || w.Body.String() != want.body {
			t.Errorf("%s %s: got %d %q, want %d %q", want.method, want.part, w.Code, w.Body, want.status, want.body)
		}
	}
	if asked != 2 {
		t.Errorf("got %d questions, want 2", asked)
	}
}
