package actcache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/internal/httpx"
)

// A Service answers the clients of the Actions cache. Its fields are set
// before the first request and do not change after. Close ends it.
type Service struct {
	// Store keeps the entries. Its caller closes it, after Close.
	Store *cas.Store
	// Key signs the tokens that are believed, and addresses.
	Key Key
	// Trust, if not nil, proves tokens that are not of Key, and says what they
	// allow. Nil: there are no others.
	Trust func(ctx context.Context, token string) (Grant, error)
	// Base is where clients reach the service, as in http://127.0.0.1:5200.
	// Empty: where each of them asked.
	Base string
	// GitHub is the service behind this one. Nil: this one is alone.
	GitHub *GitHub
	// Largest is the most that one entry may have, in bytes. Zero: 10 GiB.
	Largest int64
	// Log gets a line for each request. Nil: none are written.
	Log *slog.Logger
	// Warn, if not nil, is told what did not work and does a client no harm.
	// It may be called from many goroutines at once.
	Warn func(string)
	// Count, if not nil, is told of each answer to a look-up, and of each entry
	// that was saved. It may be called from many goroutines at once.
	Count func(Event)

	once    sync.Once
	ctx     context.Context // ends with the service
	stop    context.CancelFunc
	entries entries
	uploads uploads
	saving  sync.Mutex // of entries: none is made twice
	flights singleflight.Group
	relay   *relay // nil where there is no GitHub
}

// An Event is an entry that was asked for or saved.
type Event struct {
	Saved  bool
	Hit    bool   // of a look-up
	GitHub bool   // the hit came from there
	Key    string // that was found, or saved, or asked for first
	Bytes  int64
}

func (s *Service) ready() {
	s.once.Do(func() {
		s.ctx, s.stop = context.WithCancel(context.Background())
		s.entries.store = s.Store
		if s.GitHub != nil {
			s.GitHub.ready()
			s.relay = newRelay(s.ctx, s.GitHub, s.Store, &s.entries)
		}
	})
}

// Close waits for what is on its way to GitHub until ctx ends, or GitHub does
// not take it, and ends the service. It returns what GitHub did not get, and
// why not: nil where it got everything.
func (s *Service) Close(ctx context.Context) error {
	s.ready()
	var err error
	if s.relay != nil {
		err = s.relay.drain(ctx)
	}
	s.stop()
	if s.relay != nil {
		s.relay.wait()
	}
	s.uploads.sweep(time.Now().Add(2 * uploadIdle))
	return err
}

// Pending counts the entries that GitHub is still to get.
func (s *Service) Pending() int {
	s.ready()
	if s.relay == nil {
		return 0
	}
	return s.relay.pending()
}

func (s *Service) largest() int64 {
	if s.Largest > 0 {
		return s.Largest
	}
	return maxEntry
}

func (s *Service) warn(format string, args ...any) {
	if s.Warn != nil {
		s.Warn(fmt.Sprintf(format, args...))
	}
}

func (s *Service) count(e Event) {
	if s.Count != nil {
		s.Count(e)
	}
}

// ServeHTTP is http.Handler's.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.ready()
	httpx.Handle(s.Log, s.serve).ServeHTTP(w, r)
}

const (
	twirpPath = "/twirp/github.actions.results.api.v1.CacheService/"
	v1Path    = "/_apis/artifactcache/"
)

// exports begins the paths of clients who only want to know whether an entry
// is there, and will not read it: nothing is fetched for them.
const exports = "/export"

func (s *Service) serve(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Path
	if name, ok := strings.CutPrefix(path, blobs); ok {
		return s.serveBlob(w, r, name)
	}
	if path == "/healthz" {
		return s.healthz(w)
	}
	rest, export := strings.CutPrefix(path, exports)
	method, v2 := strings.CutPrefix(rest, twirpPath)
	resource, v1 := strings.CutPrefix(rest, v1Path)
	if !v1 && !v2 {
		return answerError(w, refuse(http.StatusNotFound, "bad_route", "no such method"))
	}
	g, err := s.authorize(r)
	if err != nil {
		return answerError(w, err)
	}
	c := call{Service: s, grant: g, export: export, base: s.base(r)}
	if v2 {
		err = c.twirp(w, r, method)
	} else {
		err = c.v1(w, r, resource)
	}
	if err != nil {
		return answerError(w, err)
	}
	return nil
}

func (s *Service) healthz(w http.ResponseWriter) error {
	if _, err := s.Store.Changed(); err != nil {
		return &httpx.StatusError{Code: http.StatusServiceUnavailable, Err: errors.New("the store cannot be read")}
	}
	_, err := w.Write([]byte("ok\n"))
	return err
}

// authorize returns what the token of a request allows.
func (s *Service) authorize(r *http.Request) (Grant, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return Grant{}, refuse(http.StatusUnauthorized, "unauthenticated", "there is no token")
	}
	g, err := s.Key.grant(token, time.Now())
	if err != nil && s.Trust != nil && !strings.HasPrefix(token, header+".") && len(token) <= maxToken {
		g, err = s.Trust(r.Context(), token)
	}
	if err != nil {
		return Grant{}, refuse(http.StatusUnauthorized, "unauthenticated", "%v", err)
	}
	return g, nil
}

// host is what a client may have named: nothing that could lead elsewhere.
var host = regexp.MustCompile(`^[A-Za-z0-9._-]+(?::[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?$`)

// base is what the addresses of blobs begin with.
func (s *Service) base(r *http.Request) string {
	switch {
	case s.Base != "":
		return strings.TrimRight(s.Base, "/")
	case !host.MatchString(r.Host):
		return "http://invalid"
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
