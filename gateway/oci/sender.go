package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/backoff"
	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// A Sender puts content into registries, each with its own login: the push side
// of the distribution specification, for build caches. It may be used at once
// from many places.
type Sender struct {
	// Registries says where registries are. What is sent goes to origins alone.
	Registries *Registries
	// Base carries the requests; its own limits should be wider than those of
	// the Sender, which watches over each request.
	Base http.RoundTripper
	// Answer is how long a request without a body may be silent, and Idle one
	// that carries content, from its last byte on: a registry that has got a
	// large blob moves it to its place before it answers. Zero means 10 s and 60 s.
	Answer, Idle time.Duration
	// Jitter returns a number in [0, 1). Nil means chance.
	Jitter func() float64
}

// A Parcel is a manifest with all that it names.
type Parcel struct {
	Ref      string // where it goes, in full: registry.example.com/app:cache
	Type     string // media type of the manifest
	Manifest []byte
	Blobs    []ocispecs.Descriptor
	Open     func(digest.Digest) (io.ReadSeekCloser, error)
	// From are repositories of the same registry that may have some of the
	// blobs already: two of them are asked at most.
	From []string
}

// Sent is what a parcel took.
type Sent struct {
	Blobs   int   // that were sent
	There   int   // that the registry had, or took from another repository
	Bytes   int64 // of blobs that were sent
	Retries int   // requests that were made again
}

// How a parcel is sent.
const (
	parallel    = 4 // blobs at once: what docker and BuildKit push
	maxSendTry  = 3 // of each request
	maxSendSize = 4 << 20
	maxFrom     = 2
)

// Send puts a parcel where it belongs: what is missing there, and the manifest
// last, so that a tag never names what is not there. What was sent when it ends
// early is not sent again by the next. It ends with ctx; the error is a
// *fault.Error that names the registry.
func (s *Sender) Send(ctx context.Context, p Parcel) (Sent, error) {
	q, err := parseRef(p.Ref)
	if err != nil {
		return Sent{}, err
	}
	if len(p.Manifest) > maxSendSize {
		return Sent{}, &fault.Error{Op: "send", Endpoint: q.host, Kind: fault.Config, Err: fmt.Errorf("a manifest of %d bytes is more than registries take", len(p.Manifest))}
	}
	from := slices.DeleteFunc(slices.Clone(p.From), func(repo string) bool { return repo == q.repo || !nameForm.MatchString(repo) })
	from = from[:min(len(from), maxFrom)]
	base, auth, err := s.Registries.origin(q.host, s.Base, pushScope(q.repo, from))
	if err != nil {
		return Sent{}, &fault.Error{Op: "send", Endpoint: q.host, Kind: fault.Config, Err: err}
	}
	job := &sending{Sender: s, Parcel: p, host: q.host, base: base + q.repo, from: from,
		client: &http.Client{Transport: auth, CheckRedirect: followUpload}}
	if err := job.blobs(ctx); err != nil {
		return job.sent(), err
	}
	return job.sent(), job.manifest(ctx, q.ref)
}

// pushScope is what a token has to allow: the distribution project's "Token
// Scope Documentation".
func pushScope(repo string, from []string) string {
	scopes := []string{"repository:" + repo + ":pull,push"}
	for _, other := range from {
		scopes = append(scopes, "repository:"+other+":pull")
	}
	return strings.Join(scopes, " ")
}

func followUpload(r *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("redirected too often")
	}
	return fetch.MayLead(via[len(via)-1].URL, r.URL)
}

// A sending is one Send.
type sending struct {
	*Sender
	Parcel
	host   string
	base   string // of the repository: https://registry.example.com/v2/app
	from   []string
	client *http.Client

	piece                 atomic.Int32 // index of pieces: how much one request carries
	count, there, retries atomic.Int64
	bytes                 atomic.Int64
}

func (s *sending) sent() Sent {
	return Sent{Blobs: int(s.count.Load()), There: int(s.there.Load()), Bytes: s.bytes.Load(), Retries: int(s.retries.Load())}
}

func (s *sending) blobs(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	seen := make(map[digest.Digest]bool)
	for _, d := range s.Blobs {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return s.failed(err)
			}
			return s.blob(ctx, d)
		})
	}
	return group.Wait()
}

// manifest names what was sent.
func (s *sending) manifest(ctx context.Context, tag string) error {
	return s.again(ctx, func() error {
		want := digest.FromBytes(s.Manifest)
		resp, err := s.do(ctx, call{method: http.MethodPut, url: s.base + "/manifests/" + tag, kind: s.Type,
			body: strings.NewReader(string(s.Manifest)), size: int64(len(s.Manifest))})
		if err != nil {
			return err
		}
		// Only this says that it was taken: a page with status 200 does not.
		if resp.StatusCode != http.StatusCreated {
			return s.refusal(resp, "manifest")
		}
		if d := resp.Header.Get("Docker-Content-Digest"); d != "" && d != want.String() {
			return s.failed(fmt.Errorf("the registry says that the manifest is %.80s, which is not what was sent", d))
		}
		return nil
	})
}

// again does what may be tried again, a few times.
func (s *sending) again(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || n == maxSendTry || ctx.Err() != nil || !transient(err) {
			return err
		}
		wait := backoff.Policy{}.Wait(n, s.jitter(), fault.After(err))
		if till, ok := ctx.Deadline(); ok && time.Until(till) < wait {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			s.retries.Add(1)
		}
	}
}

// transient reports whether another try may help. Silence has cost its time
// already.
func transient(err error) bool {
	k := fault.Of(err)
	return k.Action() == fault.Retry && k != fault.Timeout
}

func (s *sending) jitter() float64 {
	if s.Jitter != nil {
		return s.Jitter()
	}
	return rand.Float64()
}

// A call is one request.
type call struct {
	method, url, kind string
	body              io.ReadSeeker // nil: none
	size              int64
	span              string // Content-Range
}

// do makes a request, whose answer's body was read. It is cancelled when
// nothing happens for too long.
func (s *sending) do(ctx context.Context, c call) (*http.Response, error) {
	silence := s.Answer
	if silence <= 0 {
		silence = 10 * time.Second
	}
	if c.body != nil {
		if silence = s.Idle; silence <= 0 {
			silence = time.Minute
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(silence, func() {
		cancel(&fault.Error{Op: "send", Endpoint: s.host, Kind: fault.Timeout, Err: fmt.Errorf("no answer within %s", silence)})
	})
	defer timer.Stop()
	r, err := c.request(ctx, func() { timer.Reset(silence) })
	if err != nil {
		return nil, s.failed(err)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, s.failed(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	resp.Body = io.NopCloser(strings.NewReader(string(page)))
	return resp, nil
}

func (c call) request(ctx context.Context, alive func()) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, c.method, c.url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "outlast")
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
	}
	if c.span != "" {
		r.Header.Set("Content-Range", c.span)
	}
	if c.body == nil || c.size == 0 {
		return r, nil
	}
	start, err := c.body.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	var one sync.Mutex // a request that is made again may overlap the one before
	r.GetBody = func() (io.ReadCloser, error) {
		one.Lock()
		defer one.Unlock()
		_, err := c.body.Seek(start, io.SeekStart)
		return io.NopCloser(heard{io.LimitReader(c.body, c.size), alive}), err
	}
	r.Body, err = r.GetBody()
	r.ContentLength = c.size
	return r, err
}

// heard tells of each read.
type heard struct {
	io.Reader
	alive func()
}

func (h heard) Read(p []byte) (int, error) {
	h.alive()
	return h.Reader.Read(p)
}

// refusal makes an answer that is not the one hoped for into an error.
func (s *sending) refusal(resp *http.Response, what string) error {
	body, _ := io.ReadAll(resp.Body)
	e := &fault.Error{Op: "send", Endpoint: s.host, Kind: fault.OfStatus(resp.StatusCode),
		After: fault.RetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		Err:   fmt.Errorf("status %d for a %s", resp.StatusCode, what)}
	switch {
	case fault.IsHTML(resp.Header.Get("Content-Type"), body):
		e.Kind, e.Err = fault.HTML, fmt.Errorf("status %d with a page for a %s", resp.StatusCode, what)
	case e.Kind == fault.None, e.Kind == fault.NotFound:
		e.Kind = fault.Rejected
	}
	if said := saidOf(body); said != "" && e.Kind != fault.HTML {
		e.Err = fmt.Errorf("%w: %s", e.Err, said)
	}
	return e
}

// saidOf is what the body of a registry's error says: section "Error codes" of
// the distribution specification.
func saidOf(body []byte) string {
	var doc struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &doc) != nil || len(doc.Errors) == 0 {
		return ""
	}
	first := doc.Errors[0]
	return fmt.Sprintf("%.40q: %.200q", first.Code, first.Message)
}

// failed says of an error which registry it is about.
func (s *sending) failed(err error) error {
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	return &fault.Error{Op: "send", Endpoint: s.host, Kind: fault.Of(err), Err: bareURL(err)}
}

// bareURL leaves out the address of a request, which may hold a secret.
func bareURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
