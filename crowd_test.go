package outlast_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/httpx"
)

const (
	crowd     = 200       // clients at once
	contents  = 20        // blobs that they ask for
	slowOnes  = 40        // of the clients
	blobSize  = 2 << 20   // bytes
	mostFiles = 4 * crowd // both ends of each connection are in this process
	mostHeap  = 64 << 20  // where a copy for each client would be 400
)

// blobs is a registry with nothing but blobs, which counts what it sends.
type blobs struct {
	content map[string][]byte // by digest
	mu      sync.Mutex
	sent    map[string]int64 // bytes by digest
}

func newBlobs() *blobs {
	b := &blobs{content: make(map[string][]byte), sent: make(map[string]int64)}
	for i := range contents {
		data := bytes.Repeat([]byte{byte(i)}, blobSize)
		b.content[digest.FromBytes(data).String()] = data
	}
	return b
}

func (b *blobs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	data, ok := b.content[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	count := &counter{ResponseWriter: w}
	http.ServeContent(count, r, "", time.Time{}, bytes.NewReader(data))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[name] += count.n
}

type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

// A high is the most that there was of the files and the memory of this process.
type high struct {
	files int
	heap  uint64
}

func (h *high) look(t *testing.T) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list open files")
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.files, h.heap = max(h.files, len(open)), max(h.heap, m.HeapInuse)
}

// crowdGateway serves what origin has, and returns its address.
func crowdGateway(t *testing.T, origin http.Handler) string {
	t.Helper()
	upstream := httptest.NewServer(origin)
	t.Cleanup(upstream.Close)
	g, err := outlast.NewGateway(t.Context(), outlast.GatewayOptions{Settings: config.Settings{
		Store:      config.Store{Path: t.TempDir()},
		Registries: map[string]config.Registry{"registry.example.com": {Origin: upstream.URL}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpx.NewServer(g, nil)
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// read gets a blob on a connection of its own, and goes on after the head when
// awake is closed.
func read(address, blob string, awake <-chan struct{}) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://%s/v2/registry.example.com/app/blobs/%s", address, blob))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	<-awake
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n != blobSize {
		err = fmt.Errorf("%s and %d bytes, want %d", resp.Status, n, blobSize)
	}
	return err
}

// Two hundred clients ask for blobs that the gateway does not have yet. Forty of
// them read no further than the head until all others have all.
func TestTwoHundredClientsAtOnce(t *testing.T) {
	origin := newBlobs()
	address := crowdGateway(t, origin)
	names := slices.Sorted(maps.Keys(origin.content))
	var before, most high
	before.look(t)

	errs := make([]error, crowd)
	awake, now := make(chan struct{}), make(chan struct{})
	close(now)
	var slow, quick sync.WaitGroup
	for i := range crowd {
		if i < slowOnes {
			slow.Go(func() { errs[i] = read(address, names[i%contents], awake) })
		} else {
			quick.Go(func() { errs[i] = read(address, names[i%contents], now) })
		}
	}
	done := make(chan struct{})
	go func() { quick.Wait(); close(done) }()
	limit, tick := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-limit:
			t.Fatal("slow clients hold up the others")
		case <-tick.C:
			most.look(t)
		}
	}
	close(awake)
	slow.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	files, heap := most.files-before.files, int64(most.heap)-int64(before.heap)
	t.Logf("at most %d files and %d MiB more than before", files, heap>>20)
	if files > mostFiles {
		t.Errorf("got %d more open files, want at most %d", files, mostFiles)
	}
	if heap > mostHeap {
		t.Errorf("got %d MiB more memory, want at most %d", heap>>20, mostHeap>>20)
	}
	for name, n := range origin.sent {
		if n > 2*blobSize {
			t.Errorf("the origin sent %d bytes of %s, which has %d", n, name, blobSize)
		}
	}
}
