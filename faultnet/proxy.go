package faultnet

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// A Proxy is a backend that hands requests on to a real server, such as a
// registry. It keeps the Host that the client named, asks for no compression
// of its own, and answers 502 where the server cannot be reached.
type Proxy struct {
	proxy     *httputil.ReverseProxy
	transport *http.Transport
}

// NewProxy returns a proxy to the server at this base address.
func NewProxy(target string) (*Proxy, error) {
	base, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("proxy to %q: want an http or https address", target)
	}
	p := &Proxy{transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	p.proxy = &httputil.ReverseProxy{
		Transport: p.transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(base)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler)
			}
			sendError(w, http.StatusBadGateway)
		},
	}
	return p, nil
}

// ServeHTTP is http.Handler's.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.proxy.ServeHTTP(w, r) }

// CloseIdleConnections closes the connections to the server that no request
// uses. A Service does it when it closes.
func (p *Proxy) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// RedirectBlobs answers requests for blobs with 307 to the same path at
// another service, as registries that keep content in a content network do.
// What else is asked goes to next. A query in to, such as a signature, is
// carried along.
func RedirectBlobs(to string, next http.Handler) (http.Handler, error) {
	base, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("redirect blobs: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place := PlaceOf(r, nil)
		if place != Blob || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		target := base.JoinPath(r.URL.Path)
		target.RawQuery = base.RawQuery
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusTemporaryRedirect)
	}), nil
}
