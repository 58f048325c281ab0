package fault_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outlast-build/outlast/fault"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"no error", nil, fault.None},
		{"a carried kind wins over its cause", &fault.Error{Kind: fault.Corrupt, Err: syscall.ECONNRESET}, fault.Corrupt},
		{"a carried kind through wraps", fmt.Errorf("fetch: %w", &fault.Error{Kind: fault.HTML}), fault.HTML},
		{"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, fault.Connection},
		{"reset", fmt.Errorf("read: %w", syscall.ECONNRESET), fault.Connection},
		{"closed before the head of an answer", io.EOF, fault.Connection},
		{"cut in the body", io.ErrUnexpectedEOF, fault.Truncated},
		{"no such host", &net.DNSError{Err: "no such host", IsNotFound: true}, fault.DNS},
		{"a resolver that is silent", &net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, fault.DNS},
		{"deadline", context.DeadlineExceeded, fault.Timeout},
		{"deadline of a connection", os.ErrDeadlineExceeded, fault.Timeout},
		{"cancelled", context.Canceled, fault.Canceled},
		{"unknown authority", x509.UnknownAuthorityError{}, fault.TLS},
		{"disk full", &os.PathError{Op: "write", Err: syscall.ENOSPC}, fault.Resource},
		{"anything else", errors.New("moon phase"), fault.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.Of(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEveryKindHasARow(t *testing.T) {
	for _, k := range fault.Kinds() {
		if k != fault.Canceled && k.Hint() == "" {
			t.Errorf("%s: no hint", k)
		}
		if strings.HasSuffix(k.Hint(), ".") {
			t.Errorf("%s: the hint ends with a full stop: %q", k, k.Hint())
		}
		if k.User() && k.Blames() {
			t.Errorf("%s: blames a service for what is the user's", k)
		}
	}
	if got := fault.Kind("no such kind").Action(); got != fault.Stop {
		t.Errorf("got %v for a kind that is not in the table, want stop", got)
	}
}

func TestOfStatus(t *testing.T) {
	for code, want := range map[int]fault.Kind{
		200: fault.None, 206: fault.None, 304: fault.None, 307: fault.None,
		400: fault.Rejected, 401: fault.Auth, 403: fault.Auth, 404: fault.NotFound, 408: fault.Timeout,
		410: fault.NotFound, 416: fault.Rejected, 429: fault.RateLimited, 500: fault.Outage, 503: fault.Outage,
	} {
		if got := fault.OfStatus(code); got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
}

func TestIsHTML(t *testing.T) {
	for _, tt := range []struct {
		name, media, body string
		want              bool
	}{
		{"by its type", "text/html; charset=utf-8", "", true},
		{"by its type in capitals", "Text/HTML", "", true},
		{"the page of an outage, without a type", "", "<h2>Our services aren't available right now</h2>", true},
		{"behind a byte order mark", "text/plain", "\ufeff\n <!DOCTYPE html><html>", true},
		{"JSON", "application/json", `{"errors":[]}`, false},
		{"a layer", "application/octet-stream", "\x1f\x8b\x08\x00", false},
		{"XML that is no page", "application/xml", "<?xml version='1.0'?><Error/>", false},
		{"nothing", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.IsHTML(tt.media, []byte(tt.body)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                     0,
		"7":                    7 * time.Second,
		" 7 ":                  7 * time.Second,
		"-7":                   0,
		"soon":                 0,
		"99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := fault.RetryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func ExampleError() {
	err := &fault.Error{Op: "read blob", Endpoint: "mirror.example.com", Kind: fault.Timeout, Err: errors.New("no answer within 5s")}
	fmt.Println(err)
	fmt.Println(fault.Of(err).Action(), fault.Of(err).Blames())
	// Output:
	// read blob: mirror.example.com: timeout: no answer within 5s
	// retry true
}
