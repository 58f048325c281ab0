package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// An Error is a failure with its kind, at an endpoint, while doing Op.
type Error struct {
	Op       string        // the bare action: "resolve", "read blob"
	Endpoint string        // host, or host:port; empty where none took part
	Kind     Kind          // never None
	After    time.Duration // what Retry-After asked for; 0 when it asked nothing
	Err      error         // the cause; may be nil
}

// Error chains operation, endpoint, kind and cause: "read blob:
// mirror.example.com: timeout: no answer within 5s". The kind says what an
// endpoint did; where none took part, the cause says enough.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, p := range []string{e.Op, e.Endpoint} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Endpoint != "" || e.Err == nil {
		parts = append(parts, string(e.Kind))
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of returns the kind of err: the kind that an *Error in its chain carries,
// else what the cause implies, else Unknown. Of(nil) is None.
func Of(err error) Kind {
	if err == nil {
		return None
	}
	var carried *Error
	if errors.As(err, &carried) {
		return carried.Kind
	}
	for _, c := range causes {
		if c.is(err) {
			return c.kind
		}
	}
	return Unknown
}

// After returns what Retry-After asked for, as the first *Error in err's chain
// carries it, or 0.
func After(err error) time.Duration {
	var carried *Error
	if errors.As(err, &carried) {
		return carried.After
	}
	return 0
}

// causes maps the errors of the standard library to kinds. The order counts:
// a resolver's time-out is DNS, a TLS alert arrives inside a *net.OpError.
var causes = []struct {
	kind Kind
	is   func(error) bool
}{
	{Canceled, func(err error) bool { return errors.Is(err, context.Canceled) }},
	{DNS, as[*net.DNSError]},
	{TLS, func(err error) bool {
		return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) ||
			as[x509.HostnameError](err) || as[x509.CertificateInvalidError](err) ||
			as[tls.RecordHeaderError](err) || as[tls.AlertError](err)
	}},
	{Resource, is(syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE)},
	{Truncated, is(io.ErrUnexpectedEOF)},
	{Connection, is(syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, net.ErrClosed, io.EOF)},
	{Timeout, func(err error) bool {
		var t interface{ Timeout() bool }
		return errors.Is(err, context.DeadlineExceeded) ||
			errors.As(err, &t) && t.Timeout()
	}},
	{Connection, as[*net.OpError]},
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}
