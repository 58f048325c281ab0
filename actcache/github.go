package actcache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// DefaultBudget is what the clients of a service may lose in all to GitHub.
const DefaultBudget = 10 * time.Second

// GitHub is the cache service that a job was given. Its fields are set before
// it is used and do not change after.
type GitHub struct {
	URL   string // ACTIONS_RESULTS_URL, or ACTIONS_CACHE_URL
	V2    bool   // the protocol of ACTIONS_RESULTS_URL
	Token string // ACTIONS_RUNTIME_TOKEN; it goes to the host of URL alone

	// Fetcher sends the requests, within its limits. Nil means one of its own.
	Fetcher *fetch.Fetcher
	// Budget is what clients may lose in all while the service fails or is
	// silent. Zero means DefaultBudget.
	Budget time.Duration
	// Jitter returns a number in [0, 1). Nil means chance.
	Jitter func() float64

	once     sync.Once
	patience patience
}

func (g *GitHub) ready() {
	g.once.Do(func() {
		if g.Fetcher == nil {
			g.Fetcher = new(fetch.Fetcher)
		}
		g.patience.left = g.Budget
		if g.Budget <= 0 {
			g.patience.left = DefaultBudget
		}
	})
}

// errLeftAlone means that the service is not asked: it failed, and is given a
// rest, or has used up what clients may lose to it.
var errLeftAlone = errors.New("it is left alone for a while")

// within calls do with what patience there is.
func (g *GitHub) within(ctx context.Context, do func(context.Context, time.Duration) error) error {
	start := time.Now()
	most := g.patience.most(start)
	if most == 0 {
		return errLeftAlone
	}
	err := do(ctx, most)
	if err != nil && ctx.Err() != nil {
		return err // the client left: nobody's fault
	}
	g.patience.ended(start, time.Now(), err)
	return err
}

// errOver ends what takes more time than there is.
var errOver error = &fault.Error{Kind: fault.Timeout, Err: errors.New("no time is left for it")}

// lookup returns the key that GitHub found, and where its content is; an empty
// key where there is none.
func (g *GitHub) lookup(ctx context.Context, keys []string, version string) (key, from string, err error) {
	err = g.within(ctx, func(ctx context.Context, most time.Duration) error {
		ctx, cancel := context.WithTimeoutCause(ctx, most, errOver)
		defer cancel()
		if g.V2 {
			key, from, err = g.lookupV2(ctx, keys, version)
		} else {
			key, from, err = g.lookupV1(ctx, keys, version)
		}
		return err
	})
	return key, from, err
}

func (g *GitHub) lookupV2(ctx context.Context, keys []string, version string) (key, from string, err error) {
	var found lookupResponse
	req := lookupRequest{Key: keys[0], RestoreKeys: append([]string{}, keys[1:]...), Version: version}
	if err := g.twirp(ctx, "GetCacheEntryDownloadURL", req, &found); err != nil || !found.OK {
		return "", "", unlessMissing(err)
	}
	return found.MatchedKey, found.DownloadURL, nil
}

func (g *GitHub) lookupV1(ctx context.Context, keys []string, version string) (key, from string, err error) {
	q := url.Values{"keys": {strings.Join(keys, ",")}, "version": {version}}
	var found entryV1
	if err := g.call(ctx, http.MethodGet, v1Path+"cache?"+q.Encode(), nil, &found); err != nil {
		return "", "", unlessMissing(err)
	}
	return found.Key, found.Location, nil
}

// unlessMissing makes an API's "not found" the answer that it is.
func unlessMissing(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusNotFound {
		return nil
	}
	return err
}

func (g *GitHub) twirp(ctx context.Context, method string, req, answer any) error {
	return g.call(ctx, http.MethodPost, twirpPath+method, req, answer)
}

// call sends a message and reads the answer. A *refusal is the API's own no;
// any other error is a *fault.Error.
func (g *GitHub) call(ctx context.Context, method, path string, message, answer any) error {
	var content io.Reader
	if message != nil {
		data, err := json.Marshal(message)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(g.URL, "/")+path, content)
	if err != nil {
		return &fault.Error{Kind: fault.Config, Err: errors.New("its address cannot be read")}
	}
	r.Header.Set("Accept", "application/json")
	if path[1] == '_' {
		r.Header.Set("Accept", "application/json;api-version=6.0-preview.1")
	}
	if message != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+g.Token)
	return g.send(r, answer)
}

// send sends one request. No redirect is followed: the API has none, and the
// token stays here.
func (g *GitHub) send(r *http.Request, answer any) error {
	fail := func(kind fault.Kind, after time.Duration, err error) error {
		return &fault.Error{Endpoint: r.URL.Host, Kind: kind, After: after, Err: err}
	}
	resp, err := g.Fetcher.Transport().RoundTrip(r)
	if err != nil {
		return fail(kindOf(r.Context(), err), 0, cause(r.Context(), err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return fail(kindOf(r.Context(), err), 0, cause(r.Context(), err))
	}
	status := fmt.Errorf("status %d", resp.StatusCode)
	kind := fault.OfStatus(resp.StatusCode)
	after := fault.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	var no struct{ Code, TypeKey string }
	switch said := json.Unmarshal(data, &no) == nil && (no.Code != "" || no.TypeKey != ""); {
	case fault.IsHTML(resp.Header.Get("Content-Type"), data) && kind != fault.Outage && kind != fault.RateLimited:
		return fail(fault.HTML, after, fmt.Errorf("a web page with status %d", resp.StatusCode))
	case resp.StatusCode == http.StatusConflict, no.Code == "already_exists":
		return &refusal{resp.StatusCode, "already_exists", "GitHub has it"}
	case resp.StatusCode == http.StatusNotFound && said:
		return &refusal{resp.StatusCode, "not_found", "GitHub does not have it"}
	case kind != fault.None:
		return fail(kind, after, status)
	case resp.StatusCode == http.StatusNoContent, answer == nil:
		return nil
	case json.Unmarshal(data, answer) != nil:
		return fail(fault.Rejected, 0, fmt.Errorf("status %d with what is no answer", resp.StatusCode))
	}
	return nil
}

// kindOf is the kind of a failure to get an answer.
func kindOf(ctx context.Context, err error) fault.Kind {
	if ctx.Err() != nil {
		return fault.Of(context.Cause(ctx))
	}
	return fault.Of(err)
}

func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// slowest is how many bytes a second content must come with for its time not
// to count as lost.
const slowest = 1 << 20

// download fetches the content of a key into the store. It is whole: by its
// digest, where the key names one, else by the checksum that Azure keeps of
// what was uploaded in one piece, else by its length alone.
func (g *GitHub) download(ctx context.Context, s *cas.Store, key, from string) (digest.Digest, int64, error) {
	at, err := url.Parse(from)
	base, err2 := url.Parse(g.URL)
	if err = errors.Join(err, err2); err == nil {
		err = fetch.MayLead(base, at)
	}
	if err != nil {
		return "", 0, &fault.Error{Kind: fault.Rejected, Err: errors.New("its address of the content is none to follow")}
	}
	w, err := s.Create()
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = w.Close() }() // what counts was said by Commit
	err = g.within(ctx, func(ctx context.Context, most time.Duration) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		until := time.Now().Add(most)
		over := time.AfterFunc(most, func() { cancel(errOver) })
		defer over.Stop()
		sum := new(checksum)
		ask := fetch.Ask{
			Name: "cache entry", Serves: "actions", Digest: digestOf(key),
			Sources: []fetch.Source{{Endpoint: at.Host, URL: from, Origin: true}},
			Budget:  &fetch.Budget{Wait: most},
			Prove:   sum.prove,
			Check: func(a fetch.Answer) error {
				over.Reset(time.Until(until) + time.Duration(max(a.Size, 0)/slowest)*time.Second)
				sum.learn(a)
				return nil
			},
		}
		if ask.Digest != "" {
			ask.Prove = nil
		}
		if _, err := g.Fetcher.Spool(ctx, ask, w); err != nil {
			return &fault.Error{Kind: kindOf(ctx, err), After: fault.After(err), Err: cause(ctx, err)}
		}
		return nil
	})
	if err != nil {
		return "", 0, err
	}
	d, err := w.Digest()
	if err == nil {
		err = w.Commit(d)
	}
	return d, w.Size(), err
}
