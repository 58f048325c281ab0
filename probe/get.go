package probe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// An Upstream is a service that is asked over HTTP.
type Upstream struct {
	// Fetcher carries the request. Each check has one of its own, so that none
	// rides on another's connection, or on one of yesterday.
	Fetcher *fetch.Fetcher
	// Source says where, and its Transport carries the credentials of that
	// host alone.
	Source fetch.Source
}

// mostAnswer bounds what a service may send for an answer: that of a manifest,
// by the distribution specification ("Pushing Manifests").
const mostAnswer = 4 << 20

// get asks once: what a check sees is what is told.
func (u Upstream) get(ctx context.Context, ask fetch.Ask) (fetch.Answer, error) {
	defer u.Fetcher.CloseIdleConnections()
	ask.Sources = []fetch.Source{u.Source}
	ask.Limit = mostAnswer
	ask.Budget = &fetch.Budget{Wait: -1}
	got, err := u.Fetcher.Bytes(ctx, ask)
	var failed *fetch.Failure
	if errors.As(err, &failed) && len(failed.Tries) > 0 {
		err = failed.Tries[0].Err
	}
	return got, err
}

// mostRefusal bounds what is read of the text of a refusal.
const mostRefusal = 64 << 10

// A tap keeps the text of the last answer that was a refusal.
type tap struct {
	base http.RoundTripper

	mu      sync.Mutex
	status  int
	refusal []byte
}

// RoundTrip is http.RoundTripper's.
func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil || fault.OfStatus(resp.StatusCode) == fault.None {
		return resp, err
	}
	// What cannot be read is no text of an API.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, mostRefusal))
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(text)))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status, t.refusal = resp.StatusCode, text
	return resp, nil
}

// said returns the status and the text of the last refusal, or 0.
func (t *tap) said() (int, []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status, t.refusal
}
