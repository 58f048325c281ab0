package outlast

import (
	"io"
	"net/http"
)

// A pulse is a transport that tells of every byte that arrives: a large layer
// is fetched and proved before the engine sees anything of it.
type pulse struct {
	base http.RoundTripper
	beat func()
}

// RoundTrip sends r on.
func (p pulse) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := p.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	p.beat()
	resp.Body = pulsing{resp.Body, p.beat}
	return resp, nil
}

type pulsing struct {
	io.ReadCloser
	beat func()
}

func (p pulsing) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if n > 0 {
		p.beat()
	}
	return n, err
}
