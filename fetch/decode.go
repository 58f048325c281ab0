package fetch

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/outlast-build/outlast/fault"
)

// decode takes the coding off body, which came with r. What comes out has at
// most limit bytes, however little came: a thousandth is easily made.
func decode(r *reply, body []byte, limit int64) ([]byte, error) {
	coding := strings.ToLower(strings.TrimSpace(r.header.Get("Content-Encoding")))
	r.header.Del("Content-Encoding")
	switch coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip": // RFC 9110, section 8.4.1.3
	default:
		return nil, &fault.Error{Endpoint: r.endpoint, Kind: fault.Rejected, Err: fmt.Errorf("the content coding %.40q was not asked for", coding)}
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, undecodable(r, err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return nil, undecodable(r, err)
	case int64(len(plain)) > limit:
		return nil, tooLarge(r, limit)
	}
	return plain, nil
}

func undecodable(r *reply, err error) error {
	kind := fault.Corrupt
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		kind = fault.Truncated
	}
	return &fault.Error{Endpoint: r.endpoint, Kind: kind, Err: fmt.Errorf("decode the answer: %w", err)}
}
