package oci_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/outlast-build/outlast/fault"
	"github.com/outlast-build/outlast/faultnet"
	"github.com/outlast-build/outlast/gateway/oci"
)

type closable struct{ *bytes.Reader }

func (closable) Close() error { return nil }

// parcelOf makes a parcel of texts for a host's app:cache.
func parcelOf(host string, texts ...string) oci.Parcel {
	p := oci.Parcel{Ref: host + "/app:cache", Type: ocispecs.MediaTypeImageManifest}
	blobs := make(map[digest.Digest]string)
	var layers []string
	for _, text := range texts {
		d := digest.FromString(text)
		blobs[d] = text
		p.Blobs = append(p.Blobs, ocispecs.Descriptor{Digest: d, Size: int64(len(text))})
		layers = append(layers, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, d, len(text)))
	}
	p.Manifest = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, p.Type, layers[0], strings.Join(layers[1:], ","))
	p.Open = func(d digest.Digest) (io.ReadSeekCloser, error) {
		return closable{bytes.NewReader([]byte(blobs[d]))}, nil
	}
	return p
}

// senderTo knows the registry at host, and the logins of keys.
func senderTo(t *testing.T, keys oci.Keychain, host string) *oci.Sender {
	t.Helper()
	rs, err := oci.NewRegistries(nil, http.DefaultTransport, keys)
	if err == nil {
		err = rs.Allow(host)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &oci.Sender{Registries: rs, Base: http.DefaultTransport, Answer: 300 * time.Millisecond, Idle: 300 * time.Millisecond,
		Jitter: func() float64 { return 0 }}
}

// door stands in front of an empty registry.
func door(t *testing.T, s faultnet.Script, above func(http.Handler) http.Handler) *faultnet.Service {
	t.Helper()
	var backend http.Handler = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if above != nil {
		backend = above(backend)
	}
	d := &faultnet.Service{Backend: backend, Script: s}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// tagged reports whether a registry has app:cache.
func tagged(t *testing.T, host string) bool {
	t.Helper()
	resp, err := http.Head("http://" + host + "/v2/app/manifests/cache")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestSend(t *testing.T) {
	d := door(t, nil, nil)
	s := senderTo(t, nil, d.Host())
	p := parcelOf(d.Host(), "config", "layer one", "layer two", "layer one")
	got, err := s.Send(t.Context(), p)
	if err != nil || got.Blobs != 3 || got.There != 0 || got.Bytes != int64(len("config"+"layer one"+"layer two")) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if !tagged(t, d.Host()) {
		t.Fatal("the registry does not have the tag")
	}
	got, err = s.Send(t.Context(), parcelOf(d.Host(), "config", "layer one", "layer three"))
	if err != nil || got.Blobs != 1 || got.There != 2 || got.Bytes != int64(len("layer three")) {
		t.Fatalf("the next one: got %+v, %v, want what is new alone to be sent", got, err)
	}
}

// At whatever call a registry fails: the error says how, in time, and nothing
// half is left named.
func TestSendToARegistryThatFails(t *testing.T) {
	calls := []struct {
		name, method string
		path         *regexp.Regexp
	}{
		{"the question whether a blob is there", "HEAD", regexp.MustCompile("/blobs/sha256:")},
		{"the start of an upload", "POST", nil},
		{"an upload", "PUT", regexp.MustCompile("/blobs/")},
		{"the manifest", "PUT", regexp.MustCompile("/manifests/")},
	}
	for _, fail := range []struct {
		fault faultnet.Fault
		kind  fault.Kind
	}{
		{faultnet.Status(503), fault.Outage},
		{faultnet.StatusHTML(503, ""), fault.HTML},
		{faultnet.StatusHTML(400, faultnet.OutagePage), fault.HTML},
		{faultnet.OKHTML(), fault.HTML},
		{faultnet.Status(401), fault.Auth},
		{faultnet.Status(403), fault.Auth},
		{faultnet.Hang(), fault.Timeout},
	} {
		for _, call := range calls {
			t.Run(fmt.Sprintf("%s: %s", call.name, fail.fault), func(t *testing.T) {
				t.Parallel()
				var healthy atomic.Bool
				d := door(t, faultnet.Script{{Method: call.method, Path: call.path, Fault: fail.fault,
					If: func(*http.Request) bool { return !healthy.Load() }}}, nil)
				s := senderTo(t, nil, d.Host())
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err := s.Send(ctx, parcelOf(d.Host(), "config", "a layer"))
				if got := fault.Of(err); got != fail.kind || ctx.Err() != nil {
					t.Fatalf("got %q (%v), want %q in time", got, err, fail.kind)
				}
				if !strings.Contains(err.Error(), d.Host()) {
					t.Errorf("got %q, want the name of the registry", err)
				}
				healthy.Store(true)
				if tagged(t, d.Host()) {
					t.Error("the tag is there")
				}
				if _, err := s.Send(t.Context(), parcelOf(d.Host(), "config", "a layer")); err != nil || !tagged(t, d.Host()) {
					t.Errorf("all is well again: got %v", err)
				}
			})
		}
	}
}

func TestSendTriesAgain(t *testing.T) {
	d := door(t, faultnet.Script{{Method: "PUT", On: faultnet.First(1), Fault: faultnet.Status(503)},
		{Method: "POST", On: faultnet.First(1), Fault: faultnet.Reset()}}, nil)
	got, err := senderTo(t, nil, d.Host()).Send(t.Context(), parcelOf(d.Host(), "config"))
	if err != nil || got.Retries == 0 || !tagged(t, d.Host()) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// What a proxy in front of a registry does not let through goes in pieces.
func TestSendInPieces(t *testing.T) {
	const limit = 1 << 20
	d := door(t, nil, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	p := parcelOf(d.Host(), "config", strings.Repeat("large ", limit/2))
	got, err := senderTo(t, nil, d.Host()).Send(t.Context(), p)
	if err != nil || got.Blobs != 2 || !tagged(t, d.Host()) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// A token is asked for with what writing needs; the login goes nowhere else,
// and nobody writes without it.
func TestSendWithALogin(t *testing.T) {
	var scopes atomic.Value
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scopes.Store(strings.Join(r.URL.Query()["scope"], " "))
		if user, _, _ := r.BasicAuth(); user != "alice" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"token":"alices","expires_in":300}`)
	}))
	t.Cleanup(tokens.Close)
	elsewhere := new(seen)
	d := door(t, nil, func(next http.Handler) http.Handler {
		storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			elsewhere.add(r)
			next.ServeHTTP(w, r)
		}))
		t.Cleanup(storage.Close)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer alices" {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="s"`, tokens.URL))
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(w, r, storage.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	var asked atomic.Int32
	alice := func(_ context.Context, host string) (oci.Login, error) {
		if host != d.Host() {
			t.Errorf("the login of %s was asked for", host)
		}
		asked.Add(1)
		return oci.Login{User: "alice", Password: "secret"}, nil
	}
	p := parcelOf(d.Host(), "config", "a layer")
	p.From = []string{"base", "app", "NO NAME"}
	if _, err := senderTo(t, alice, d.Host()).Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got, want := scopes.Load(), "repository:app:pull,push repository:base:pull"; got != want {
		t.Errorf("got a token for %q, want %q", got, want)
	}
	if got := elsewhere.list(); len(got) > 0 {
		t.Errorf("the storage got %q", got)
	}
	_, err := senderTo(t, nil, d.Host()).Send(t.Context(), p)
	if fault.Of(err) != fault.Auth {
		t.Errorf("without a login: got %v, want it to be refused", err)
	}
}

// What another repository of the registry has is not sent.
func TestSendTakesFromOtherRepositories(t *testing.T) {
	var mounts atomic.Int32
	d := door(t, nil, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("from") == "base" && q.Get("mount") == digest.FromString("a layer").String() {
				mounts.Add(1)
				w.WriteHeader(http.StatusCreated)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	p := parcelOf(d.Host(), "config", "a layer")
	p.From = []string{"other", "base"}
	got, err := senderTo(t, nil, d.Host()).Send(t.Context(), p)
	if err != nil || got.There != 1 || got.Blobs != 1 || mounts.Load() != 1 {
		t.Fatalf("got %+v, %v, and %d mounts", got, err, mounts.Load())
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	d := door(t, faultnet.Script{{Method: "PUT", Fault: faultnet.Hang()}}, nil)
	s := senderTo(t, nil, d.Host())
	s.Idle = time.Minute
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, &fault.Error{Op: "send", Kind: fault.Timeout, Err: fmt.Errorf("the time is up")})
	defer cancel()
	_, err := s.Send(ctx, parcelOf(d.Host(), "config", "a layer"))
	if fault.Of(err) != fault.Timeout || !strings.Contains(err.Error(), "the time is up") {
		t.Fatalf("got %v", err)
	}
}
