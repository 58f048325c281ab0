package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
	"github.com/outlast-build/outlast/redact"
)

// An answer is in a file without a name. Close lets go of it.
type answer struct {
	*os.File
	size   int64
	from   string
	stale  time.Time // when it was last good; zero where it is fresh, or as good at any time
	proved bool      // its repository's own server gave it
}

// maxRedirects is how many of them are followed.
const maxRedirects = 5

// ask makes one request, and takes over all of the answer.
func (p *Proxy) ask(ctx context.Context, q question, s fetch.Source) (answer, fetch.Try) {
	try := fetch.Try{Name: q.Name, Serves: "git", Endpoint: s.Endpoint, At: time.Now(), Origin: s.Origin}
	a, err := p.exchange(ctx, q, s, &try)
	try.Took = time.Since(try.At)
	if err != nil {
		try.Kind = cmp.Or(fault.Of(err), fault.Unknown)
		try.Err = &fault.Error{Endpoint: s.Endpoint, Kind: try.Kind, After: fault.After(err), Err: errors.New(redact.Text(err.Error()))}
	}
	return a, try
}

func (p *Proxy) exchange(ctx context.Context, q question, s fetch.Source, try *fetch.Try) (answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := cmp.Or(p.Fetcher.Limits.Idle, 10*time.Second)
	silent := &fault.Error{Op: "read", Kind: fault.Timeout, Err: fmt.Errorf("nothing received for %v", idle)}
	patience := cmp.Or(p.Fetcher.Limits.Header, 5*time.Second)
	if q.lasts {
		patience *= 2 // a server counts what a commit holds before it says a word
	}
	watch := time.AfterFunc(patience, func() { cancel(silent) })
	defer watch.Stop()
	why := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	resp, err := p.send(ctx, q, s)
	if err != nil {
		return answer{}, why(err)
	}
	defer resp.Body.Close()
	try.Status = resp.StatusCode
	watch.Reset(idle)
	if err := judge(q, resp); err != nil {
		return answer{}, err
	}
	f, err := os.CreateTemp("", "outlast-git-*")
	if err != nil {
		return answer{}, &fault.Error{Op: "store", Kind: fault.Resource, Err: err}
	}
	os.Remove(f.Name())
	beats := &beating{io.LimitReader(resp.Body, q.limit+1), func() { watch.Reset(idle) }}
	n, err := io.Copy(f, beats)
	try.Bytes = n
	if err == nil && n > q.limit {
		err = &fault.Error{Kind: fault.TooLarge, Err: fmt.Errorf("more than %d bytes", q.limit)}
	}
	if err == nil {
		err = whole(q, io.NewSectionReader(f, 0, n))
	}
	if err != nil {
		f.Close()
		return answer{}, why(err)
	}
	return answer{File: f, size: n, from: s.Endpoint}, nil
}

// beating tells of each read that brought something.
type beating struct {
	io.Reader
	beat func()
}

// Read is io.Reader's.
func (b *beating) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n > 0 {
		b.beat()
	}
	return n, err
}

// send makes a request, and makes it again where a redirect leads, with its
// method and body: servers that moved a repository send any of the statuses.
func (p *Proxy) send(ctx context.Context, q question, s fetch.Source) (*http.Response, error) {
	transport := s.Transport
	if transport == nil {
		transport = p.Fetcher.Transport()
	}
	at := s.URL
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, q.method, at, bytes.NewReader(q.body))
		if err != nil {
			return nil, err
		}
		req.Header = q.header.Clone()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 300 || resp.StatusCode > 399 {
			return resp, nil
		}
		resp.Body.Close()
		if at, err = follow(req.URL, resp.Header.Get("Location"), q); err != nil {
			return nil, err
		}
		transport = p.Fetcher.Transport() // what the source may see, nobody else may
	}
	return nil, &fault.Error{Op: "redirect", Kind: fault.Rejected, Err: errors.New("too many redirects")}
}

// follow returns where a redirect leads: to the same request of a repository,
// and not out of TLS.
func follow(from *url.URL, location string, q question) (string, error) {
	to, err := from.Parse(location)
	end, query, _ := strings.Cut(q.end, "?")
	if location == "" || err != nil || to.User != nil || to.Scheme != "https" && to.Scheme != "http" || from.Scheme == "https" && to.Scheme != "https" ||
		!strings.HasSuffix(to.EscapedPath(), end) || to.RawQuery != query {
		return "", &fault.Error{Op: "redirect", Kind: fault.Rejected, Err: errors.New("it leads to no repository")}
	}
	return to.String(), nil
}

// judge decides on the head of an answer.
func judge(q question, resp *http.Response) error {
	status := fmt.Errorf("status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	media := resp.Header.Get("Content-Type")
	switch kind := fault.OfStatus(resp.StatusCode); {
	case kind == fault.NotFound || kind == fault.Auth:
		return &fault.Error{Kind: kind, Err: status} // web servers have a page with it
	case kind != fault.None:
		return &fault.Error{Kind: kind, After: fault.RetryAfter(resp.Header.Get("Retry-After"), time.Now()), Err: status}
	case fault.IsHTML(media, nil):
		return &fault.Error{Kind: fault.HTML, Err: fmt.Errorf("a web page with status %d", resp.StatusCode)}
	case resp.StatusCode != http.StatusOK || media != q.media:
		return &fault.Error{Kind: fault.Rejected, Err: fmt.Errorf("%w, and no answer to git", status)}
	}
	return nil
}
