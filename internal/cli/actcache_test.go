package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/internal/cli"
)

func TestActcacheServesUntilItIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, w := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- cli.Main(ctx, []string{"actcache", "--listen", "127.0.0.1:0", "--format", "json", "--repository", "acme/app"}, nil, w, &stderr, []string{"HOME=" + t.TempDir()})
		w.Close()
	}()
	var said struct {
		Address string
		Env     map[string]string
	}
	if err := json.NewDecoder(out).Decode(&said); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	if said.Env["ACTIONS_RESULTS_URL"] != "http://"+said.Address+"/" || said.Env["ACTIONS_CACHE_SERVICE_V2"] != "True" {
		t.Errorf("got %v", said)
	}
	for token, want := range map[string]int{said.Env["ACTIONS_RUNTIME_TOKEN"]: http.StatusOK, "another": http.StatusUnauthorized} {
		r, _ := http.NewRequest("POST", said.Env["ACTIONS_RESULTS_URL"]+"twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL",
			strings.NewReader(`{"key":"k","version":"v"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%.10s: got %s, want %d", token, resp.Status, want)
		}
	}
	if resp, err := http.Get("http://" + said.Address + "/healthz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v", resp, err)
	}
	cancel()
	if got := <-code; got != cli.ExitBuilt || strings.Contains(stderr.String(), "error") {
		t.Errorf("got exit code %d, %s", got, &stderr)
	}
}
