package e2e

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/internal/testenv"
)

func TestGoingOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)

	t.Run("a compile error beside a cache that is away is tried once", func(t *testing.T) {
		address, asked := flaky(t, 0)
		got := b.build(b.context("FROM alpine:3\nRUN wget -qO /dev/null http://" + address + "/ && printf '%s\\n' 'warning: the cache service is not available: 503 Service Unavailable' '# example.com/x' './main.go:7:2: undefined: y' && exit 1\n"))
		got.want(t, 1, "undefined: y", ">>> RUN")
		if n := asked.Load(); n != 1 {
			t.Errorf("the step ran %d times, want once", n)
		}
	})
	for name, stage := range map[string]string{"a stage with a name": " AS build", "a stage without one": ""} {
		t.Run("a download that failed in silence, in "+name, func(t *testing.T) {
			address, asked := flaky(t, 1)
			kept, keptAsked := flaky(t, 0)
			got := b.build(b.context("FROM alpine:3 AS other\nRUN wget -qO /other http://" + kept + "/" + t.Name() + "\nFROM alpine:3" + stage +
				"\nRUN wget -qO /list http://" + address + "/list || echo 'W: Failed to fetch http://deb.example.com/debian/dists/trixie/InRelease  503  Service Unavailable'\n" +
				"COPY --from=other /other /other\n" +
				"RUN test -s /list || { echo 'E: Unable to locate package jq'; exit 100; }\n"))
			got.want(t, 0, "2 attempts", "is built anew")
			if n, k := asked.Load(), keptAsked.Load(); n != 2 || k != 1 {
				t.Errorf("the service was asked %d times, that of another stage %d times, want twice and once", n, k)
			}
		})
	}
	t.Run("a registry that is well again after the gateway gave up", func(t *testing.T) {
		address, asked := flaky(t, 0)
		gcr := b.cloud.Sites[1]
		for _, p := range append(gcr.Mirrors, gcr.Origin) {
			if err := p.Play(faultnet.At(faultnet.Blob, faultnet.Status(http.StatusServiceUnavailable))); err != nil {
				t.Fatal(err)
			}
		}
		patient := *b
		patient.env = append(patient.env, "OUTLAST_FETCH_BUDGET=5s")
		healed := patient.buildUntil(t, "attempt 2 begins", func() {
			for _, p := range append(gcr.Mirrors, gcr.Origin) {
				if err := p.Play(nil); err != nil {
					t.Error(err)
				}
			}
		}, b.context("FROM alpine:3 AS first\nRUN wget -qO /x http://"+address+"/\nFROM gcr.io/distroless/static:nonroot\nCOPY --from=first /x /x\n"))
		healed.want(t, 0, "2 attempts", "CACHED")
		if n := asked.Load(); n != 1 {
			t.Errorf("the step ran %d times, want once", n)
		}
	})
}

// buildUntil is build, and calls do when the program has said text.
func (b *bench) buildUntil(t *testing.T, text string, do func(), dir string) result {
	t.Helper()
	cmd := b.command(t, b.outlast, "build", "--progress", "plain", dir)
	cmd.Env = append(cmd.Env, b.env...)
	var said strings.Builder
	var once sync.Once
	cmd.Stderr = writer(func(p []byte) (int, error) {
		said.Write(p)
		if strings.Contains(said.String(), text) {
			once.Do(do)
		}
		return len(p), nil
	})
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{code: cmd.ProcessState.ExitCode(), stderr: said.String()}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestABuilderThatIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, publicSites)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := flaky(t, 0)
	var asked atomic.Int64
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			w.Write([]byte("good\n"))
			return
		}
		b.buildkit.Kill()
		again, err := testenv.StartBuildkitd(t.Context(), b.buildkit.Dir(), testenv.BuildkitdOptions{Config: b.cloud.BuildkitConfig()})
		if err != nil {
			t.Error(err)
			return
		}
		b.buildkit = again
	})}
	go s.Serve(l)
	t.Cleanup(func() {
		s.Close()
		b.buildkit.Stop()
	})
	got := b.build(b.context("FROM alpine:3\nRUN wget -qO /first http://" + first + "/\nRUN wget -qO /got http://" + l.Addr().String() + "/\n"))
	got.want(t, 0, "went away", "is back", "2 attempts")
	if n := asked.Load(); n != 2 {
		t.Errorf("the step ran %d times, want twice", n)
	}
}
