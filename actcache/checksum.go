package actcache

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/outlast-build/outlast/fetch"
)

// A checksum is what a service tells of content: its size, and the MD5 that
// Azure keeps of what was uploaded in one piece. It tells damage from what was
// meant, and proves nothing against malice.
type checksum struct {
	mu   sync.Mutex
	size int64
	sum  []byte
}

// learn takes the checksum from the head of an answer: that of the answer's
// body where it is the whole, and in the other header that of the blob.
func (c *checksum) learn(a fetch.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = max(c.size, a.Size)
	text := a.Header.Get("X-Ms-Blob-Content-Md5")
	if text == "" && a.Status == http.StatusOK {
		text = a.Header.Get("Content-Md5")
	}
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != md5.Size {
		return
	}
	c.sum = sum
}

// prove compares content with what is known of it.
func (c *checksum) prove(r io.ReaderAt, size int64) error {
	c.mu.Lock()
	sum, whole := c.sum, size == c.size
	c.mu.Unlock()
	switch {
	case !whole:
		return errors.New("not all of the content")
	case sum == nil:
		return nil
	}
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), sum) {
		return errors.New("not the content that was uploaded")
	}
	return nil
}
