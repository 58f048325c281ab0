package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// flaky is a service for RUNs on loopback that answers 503 as often as it is
// told to, and counts what it is asked for.
func flaky(t *testing.T, bad int64) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= bad {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("good\n"))
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String(), asked
}

func TestTryingAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)

	t.Run("a RUN that a service fails once", func(t *testing.T) {
		address, asked := flaky(t, 1)
		got := b.build(b.context("FROM alpine:3\nRUN echo first >/first\nRUN wget -qO /got http://" + address + "/file || { echo \"wget: server returned error: HTTP/1.1 503 Service Unavailable\"; exit 1; }\n"))
		got.want(t, 0, "2 attempts", "CACHED")
		if n := asked.Load(); n != 2 {
			t.Errorf("the service was asked %d times, want twice", n)
		}
	})
	t.Run("a test that fails in words of the network is tried once", func(t *testing.T) {
		address, asked := flaky(t, 0)
		got := b.build(b.context("FROM alpine:3\nRUN wget -qO /dev/null http://" + address + "/ && printf '%s\\n' '=== RUN   TestX' 'dial tcp: connection refused' '503 Service Unavailable' 'i/o timeout' '--- FAIL: TestX (0.00s)' 'FAIL' && exit 1\n"))
		got.want(t, 1, "--- FAIL: TestX", ">>> RUN")
		if n := asked.Load(); n != 1 {
			t.Errorf("the step ran %d times, want once", n)
		}
	})
	t.Run("a substitute for an image that no source has", func(t *testing.T) {
		got := b.build(b.context("# outlast: or alpine:3\nFROM docker.io/library/gone:1\nRUN true\n"), "--output", "type=oci,tar=false,dest="+b.dir+"/sub")
		got.want(t, 0, "docker.io/library/alpine:3 stands in for docker.io/library/gone:1")
		if config := mustRun(t, "sh", "-c", "cat "+b.dir+"/sub/blobs/sha256/*"); !strings.Contains(config, `"build.outlast.substitutes":"docker.io/library/gone:1=docker.io/library/alpine:3"`) {
			t.Error("the image does not say so")
		}
	})
	t.Run("a hang", func(t *testing.T) {
		got := b.build(b.context("FROM alpine:3\nRUN sleep 120\n"), "--idle-timeout", "3s", "--attempts", "1")
		got.want(t, 3, "no output and no progress for 3s")
		if got.took.Seconds() > 60 {
			t.Errorf("took %v", got.took)
		}
	})
	t.Run("a hang that the strategy's time ends", func(t *testing.T) {
		bb := *b
		for _, strategy := range []string{"OPTIMAL", "RESILIENT", "CONSERVATIVE", "EMERGENCY"} {
			bb.env = append(bb.env, "BUILD_TIMEOUT_"+strategy+"=5")
		}
		got := bb.build(b.context("FROM alpine:3\nRUN sleep 613\n"))
		got.want(t, 3, "no end after 5s, the limit of timeouts.", "RUN sleep 613")
		got.once(t)
		if got.took.Seconds() > 30 {
			t.Errorf("took %v", got.took)
		}
		if out, err := exec.CommandContext(t.Context(), "pgrep", "-f", "sleep 61[3]").Output(); err == nil {
			t.Errorf("the step goes on: %s", out)
		}
	})
	t.Run("a comment with a slip", func(t *testing.T) {
		got := b.build(b.context("# outlast: or\nFROM alpine:3\n"))
		got.want(t, 2, "Dockerfile:1")
		if strings.Count(got.stderr, "error:") != 1 {
			t.Errorf("want one error:\n%s", got.stderr)
		}
	})
}
