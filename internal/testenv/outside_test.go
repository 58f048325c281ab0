package testenv_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/testenv"
)

func TestOutsideReachesWhatThisMachineIsConfiguredFor(t *testing.T) {
	testenv.Root(t)
	proxy, err := testenv.GoProxy()
	testenv.Need(t, err)
	req, err := http.NewRequest(http.MethodGet, proxy+"/golang.org/x/mod/@v/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultTransport.RoundTrip(req); err == nil {
		t.Fatal("got an answer without the relay: this process is not isolated")
	}
	resp, err := testenv.Outside.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "v0.1.0\n") {
		t.Errorf("got %s, %v and %.200q, want a list of versions", resp.Status, err, body)
	}

	backend, err := testenv.OutsideBackend(proxy)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	backend.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/golang.org/x/mod/@v/v0.1.0.info", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "v0.1.0") {
		t.Errorf("backend: got %d and %.200q, want what is known of v0.1.0", w.Code, w.Body)
	}
}

func TestOutsideReachesNothingElse(t *testing.T) {
	testenv.Root(t)
	proxy, err := testenv.GoProxy()
	testenv.Need(t, err)
	for name, tt := range map[string]struct{ method, url string }{
		"another host":          {http.MethodGet, "https://elsewhere.example.com/"},
		"this machine":          {http.MethodGet, "http://127.0.0.1:1/"},
		"another scheme":        {http.MethodGet, "ftp" + proxy[strings.Index(proxy, ":"):]},
		"another port":          {http.MethodGet, proxy + ":8443/"},
		"somebody's name in it": {http.MethodGet, strings.Replace(proxy, "://", "://user@", 1)},
		"writing":               {http.MethodPost, proxy + "/"},
		"no address":            {http.MethodGet, "/"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := testenv.Outside.RoundTrip(req)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
			if resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(string(body), "outside: ") {
				t.Errorf("got %s %s, want a refusal", resp.Status, body)
			}
		})
	}
}
