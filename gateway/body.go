package gateway

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/outlast-build/outlast/cas"
)

// A Body is proved content that is ready to be served: in memory, in a file,
// or only its size, for a HEAD.
type Body struct {
	asset  Asset
	from   string    // "store", or an endpoint
	stale  time.Time // when the answer was last good; zero where it is fresh
	data   []byte
	file   *os.File
	size   int64 // bytes; -1 where unknown
	kept   bool  // the store has it: each reader opens a file of its own
	shared bool  // all readers share the file, and the collector closes it after the last

	spool *cas.Writer // proved, and on its way into the store: each reader opens a file of its own
}

// share returns b for one more of the readers who waited for it. Each gets a
// file of its own where there can be one, so that the kernel copies it.
func (b *Body) share(m *Mirror, a Asset) (*Body, error) {
	own := *b
	if b.spool != nil {
		if c, err := b.spool.File(); err == nil {
			own.file, own.shared = c.File, false
			return &own, nil
		}
	}
	if b.spool == nil && !b.kept {
		return &own, nil
	}
	opened, err := m.open(a)
	switch {
	case err == nil:
		opened.from = b.from
		return opened, nil
	case b.shared:
		return &own, nil
	}
	return nil, storeError(err)
}

// rewritten returns b with other bytes for one client.
func (b *Body) rewritten(a Asset, data []byte) *Body {
	own := *b
	own.asset, own.data, own.size = a, data, int64(len(data))
	own.asset.Digest = digest.FromBytes(data)
	return &own
}

// Close releases the file, if there is one.
func (b *Body) Close() {
	if b.file != nil && !b.shared {
		b.file.Close()
	}
}

// Open returns the content from its beginning. The reader is good until b is
// closed.
func (b *Body) Open() io.Reader {
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.size)
	}
	return bytes.NewReader(b.data)
}

// Asset returns what the content is, with its digest and its media type.
func (b *Body) Asset() Asset { return b.asset }

// Stale returns when the answer was last good, or zero where it is fresh.
func (b *Body) Stale() time.Time { return b.stale }

// Size returns how many bytes the content has; -1 where that is not known.
func (b *Body) Size() int64 {
	if b.file == nil && b.data != nil {
		return int64(len(b.data))
	}
	return b.size
}

// Bytes returns small content. It is nil for what is in a file.
func (b *Body) Bytes() []byte { return b.data }

// serve writes the head and, but for HEAD, the content. Ranges are answered
// from the proved bytes. A *os.File goes as it is to net/http, so that the
// kernel copies it.
func (b *Body) serve(w http.ResponseWriter, r *http.Request, m *Mirror) {
	h := w.Header()
	m.head(h, b.asset)
	if !b.stale.IsZero() {
		h.Set("X-Outlast-Stale", b.stale.UTC().Format(http.TimeFormat))
		h.Set("Warning", `110 outlast "response is stale"`)
	}
	switch {
	case b.shared:
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(b.file, 0, b.size))
	case b.file != nil:
		http.ServeContent(w, r, "", time.Time{}, b.file)
	case b.data != nil:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.data))
	default:
		if b.size >= 0 {
			h.Set("Content-Length", strconv.FormatInt(b.size, 10))
		}
		h.Set("Accept-Ranges", "bytes")
		w.WriteHeader(http.StatusOK)
	}
}

// head writes what the head of an answer says of a.
func (m *Mirror) head(h http.Header, a Asset) {
	h.Set("Content-Type", "application/octet-stream")
	if a.Type != "" {
		h.Set("Content-Type", a.Type)
	}
	if a.Digest != "" {
		h.Set("ETag", `"`+a.Digest.String()+`"`)
	}
	if a.Modified != "" {
		h.Set("Last-Modified", a.Modified)
	}
	if own, ok := m.Ecosystem.(Header); ok {
		own.Header(h, a)
	}
}

// rest returns all of the content as what the kernel can copy from.
func (b *Body) rest() io.Reader {
	if b.file != nil && !b.shared {
		return b.file
	}
	return b.Open()
}
