package outlast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outlast-build/outlast/actcache"
	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/internal/config"
	"github.com/outlast-build/outlast/internal/httpx"
)

// The variables by which a job of GitHub Actions knows its cache service.
const (
	runtimeTokenEnv = "ACTIONS_RUNTIME_TOKEN"
	resultsURLEnv   = "ACTIONS_RESULTS_URL"
	cacheURLEnv     = "ACTIONS_CACHE_URL"
	serviceV2Env    = "ACTIONS_CACHE_SERVICE_V2"
)

// A ghaService is a cache service as a job or a flag names it. It is
// comparable.
type ghaService struct {
	url   string
	v2    bool
	token string
}

// named reports whether there is one.
func (g ghaService) named() bool { return g.url != "" && g.token != "" }

// ghaOf returns the service that an environment names, by the protocol that
// buildx would use (its addGithubToken).
func ghaOf(getenv func(string) string) ghaService {
	g := ghaService{url: getenv(cacheURLEnv), token: getenv(runtimeTokenEnv)}
	g.v2 = slices.Contains([]string{"1", "t", "true"}, strings.ToLower(getenv(serviceV2Env)))
	if results := getenv(resultsURLEnv); g.v2 || g.url == "" {
		g.url, g.v2 = results, true
	}
	return g
}

// gha returns the service of the job that the build runs in.
func (b *build) gha() ghaService {
	return ghaOf(func(name string) string { v, _ := b.getenv(name); return v })
}

// ghaMet reports whether builds meet their Actions cache through Outlast.
func (b *build) ghaMet() bool { return b.Settings.Cache.Actions && !b.Direct }

// ghaReach returns why the builder cannot use a cache service on this machine,
// or "".
func (b *build) ghaReach() string {
	if r, ok := b.engine.(Reacher); ok {
		if ok, why := r.Reaches(); !ok {
			return cmp.Or(why, "it does not reach this machine")
		}
	}
	return ""
}

// offersGHA reports whether the job's cache is one of the plan's: it is there,
// the builder reaches it, and the user has not said what to do with it.
func (b *build) offersGHA() bool {
	return b.ghaMet() && b.gha().named() && !b.Offline && b.ghaReach() == "" && !b.namesGHA()
}

// ghaCaches are the services on this machine that stand before those that a
// build's caches are at. The zero value is ready for use.
type ghaCaches struct {
	all   map[ghaService]*ghaCache
	store *cas.Store
	dir   string // of a store that is for this build alone; empty where it is not
}

// A ghaCache is one of them. One without a server is not used.
type ghaCache struct {
	service *actcache.Service
	server  *http.Server
	address string
	token   string // what BuildKit shows it

	mu                         sync.Mutex
	asked, hits, theirs, saved int
}

// openGHA returns the service that stands before g. Its server is nil where
// that cannot be, which was said then.
func (b *build) openGHA(g ghaService) *ghaCache {
	if c := b.ghaCaches.all[g]; c != nil {
		return c
	}
	c, err := b.startGHA(g)
	if err != nil {
		b.note(fmt.Sprintf("the Actions cache is not used: %v", err))
		c = new(ghaCache)
	}
	if b.ghaCaches.all == nil {
		b.ghaCaches.all = make(map[ghaService]*ghaCache)
	}
	b.ghaCaches.all[g] = c
	return c
}

func (b *build) startGHA(g ghaService) (*ghaCache, error) {
	if why := b.ghaReach(); why != "" {
		return nil, fmt.Errorf("the builder does not reach this machine: %s", why)
	}
	grant, err := actcache.ReadToken(g.token, time.Now())
	if err != nil {
		return nil, err
	}
	repository, _ := b.getenv("GITHUB_REPOSITORY")
	grant.Repository = cmp.Or(grant.Repository, repository)
	// The build may outlast the token; what is here does not need it.
	grant.Expires = time.Now().Add(max(b.Settings.Build.Deadline, time.Hour) + time.Hour)
	if err := b.openGHAStore(); err != nil {
		return nil, err
	}
	c := &ghaCache{}
	c.service = &actcache.Service{Store: b.ghaCaches.store, Key: actcache.NewKey(), Warn: b.note,
		Count: func(e actcache.Event) { b.alive(); c.counted(e) }}
	if !b.Offline {
		c.service.GitHub = &actcache.GitHub{URL: g.url, V2: g.v2, Token: g.token, Budget: b.Settings.Actions.Budget, Jitter: b.Jitter,
			Fetcher: &fetch.Fetcher{Limits: fetchLimits(b.Settings), Jitter: b.Jitter}}
	}
	if c.token, err = c.service.Key.Token(grant, time.Now()); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.address = "http://" + listener.Addr().String()
	c.service.Base = c.address
	c.server = httpx.NewServer(c.service, nil)
	go c.server.Serve(listener)
	return c, nil
}

// fetchLimits are those of the settings.
func fetchLimits(s config.Settings) fetch.Limits {
	return fetch.Limits{Dial: s.Fetch.Dial, Header: s.Fetch.Header, Idle: s.Fetch.Idle}
}

// ActionsStore is the folder in the local store that holds entries of the
// Actions cache, or "" where there is no local store.
func ActionsStore(s config.Settings) string {
	if s.Store.Path == "" {
		return ""
	}
	return filepath.Join(s.Store.Path, "actions")
}

// openGHAStore opens the store of entries: a part of the local one or, where
// there is none, one for this build alone.
func (b *build) openGHAStore() error {
	c := &b.ghaCaches
	if c.store != nil {
		return nil
	}
	var err error
	if path := ActionsStore(b.Settings); path != "" {
		c.store, err = cas.Open(path, b.Settings.Actions.Size)
		if err == nil {
			return nil
		}
		b.note(fmt.Sprintf("entries of the Actions cache are kept for this build alone: %v", err))
	}
	if c.dir, err = os.MkdirTemp("", "outlast-actions-"); err != nil {
		return err
	}
	c.store, err = cas.Open(c.dir, b.Settings.Actions.Size)
	return err
}

func (c *ghaCache) counted(e actcache.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Saved {
		c.saved++
		return
	}
	c.asked++
	if e.Hit {
		c.hits++
	}
	if e.GitHub {
		c.theirs++
	}
}

func (c *ghaCache) tally() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("the Actions cache: %d of %d look-ups found an entry, %d of them at GitHub's service; %d entries were saved", c.hits, c.asked, c.theirs, c.saved)
}

// closeGHA sends on what is left, and ends the services.
func (b *build) closeGHA(ctx context.Context) {
	for _, c := range b.ghaCaches.all {
		if c.server == nil {
			continue
		}
		c.server.Close()
		if n := c.service.Pending(); n > 0 && ctx.Err() == nil {
			b.note(fmt.Sprintf("sending %d cache entries on to GitHub's cache service", n))
		}
		limit, cancel := context.WithTimeoutCause(ctx, b.Settings.Actions.Relay, errors.New("actions.relay is up"))
		if err := c.service.Close(limit); err != nil {
			b.note(err.Error())
		}
		cancel()
		if b.Debug {
			b.note(c.tally())
		}
	}
	if b.ghaCaches.store != nil {
		_ = b.ghaCaches.store.Close() // nothing is written by it
	}
	if b.ghaCaches.dir != "" {
		_ = os.RemoveAll(b.ghaCaches.dir) // it stands among temporary files
	}
}
