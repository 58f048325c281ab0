package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/outlast-build/outlast/engine/buildx"
	"github.com/outlast-build/outlast/internal/cli"
)

// startGateway runs outlast gateway until the test ends, and returns what it
// said first on standard output.
func startGateway(t *testing.T, args ...string) (first string, stop func() (int, string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- cli.Main(ctx, append([]string{"gateway"}, args...), nil, w, &stderr, []string{"HOME=" + t.TempDir()})
		w.Close()
	}()
	out := bufio.NewReader(r)
	first, err := out.ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("got exit code %d and %q", <-code, &stderr)
	}
	go io.Copy(io.Discard, out)
	stopped := false
	stop = func() (int, string) {
		if stopped {
			return 0, ""
		}
		stopped = true
		cancel()
		return <-code, stderr.String()
	}
	t.Cleanup(func() { stop() })
	return first, stop
}

func TestGatewayServesUntilItIsStopped(t *testing.T) {
	first, stop := startGateway(t, "--listen", "127.0.0.1:0")
	url, ok := strings.CutPrefix(strings.TrimSpace(first), "listening on ")
	if !ok {
		t.Fatalf("got %q", first)
	}
	resp, err := http.Get(url + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("got %s, want that it speaks the protocol of registries", resp.Status)
	}

	address := strings.TrimPrefix(url, "http://")
	var stdout, stderr bytes.Buffer
	code := cli.Main(t.Context(), []string{"gateway", "--listen", address}, nil, &stdout, &stderr, []string{"HOME=" + t.TempDir()})
	want := "outlast: error: " + address + " is taken: another gateway or program listens there\n" +
		"outlast: hint: take another port with --listen HOST:PORT, or a free one with --listen 127.0.0.1:0\n"
	if code != cli.ExitUsage || stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("a second one: got code %d, %q and %q, want %d and %q", code, &stderr, &stdout, cli.ExitUsage, want)
	}

	code, said := stop()
	if code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	for _, part := range []string{"crane manifest " + address + "/docker.io/library/alpine:3", `mirrors = ["` + address + `"]`, `"registry-mirrors": ["http://` + address + `"]`} {
		if !strings.Contains(said, part) {
			t.Errorf("got %q, want there how to use it: %q", said, part)
		}
	}
}

func TestGatewayHealth(t *testing.T) {
	first, stop := startGateway(t, "--listen", "127.0.0.1:0")
	_, port, err := net.SplitHostPort(strings.TrimSpace(strings.TrimPrefix(first, "listening on http://")))
	if err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	health := func(listen string) result {
		var stdout, stderr bytes.Buffer
		env := []string{"HOME=" + t.TempDir(), "OUTLAST_GATEWAY_LISTEN=" + listen}
		code := cli.Main(t.Context(), []string{"gateway", "health"}, nil, &stdout, &stderr, env)
		return result{code, stdout.String(), stderr.String()}
	}
	for listen, code := range map[string]int{
		"127.0.0.1:" + port: cli.ExitBuilt,
		"0.0.0.0:" + port:   cli.ExitBuilt, // where it listens in a container
		":" + port:          cli.ExitBuilt,
		"nowhere":           cli.ExitUsage,
	} {
		if got := health(listen); got.code != code {
			t.Errorf("%s: got %+v, want code %d", listen, got, code)
		}
	}
	if got := health(page.Listener.Addr().String()); got.code != cli.ExitFailed || !strings.Contains(got.stderr, "404") {
		t.Errorf("something else that answers: got %+v", got)
	}
	stop()
	got := health("0.0.0.0:" + port)
	if got.code != cli.ExitNoSource || !strings.Contains(got.stderr, "127.0.0.1:"+port) || strings.Count(got.stderr, "outlast: error:") != 1 {
		t.Errorf("a gateway that has stopped: got %+v", got)
	}
}

func TestGatewayTellsItsAddressToPrograms(t *testing.T) {
	var stdout bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	parts := cli.Parts{Gateway: func(ctx context.Context, r cli.GatewayRequest) error {
		r.Ready("127.0.0.1:4711")
		cancel()
		return nil
	}}
	code := cli.Run(ctx, parts, []string{"gateway", "--format", "json"}, nil, &stdout, io.Discard, nil)
	var got struct{ Address, URL string }
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || code != 0 {
		t.Fatalf("got code %d, %v in %q", code, err, &stdout)
	}
	if got.Address != "127.0.0.1:4711" || got.URL != "http://127.0.0.1:4711" {
		t.Errorf("got %+v", got)
	}
}

func TestEngine(t *testing.T) {
	running := buildx.DaemonStatus{Running: true, PID: 42, Address: "unix:///run/b.sock", Version: "v0.34.2"}
	parts := cli.Parts{
		EngineStatus: func(context.Context) (buildx.DaemonStatus, error) { return running, nil },
		EngineStop: func(context.Context) (bool, error) {
			was := running.Running
			running = buildx.DaemonStatus{}
			return was, nil
		},
	}
	if got := run(t, parts, "engine", "status"); got.code != 0 || !strings.Contains(got.stdout, "unix:///run/b.sock") {
		t.Errorf("got %+v", got)
	}
	got := run(t, parts, "engine", "status", "--format", "json")
	var status buildx.DaemonStatus
	if err := json.Unmarshal([]byte(got.stdout), &status); err != nil || status.PID != 42 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, want := range []string{"stopped\n", "not running\n"} {
		if got := run(t, parts, "engine", "stop"); got.code != 0 || got.stdout != want {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
	if got := run(t, parts, "engine", "status"); got.stdout != "not running\n" {
		t.Errorf("got %+v", got)
	}
	if got := run(t, parts, "engine", "stop", "-q"); got.stdout != "" {
		t.Errorf("got %+v, want silence", got)
	}
}
