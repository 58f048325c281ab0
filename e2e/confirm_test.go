package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// A service that made a RUN fail is asked before the next attempt is planned,
// where it is one of the build's own.
func TestASuspicionIsChecked(t *testing.T) {
	b := newBench(t, publicSites)
	settled := func(address string) *bench {
		bb := *b
		bb.env = append(bb.env, "OUTLAST_PACKAGES_HOSTS="+address, "OUTLAST_PROBE_INTERNET="+address)
		return &bb
	}
	const said = ` || { echo "wget: server returned error: HTTP/1.1 503 Service Unavailable"; exit 1; }`
	resilient := func(t *testing.T, dockerfile string) string {
		dir := b.context("FROM alpine:3\nRUN echo first >/first\n" + dockerfile)
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile.resilient"), []byte("FROM alpine:3\nRUN echo first >/first\nRUN echo without >/got\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}

	t.Run("an outage that is over lowers nothing", func(t *testing.T) {
		address, asked := flaky(t, 1)
		got := settled(address).build(resilient(t, "RUN wget -qO /got http://"+address+"/file"+said+"\n"))
		got.want(t, 0, address+" was asked again: it answers well", "strategy optimal", "2 attempts", "CACHED")
		if n := asked.Load(); n != 3 {
			t.Errorf("the service was asked %d times, want by both attempts and once in between", n)
		}
	})
	t.Run("one that goes on lowers the strategy", func(t *testing.T) {
		address, asked := flaky(t, 100)
		got := settled(address).build(resilient(t, "RUN wget -qO /got http://"+address+"/file"+said+"\n"))
		got.want(t, 0, address+" was asked again: it reports an outage", "strategy resilient", "Dockerfile.resilient is built", "2 attempts", "CACHED")
		if n := asked.Load(); n != 2 {
			t.Errorf("the service was asked %d times, want by one attempt and once after", n)
		}
	})
	t.Run("a strategy that the user chose", func(t *testing.T) {
		address, asked := flaky(t, 0)
		got := b.build(resilient(t, "RUN wget -qO /got http://"+address+"/file\n"), "--strategy", "resilient")
		got.want(t, 0, "strategy resilient: chosen by the user", "Dockerfile.resilient is built", "RUN echo without")
		if n := asked.Load(); n != 0 {
			t.Errorf("the service of the other Dockerfile was asked %d times, want never", n)
		}
	})
	t.Run("a host that a log alone names is asked nothing", func(t *testing.T) {
		address, asked := flaky(t, 0)
		got := settled(address).build(b.context("FROM alpine:3\nRUN h=$(echo "+address+" | rev | rev); echo \"wget: http://$h/x: server returned error: HTTP/1.1 503 Service Unavailable\"; exit 1\n"), "--attempts", "2")
		got.want(t, 3, "2 attempts")
		if n := asked.Load(); n != 0 {
			t.Errorf("the host was asked %d times, want never", n)
		}
	})
}
