package probe

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

	"github.com/outlast-build/outlast/fault"
)

// An Actions is the cache service of GitHub Actions. It is asked for an entry
// that does not exist; whoever says so as an API is well.
type Actions struct {
	URL       string            // ACTIONS_RESULTS_URL or ACTIONS_CACHE_URL
	V2        bool              // the protocol of ACTIONS_RESULTS_URL
	Transport http.RoundTripper // adds the token, for the host of URL alone
}

// A look-up is of a key and of the hash of a tool and its paths.
const (
	noKey     = "outlast-check"
	noVersion = "0000000000000000000000000000000000000000000000000000000000000000"
)

// mostEntry bounds what the service may say about an entry.
const mostEntry = 64 << 10

// Ask looks the entry up, as the client of the service's version does
// (actions/toolkit, packages/cache).
func (a Actions) Ask(ctx context.Context) (string, error) {
	r, err := a.request(ctx)
	if err != nil {
		return "", &fault.Error{Kind: fault.Config, Err: errors.New("the address of the service cannot be read")}
	}
	// No redirect is followed: the API has none, and the token stays here.
	resp, err := a.Transport.RoundTrip(r)
	if err != nil {
		return "", &fault.Error{Endpoint: r.URL.Host, Kind: kindOf(err), Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostEntry))
	if err != nil {
		return "", &fault.Error{Endpoint: r.URL.Host, Kind: kindOf(err), Err: err}
	}
	if err := a.judge(resp, body); err != nil {
		return "", &fault.Error{Endpoint: r.URL.Host, Kind: fault.Of(err), Err: err}
	}
	return "looks entries up", nil
}

func (a Actions) request(ctx context.Context) (*http.Request, error) {
	base := strings.TrimRight(a.URL, "/")
	if a.V2 {
		body, _ := json.Marshal(map[string]any{"key": noKey, "restore_keys": []string{}, "version": noVersion}) // strings cannot fail
		r, err := http.NewRequestWithContext(ctx, http.MethodPost,
			base+"/twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		return r, nil
	}
	query := url.Values{"keys": {noKey}, "version": {noVersion}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/_apis/artifactcache/cache?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json;api-version=6.0-preview.1")
	return r, nil
}

// judge tells an API's answer from what only looks like one.
func (a Actions) judge(resp *http.Response, body []byte) error {
	fail := func(kind fault.Kind, format string, args ...any) error {
		return &fault.Error{Kind: kind, Err: fmt.Errorf(format, args...)}
	}
	if fault.IsHTML(resp.Header.Get("Content-Type"), body) {
		return fail(fault.HTML, "a web page with status %d", resp.StatusCode)
	}
	var said struct {
		OK   *bool  `json:"ok"`   // v2
		Code string `json:"code"` // v2: Twirp's errors
		Key  string `json:"cacheKey"`
	}
	isJSON := json.Unmarshal(body, &said) == nil
	switch kind := fault.OfStatus(resp.StatusCode); {
	case a.V2 && isJSON && (resp.StatusCode == http.StatusOK && said.OK != nil || said.Code == "not_found"):
		return nil
	case !a.V2 && (resp.StatusCode == http.StatusNoContent && len(body) == 0 || resp.StatusCode == http.StatusOK && said.Key != ""):
		return nil
	case kind == fault.None:
		return fail(fault.Rejected, "status %d with something else than an entry", resp.StatusCode)
	case kind == fault.NotFound:
		// It is the service that is not there: it has no other way to say so.
		return fail(fault.Rejected, "status %d", resp.StatusCode)
	default:
		return fail(kind, "status %d", resp.StatusCode)
	}
}
