package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

// pieces are how much of a blob one request carries: all of it, as docker and
// containerd do; or, where something in front of the registry says that this is
// too large (413), so much: a megabyte is what nginx lets through unless it is
// told otherwise.
var pieces = []int64{0, 8 << 20, 1 << 20}

// blob sends one blob, unless it is there.
func (s *sending) blob(ctx context.Context, d ocispecs.Descriptor) error {
	return s.again(ctx, func() error {
		there, err := s.has(ctx, d)
		if err != nil {
			return err
		}
		if there {
			s.there.Add(1)
			return nil
		}
		at, err := s.begin(ctx, d)
		if err != nil {
			return err
		}
		if at == nil {
			s.there.Add(1)
			return nil
		}
		if err := s.upload(ctx, d, at); err != nil {
			return err
		}
		s.count.Add(1)
		s.bytes.Add(d.Size)
		return nil
	})
}

// has asks whether the repository has a blob. An answer that does not say how
// large it is, or says something else, proves nothing.
func (s *sending) has(ctx context.Context, d ocispecs.Descriptor) (bool, error) {
	resp, err := s.do(ctx, call{method: http.MethodHead, url: s.base + "/blobs/" + d.Digest.String()})
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	case resp.StatusCode != http.StatusOK || fault.IsHTML(resp.Header.Get("Content-Type"), nil):
		return false, s.refusal(resp, "blob")
	}
	return resp.ContentLength == d.Size, nil
}

// begin opens an upload, and says where it goes: nowhere where the registry
// took the blob from one of its other repositories.
func (s *sending) begin(ctx context.Context, d ocispecs.Descriptor) (*url.URL, error) {
	for _, repo := range s.from {
		at, done, err := s.open(ctx, "?"+url.Values{"mount": {d.Digest.String()}, "from": {repo}}.Encode())
		if err != nil || done {
			return nil, err
		}
		if repo == s.from[len(s.from)-1] {
			return at, nil
		}
		// Nothing is sent there; the registry would forget it some day.
		_, _ = s.do(ctx, call{method: http.MethodDelete, url: at.String()})
	}
	at, _, err := s.open(ctx, "")
	return at, err
}

func (s *sending) open(ctx context.Context, query string) (at *url.URL, done bool, err error) {
	resp, err := s.do(ctx, call{method: http.MethodPost, url: s.base + "/blobs/uploads/" + query})
	switch {
	case err != nil:
		return nil, false, err
	case resp.StatusCode == http.StatusCreated && query != "":
		return nil, true, nil
	case resp.StatusCode != http.StatusAccepted:
		return nil, false, s.refusal(resp, "blob")
	}
	at, err = s.location(resp)
	return at, false, err
}

// location is where an upload goes on.
func (s *sending) location(resp *http.Response) (*url.URL, error) {
	at, err := resp.Location()
	if err == nil {
		err = fetch.MayLead(resp.Request.URL, at)
	}
	if err != nil {
		return nil, &fault.Error{Op: "send", Endpoint: s.host, Kind: fault.Rejected, Err: fmt.Errorf("the answer does not say where a blob goes: %w", err)}
	}
	return at, nil
}

// upload sends a blob to where it goes, in pieces as large as may be.
func (s *sending) upload(ctx context.Context, d ocispecs.Descriptor, at *url.URL) error {
	content, err := s.Open(d.Digest)
	if err != nil {
		return s.failed(err)
	}
	defer content.Close()
	n := s.piece.Load()
	err = s.pieces(ctx, d, at, content, pieces[n])
	var over tooLarge
	if errors.As(err, &over) && int(n) < len(pieces)-1 {
		s.piece.CompareAndSwap(n, n+1)
		if at, err = s.begin(ctx, d); err != nil || at == nil {
			return err
		}
		return s.upload(ctx, d, at)
	}
	return err
}

// tooLarge says that a request carried too much.
type tooLarge struct{ error }

func (t tooLarge) Unwrap() error { return t.error }

// pieces sends a blob in requests of size bytes; 0 means one.
func (s *sending) pieces(ctx context.Context, d ocispecs.Descriptor, at *url.URL, content io.ReadSeeker, size int64) error {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return s.failed(err)
	}
	last := call{method: http.MethodPut, kind: "application/octet-stream", body: content, size: d.Size}
	if size > 0 {
		for off := int64(0); off < d.Size; off += size {
			n := min(size, d.Size-off)
			resp, err := s.do(ctx, call{method: http.MethodPatch, url: at.String(), kind: "application/octet-stream",
				body: content, size: n, span: strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(off+n-1, 10)})
			if err != nil {
				return err
			}
			if resp.StatusCode != http.StatusAccepted {
				return s.notTaken(resp)
			}
			if at, err = s.location(resp); err != nil {
				return err
			}
		}
		last.body, last.size = nil, 0
	}
	query := at.Query()
	query.Set("digest", d.Digest.String())
	at.RawQuery = query.Encode()
	last.url = at.String()
	resp, err := s.do(ctx, last)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = s.notTaken(resp)
	}
	return err
}

func (s *sending) notTaken(resp *http.Response) error {
	err := s.refusal(resp, "blob")
	if resp.StatusCode == http.StatusRequestEntityTooLarge {
		return tooLarge{err}
	}
	return err
}
