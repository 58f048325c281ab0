package outlast

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/gateway/forward"
	"github.com/outlast-build/outlast/gateway/npm"
	"github.com/outlast-build/outlast/gateway/web"
)

// wants are what the steps of a build asked the gateway for, by the address at
// it. They are kept in the store for Warm. It may be used at once from many
// places; the zero value is empty.
type wants struct {
	mu  sync.Mutex
	all map[string]want
}

// A want is a request that can be made again.
type want struct {
	Accept string    `json:"accept,omitempty"`
	At     time.Time `json:"at"` // when it was last made
}

// The bounds of what is kept, and for how long without being asked for again: a
// build whose steps are cached asks for nothing.
const (
	maxWants    = 50_000
	maxWant     = 2 << 10
	maxWantsLen = 32 << 20
	wantedFor   = 30 * 24 * time.Hour
)

// note remembers a request for packages or for a file. What has a query may
// carry a secret in it.
func (w *wants) note(g *Gateway, r *http.Request) {
	uri := r.URL.String()
	if r.Method != http.MethodGet || r.URL.RawQuery != "" || len(uri) > maxWant || r.Header.Get("Authorization") != "" || !g.warms(r) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[string]want)
	}
	if len(w.all) < maxWants {
		w.all[uri] = want{Accept: r.Header.Get("Accept"), At: time.Now().UTC().Truncate(time.Second)}
	}
}

// warms reports whether a request is for something that can be had ahead.
func (g *Gateway) warms(r *http.Request) bool {
	if forward.Is(r) {
		return ofArchive(r)
	}
	if g.service("npm") != nil && !strings.HasPrefix(r.URL.Path, "/v2/") && npm.Serves(r.URL.EscapedPath()) {
		return true
	}
	return slices.ContainsFunc(g.services, func(s service) bool { return strings.HasPrefix(r.URL.Path, s.prefix) })
}

// wantsKey is where the wants of a Dockerfile are in the store.
func wantsKey(dockerfile string) string {
	if whole, err := filepath.Abs(dockerfile); err == nil {
		dockerfile = whole
	}
	return fmt.Sprintf("wants/%x", sha256.Sum256([]byte(dockerfile)))
}

// keep adds the wants to those of the Dockerfile's builds before. A store that
// cannot be written is skipped: it is help for another day.
func (w *wants) keep(store *cas.Store, dockerfile string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if store == nil || dockerfile == "" || dockerfile == "-" || len(w.all) == 0 {
		return
	}
	all := readWants(store, dockerfile)
	maps.DeleteFunc(all, func(_ string, v want) bool { return now.Sub(v.At) > wantedFor })
	if len(all)+len(w.all) > maxWants {
		clear(all)
	}
	maps.Copy(all, w.all)
	data, err := json.Marshal(all)
	if err != nil {
		return
	}
	d := digest.FromBytes(data)
	if store.Put(d, bytes.NewReader(data)) == nil {
		_ = store.SetName(wantsKey(dockerfile), cas.Name{Digest: d, Size: int64(len(data)), At: now})
	}
}

func readWants(store *cas.Store, dockerfile string) map[string]want {
	all := make(map[string]want)
	n, err := store.Name(wantsKey(dockerfile))
	if err != nil {
		return all
	}
	c, err := store.Get(n.Digest)
	if err != nil {
		return all
	}
	defer c.Close()
	data, err := io.ReadAll(io.LimitReader(c, maxWantsLen))
	if err != nil || json.Unmarshal(data, &all) != nil || all == nil {
		return make(map[string]want)
	}
	return all
}

// WarmPackages is what the steps of earlier builds asked for: modules, packages,
// indexes and files.
type WarmPackages struct {
	Known   int      `json:"known"`   // requests that earlier builds made; 0: none succeeded here
	Missing []string `json:"missing"` // of them, what a build in an outage would miss
}

// warmWants asks for what earlier builds asked for, so that the store has it.
func (g *Gateway) warmWants(ctx context.Context, dockerfile string) WarmPackages {
	p := WarmPackages{Missing: make([]string, 0)}
	all := readWants(g.store, dockerfile)
	p.Known = len(all)
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(8)
	for uri, v := range all {
		group.Go(func() error {
			if ctx.Err() == nil && g.again(ctx, uri, v) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			p.Missing = append(p.Missing, uri)
			return nil
		})
	}
	_ = group.Wait() // none returns one
	slices.Sort(p.Missing)
	return p
}

// again makes a request again, and reports whether it was answered. A no is an
// answer too.
func (g *Gateway) again(ctx context.Context, uri string, v want) (ok bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil || !g.warms(r) {
		return false
	}
	if u := r.URL; g.apk != nil && strings.HasPrefix(u.Path, "/apk/") {
		if parts := strings.SplitN(u.Path, "/", 5); len(parts) == 5 {
			_ = g.apk.Allow(parts[3]) // an image named it; a host that is none is refused below
		}
	}
	if r.Host == "" {
		r.Host = "127.0.0.1"
	}
	if v.Accept != "" {
		r.Header.Set("Accept", v.Accept)
	}
	w := &nowhere{header: make(http.Header), code: http.StatusOK}
	defer func() {
		if recover() != nil { // an answer that has begun ends so
			ok = false
		}
	}()
	g.ServeHTTP(w, r)
	return w.code < 500 && w.code != http.StatusForbidden
}

// nowhere is where an answer goes that only the store is to have.
type nowhere struct {
	header http.Header
	code   int
}

// Header is http.ResponseWriter's.
func (n *nowhere) Header() http.Header { return n.header }

// WriteHeader is http.ResponseWriter's.
func (n *nowhere) WriteHeader(code int) { n.code = code }

// Write is http.ResponseWriter's.
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }

// filesOf are the hosts of the files that earlier builds asked for.
func filesOf(all map[string]want) []string {
	hosts := make(map[string]bool)
	for uri := range all {
		u, err := url.Parse(uri)
		if err != nil {
			continue
		}
		if parts := strings.SplitN(strings.TrimPrefix(u.Path, web.Prefix), "/", 4); strings.HasPrefix(u.Path, web.Prefix) && len(parts) == 4 {
			hosts[parts[2]] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}
