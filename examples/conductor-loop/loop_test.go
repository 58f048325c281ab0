package main

import (
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"
)

func TestLoopHandsOnEachIntentOnce(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dir := fstest.MapFS{
		"scale-up.json": {Data: []byte(`{"replicas":3}`), ModTime: at},
		"notes.txt":     {Data: []byte("not an intent"), ModTime: at},
	}
	var got []string
	l := newLoop(dir, time.Second, func(name string, size int64) { got = append(got, name) })

	l.look(at)
	l.look(at)
	if len(got) != 1 || got[0] != "scale-up.json" {
		t.Errorf("after two looks: got %q, want scale-up.json once", got)
	}
	dir["scale-up.json"].ModTime = at.Add(time.Second)
	l.look(at)
	if len(got) != 2 {
		t.Errorf("after a change: got %q, want it handed on again", got)
	}
}

func TestHealthSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		dir  fstest.MapFS
		want int
	}{
		"a folder that can be read": {fstest.MapFS{"a.json": {}}, 200},
		"no folder":                 {fstest.MapFS{".": {Mode: 0o644}}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(test.dir, time.Second, func(string, int64) {})
			l.look(time.Now())
			w := httptest.NewRecorder()
			handler(l).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
			if w.Code != test.want {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, test.want)
			}
		})
	}
}
