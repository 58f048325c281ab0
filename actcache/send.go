package actcache

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/fetch"
)

const (
	// pieceSize is how much is sent in one request: what breaks off costs no
	// more than that.
	pieceSize = 8 << 20
	// pieces is how many are on their way at the same time.
	pieces = 4
	// slowestSend is how many bytes a second a request must take.
	slowestSend = 256 << 10
	// answerIn is how long the answer to a request may take beside its bytes.
	answerIn = 15 * time.Second
)

// A sending is an entry on its way to GitHub, through as many tries as it
// takes: a key that was reserved once is not reserved again.
type sending struct {
	entry
	asked bool   // for the key
	to    string // where the content goes; empty until the key is reserved
}

// save sends an entry, or goes on with it; moved is told of each piece that
// arrived. An entry that GitHub has already is sent.
func (g *GitHub) save(ctx context.Context, s *sending, content io.ReaderAt, moved func()) error {
	if s.to == "" {
		again := s.asked
		s.asked = true
		err := g.reserve(ctx, s)
		var no *refusal
		if exists := errors.As(err, &no) && no.code == "already_exists"; exists && again {
			return &fault.Error{Kind: fault.Rejected, Err: errors.New("the key is taken, perhaps by a try before that was not answered")}
		} else if exists {
			return nil
		}
		if err != nil {
			return err
		}
		moved()
	}
	if g.V2 {
		return g.fill(ctx, s, content, moved)
	}
	return g.fillV1(ctx, s, content, moved)
}

func (g *GitHub) reserve(ctx context.Context, s *sending) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerIn, errOver)
	defer cancel()
	if !g.V2 {
		var made reserveV1
		err := g.call(ctx, http.MethodPost, v1Path+"caches", map[string]any{"key": s.key, "version": s.version, "cacheSize": s.size}, &made)
		if err == nil && made.ID == 0 {
			err = &fault.Error{Kind: fault.Rejected, Err: errors.New("it takes no entry")}
		}
		if err == nil {
			s.to = fmt.Sprintf("%scaches/%d", v1Path, made.ID)
		}
		return err
	}
	var made createResponse
	err := g.twirp(ctx, "CreateCacheEntry", createRequest{s.key, s.version}, &made)
	if err == nil && (!made.OK || made.UploadURL == "") {
		err = &fault.Error{Kind: fault.Rejected, Err: fmt.Errorf("it takes no entry: %.200s", made.Message)}
	}
	s.to = made.UploadURL
	return err
}

func (g *GitHub) fill(ctx context.Context, s *sending, content io.ReaderAt, moved func()) error {
	if err := g.putBlob(ctx, s.to, content, s.size, moved); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerIn, errOver)
	defer cancel()
	var done finalizeResponse
	if err := g.twirp(ctx, "FinalizeCacheEntryUpload", finalizeRequest{s.key, s.version, number(s.size)}, &done); err != nil {
		return err
	}
	if !done.OK {
		return &fault.Error{Kind: fault.Rejected, Err: fmt.Errorf("it does not keep the entry: %.200s", done.Message)}
	}
	return nil
}

func (g *GitHub) fillV1(ctx context.Context, s *sending, content io.ReaderAt, moved func()) error {
	to := strings.TrimRight(g.URL, "/") + s.to
	err := inPieces(ctx, s.size, func(ctx context.Context, off, size int64) error {
		defer moved()
		return g.put(ctx, http.MethodPatch, to, io.NewSectionReader(content, off, size), size, http.Header{
			"Authorization": {"Bearer " + g.Token},
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {fmt.Sprintf("bytes %d-%d/*", off, off+size-1)},
		})
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerIn, errOver)
	defer cancel()
	return g.call(ctx, http.MethodPost, s.to, commitV1{s.size}, nil)
}

// putBlob sends content to a signed address, as Azure's clients do.
func (g *GitHub) putBlob(ctx context.Context, to string, content io.ReaderAt, size int64, moved func()) error {
	at, err := url.Parse(to)
	base, err2 := url.Parse(g.URL)
	if err = errors.Join(err, err2); err == nil {
		err = fetch.MayLead(base, at)
	}
	if err != nil {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("its address for the content is none to follow")}
	}
	if size <= pieceSize {
		defer moved()
		return g.put(ctx, http.MethodPut, to, io.NewSectionReader(content, 0, size), size, http.Header{"X-Ms-Blob-Type": {"BlockBlob"}})
	}
	err = inPieces(ctx, size, func(ctx context.Context, off, size int64) error {
		defer moved()
		return g.put(ctx, http.MethodPut, with(at, url.Values{"comp": {"block"}, "blockid": {blockName(off)}}), io.NewSectionReader(content, off, size), size, nil)
	})
	if err != nil {
		return err
	}
	var list strings.Builder
	list.WriteString(`<?xml version="1.0" encoding="utf-8"?><BlockList>`)
	for off := int64(0); off < size; off += pieceSize {
		list.WriteString("<Latest>" + blockName(off) + "</Latest>")
	}
	list.WriteString("</BlockList>")
	return g.put(ctx, http.MethodPut, with(at, url.Values{"comp": {"blocklist"}}), strings.NewReader(list.String()), int64(list.Len()),
		http.Header{"Content-Type": {"application/xml"}})
}

// blockName is the name of the piece at off: all names have one length.
func blockName(off int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%015d", off/pieceSize))
}

func with(at *url.URL, more url.Values) string {
	to := *at
	q := at.Query()
	for k, v := range more {
		q[k] = v
	}
	to.RawQuery = q.Encode()
	return to.String()
}

// inPieces sends size bytes in pieces, some at the same time.
func inPieces(ctx context.Context, size int64, send func(ctx context.Context, off, size int64) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pieces)
	for off := int64(0); off < size; off += pieceSize {
		group.Go(func() error { return send(ctx, off, min(pieceSize, size-off)) })
	}
	return group.Wait()
}

// put sends a body.
func (g *GitHub) put(ctx context.Context, method, to string, body io.Reader, size int64, header http.Header) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerIn+time.Duration(size/slowestSend)*time.Second, errOver)
	defer cancel()
	if size == 0 {
		body = http.NoBody
	}
	r, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return &fault.Error{Kind: fault.Rejected, Err: errors.New("its address for the content cannot be read")}
	}
	for k, v := range header {
		r.Header[k] = v
	}
	r.Header.Set("X-Ms-Version", "2021-12-02")
	r.ContentLength = size
	return g.send(r, nil)
}
